"""Marquee: a movie recommender that keeps itself fresh.

Importing this package defines nothing but the version; every room is imported by name.
"""

__version__ = "0.1.0"
