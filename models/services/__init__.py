"""Writes and decisions. Each public coroutine is one whole request: it either took effect or raised."""
