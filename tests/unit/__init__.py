"""Each module of the core by itself."""
