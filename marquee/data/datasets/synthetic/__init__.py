"""A seeded generator of a streaming service's events, of any size up to 20 million."""
