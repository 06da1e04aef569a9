"""From which age a content rating calls a title suitable.

The one table of it: MPAA (movies), the US TV Parental Guidelines, and Prime Video's own levels. A
rating that is not in it, and each spelling of "unrated", has no age: policy must fail closed on null.

Source: filmratings.com (PG-13: 13; R: under 17 with an adult; NC-17: no one 17 and under, hence 18)
and tvguidelines.org (TV-Y7: 7; TV-14: 14; TV-MA: 17). PG and TV-PG ask for guidance but name no age;
we take the 7 of "Older Kids (7+)", under which Prime Video's table of maturity ratings lists both
(primevideo.com/help, "Maturity Ratings", United States). M, GP and M/PG are PG's names before 1972,
X is NC-17's name before 1990.
"""

import re
from typing import Final

import polars as pl

from marquee import schema

MIN_AGE_BY_RATING: Final[dict[str, int]] = {
    "G": 0,
    "PG": 7,
    "M": 7,
    "GP": 7,
    "M/PG": 7,
    "PG-13": 13,
    "R": 17,
    "NC-17": 18,
    "X": 18,
    "TV-Y": 0,
    "TV-G": 0,
    "TV-Y7": 7,
    "TV-Y7-FV": 7,
    "TV-PG": 7,
    "TV-14": 14,
    "TV-MA": 17,
    "ALL": 0,
    "ALL AGES": 0,
    "7+": 7,
    "13+": 13,
    "16": 16,
    "16+": 16,
    "AGES 16": 16,
    "18+": 18,
    "AGES 18": 18,
}
"""Rating, in the spelling of `_canonical`, to the age in years from which the title is suitable."""

UNRATED: Final = frozenset({"NR", "UR", "TV-NR", "NOT RATED", "NOT RATE", "UNRATED"})
"""Spellings that say that nobody rated the title: known words, but no age."""


def min_age_of(rating: str | None) -> int | None:
    """The age in years from which a rating calls a title suitable; None where unrated or unknown."""
    return None if rating is None else MIN_AGE_BY_RATING.get(_canonical(rating))


def is_known(rating: str) -> bool:
    """Whether this is a rating of the table or a spelling of "unrated"."""
    canonical = _canonical(rating)
    return canonical in MIN_AGE_BY_RATING or canonical in UNRATED


def min_ages_of(ratings: pl.Series) -> pl.Series:
    """`min_age_of` of each rating, as the `min_age` column of `schema.MOVIES_SCHEMA`."""
    ages = [min_age_of(rating) for rating in ratings]
    return pl.Series(schema.MIN_AGE, ages, dtype=schema.MOVIES_SCHEMA[schema.MIN_AGE])


def _canonical(rating: str) -> str:
    """Upper case, with Prime's underscores ("AGES_18_") and runs of blanks as one blank."""
    return re.sub(r"[\s_]+", " ", rating).strip().upper()
