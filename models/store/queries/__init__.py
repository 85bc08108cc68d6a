"""Reads, a module a noun. Each takes a session and gives rows; those for many keys give them by key."""
