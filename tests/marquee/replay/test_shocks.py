"""Each shock on a window whose numbers are known."""

import numpy as np
import polars as pl
import pytest

from marquee import schema
from marquee.errors import ConfigError
from marquee.replay.shocks import FAULTS, KINDS, WORLD, Shock
from marquee.replay.tables import Tables
from tests.marquee.replay.weeks import DAY_US, events, movies, users

WEEK_ENDS = [number * 7 * DAY_US for number in range(5, 13)]
"""1970-02-05 and on."""


def tables() -> Tables:
    return Tables(events(), users(), movies())


def after(kind: str, seed: int = 1) -> Tables:
    return {**WORLD, **FAULTS}[kind](tables(), np.random.default_rng(seed))


def share_of(made: Tables, genre: str) -> float:
    return float(made.events[schema.ITEM_ID].str.starts_with(genre[0]).mean())


def test_genre_surge_takes_a_fifth_of_the_events_once_a_user():
    before, made = tables(), after("genre_surge")

    usual = share_of(before, "Horror")
    kept = len(made.events) / len(before.events)
    assert 0.8 * usual + 0.2 * 0.7 < share_of(made, "Horror") < 0.8 * usual + 0.2  # some had seen it already
    assert 0.9 < kept < 1
    assert not made.events.select(schema.USER_ID, schema.ITEM_ID).is_duplicated().any()


def test_genre_surge_without_dark_films_takes_the_second_rarest_genre():
    lighter = pl.col(schema.GENRES).list.eval(pl.element().replace("Horror", "Western"))
    changed = movies().with_columns(lighter).filter(
        ~pl.col(schema.ITEM_ID).is_in(["A00", "A01", "C00"])  # 23 Action, 24 Comedy, 25 of the others
    )  # fmt: skip
    made = WORLD["genre_surge"](Tables(events(), users(), changed), np.random.default_rng(1))

    assert share_of(made, "Comedy") > share_of(tables(), "Comedy") + 0.05


def test_genre_surge_without_genres_names_the_shock():
    bare = movies().with_columns(pl.lit(None, pl.List(pl.String)).alias(schema.GENRES))

    with pytest.raises(ConfigError, match="genre_surge"):
        WORLD["genre_surge"](Tables(events(), users(), bare), np.random.default_rng(1))


def test_title_surge_brings_half_of_the_users_to_the_least_watched_title():
    counts = tables().events[schema.ITEM_ID].value_counts()
    quiet = movies()[schema.ITEM_ID].to_frame().join(counts, on=schema.ITEM_ID, how="left")
    title = quiet.sort(pl.col("count").fill_null(0), schema.ITEM_ID)[schema.ITEM_ID][0]

    made = after("title_surge").events

    fans = made.filter(pl.col(schema.ITEM_ID) == title)[schema.USER_ID].n_unique()
    assert 0.45 < fans / made[schema.USER_ID].n_unique() < 0.55


def test_influx_leaves_two_in_three_with_their_first_events():
    before, made = tables().events, after("influx").events

    lengths = made.group_by(schema.USER_ID).len()["len"]
    assert 0.6 < (lengths <= 11).mean() < 0.74  # nobody has fewer than 12 otherwise
    assert lengths.min() >= 5
    first = (
        before.group_by(schema.USER_ID, maintain_order=True).head(5).select(schema.USER_ID, schema.ITEM_ID)
    )
    assert first.join(made, on=[schema.USER_ID, schema.ITEM_ID], how="anti").is_empty()


def test_influx_halves_those_who_do_little_anyway():
    few = tables().events.group_by(schema.USER_ID, maintain_order=True).head(4)
    made = WORLD["influx"](Tables(few, users(), movies()), np.random.default_rng(1)).events

    lengths = made.group_by(schema.USER_ID).len()["len"]
    assert set(lengths) == {2, 4}
    assert 0.6 < (lengths == 2).mean() < 0.74


def test_scale_and_thumbs_change_values_alone():
    before = tables().events

    assert after("scale").events[schema.VALUE].to_list() == (before[schema.VALUE] * 2).to_list()
    thumbs = after("thumbs").events[schema.VALUE]
    assert ((thumbs == 5) == (before[schema.VALUE] >= 4)).all()
    assert set(thumbs.unique()) == {1.0, 5.0}


def test_null_and_default_column_hit_ages_and_else_values():
    assert after("null_column").users[schema.AGE].null_count() == len(users())
    assert set(after("default_column").users[schema.AGE]) == {-1}

    ageless = Tables(events(), users().with_columns(pl.lit(None, pl.Int16).alias(schema.AGE)), movies())
    made = FAULTS["null_column"](ageless, np.random.default_rng(1))
    assert made.events[schema.VALUE].null_count() == len(events())


@pytest.mark.parametrize("kind", [*WORLD, *FAULTS])
def test_shock_of_the_same_seed_is_the_same(kind: str):
    once, twice = after(kind), after(kind)

    assert once.events.equals(twice.events)
    assert once.users.equals(twice.users)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scale@3", Shock("scale", 3, 3)),
        ("influx@2+1", Shock("influx", 2, 1)),
        ("genre_surge@1970-02-01", Shock("genre_surge", 1, 3)),
        ("genre_surge@1970-02-05", Shock("genre_surge", 2, 3)),  # the moment with which the first one ends
    ],
)
def test_shock_is_read_by_window_or_date(text: str, expected: Shock):
    assert Shock.of(text, window_ends_us=WEEK_ENDS) == expected


@pytest.mark.parametrize(
    "text", ["scale@0", "scale@9", "scale@1+0", "scale@1990-01-01", "scale", "@3", "Scale@3"]
)
def test_shock_that_does_not_fit_is_quoted(text: str):
    with pytest.raises(ConfigError) as caught:
        Shock.of(text, window_ends_us=WEEK_ENDS)

    assert repr(text) in caught.value.problem


def test_shock_is_on_for_its_length():
    assert [Shock("scale", 3, 2).is_on(window) for window in (2, 3, 4, 5)] == [False, True, True, False]
    assert {Shock(kind, 1).nature for kind in KINDS} == {"world", "fault", "model"}
