"""Constants of the movies' statistics."""

from typing import Final

DAY_US: Final = 86_400_000_000
PRIOR_EVENTS: Final = 5.0
"""Pseudo-events that pull the mean of a rarely seen movie towards the mean of all movies."""
