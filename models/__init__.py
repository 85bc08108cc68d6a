"""Townclerk's model of the town: domain, store and services. Knows nothing of the wire."""
