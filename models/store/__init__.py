"""Rows and SQL: what is stored, how it is read back, and the one place that commits."""
