"""Townclerk's wire: GraphQL, HTTP and the console script."""
