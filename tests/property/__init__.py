"""What must hold for every configuration and every task."""
