"""The tests, and the corpus of decisions that they and other implementations share."""
