import polars as pl
import pytest

from marquee import schema
from marquee.data.content_ratings import MIN_AGE_BY_RATING, UNRATED, is_known, min_age_of, min_ages_of


@pytest.mark.parametrize(
    ("rating", "min_age"),
    [
        ("G", 0),
        ("PG-13", 13),
        ("R", 17),
        ("NC-17", 18),
        ("TV-Y7-FV", 7),
        ("TV-MA", 17),
        ("13+", 13),
        ("AGES_18_", 18),
        ("ALL_AGES", 0),
        (" tv-14 ", 14),
        ("NOT_RATE", None),
        ("TV-NR", None),
        ("83 min", None),
        ("", None),
        (None, None),
    ],
)
def test_min_age_of_a_rating_is_its_age_or_unknown(rating, min_age):
    assert min_age_of(rating) == min_age


def test_is_known_tells_unrated_from_unheard_of():
    assert is_known("UNRATED")
    assert is_known("AGES_16_")
    assert not is_known("74 min")


def test_min_age_table_has_no_unrated_and_ages_of_people():
    assert not UNRATED & MIN_AGE_BY_RATING.keys()
    assert set(MIN_AGE_BY_RATING.values()) == {0, 7, 13, 14, 16, 17, 18}


def test_min_ages_of_a_column_is_a_column_of_the_contract():
    ages = min_ages_of(pl.Series(["R", None, "NR"]))

    assert ages.name == schema.MIN_AGE
    assert ages.dtype == schema.MOVIES_SCHEMA[schema.MIN_AGE]
    assert ages.to_list() == [17, None, None]
