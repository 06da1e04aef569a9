import numpy as np
import polars as pl
import pytest

from marquee import schema
from marquee.monitoring.window import GENRE, HISTORY_LENGTH, NDCG, window_of
from tests.factories import DAY_S, event_table

EVENTS = event_table([("a", "x", 0, 4.0), ("a", "y", 10, None), ("b", "x", 20, 2.0)])
USERS = pl.DataFrame({"user_id": ["a", "b"], "age": [30, None], "gender": ["F", "M"]})
MOVIES = pl.DataFrame({"item_id": ["x", "y"], "year": [1990, None], "genres": [["Drama", "War"], []]})


def test_unit_is_the_user_with_all_that_is_known():
    window = window_of("w", EVENTS, users=USERS, movies=MOVIES)

    assert window.user_ids.to_list() == ["a", "b"]
    assert window.columns[HISTORY_LENGTH].values.to_list() == [2, 1]
    assert window.columns[GENRE].values.to_list() == ["Drama", "War", "Drama", "War"]
    assert window.columns[GENRE].unit.tolist() == [0, 0, 1, 1]
    assert window.columns[schema.YEAR].values.to_list() == [1990.0, 1990.0]


def test_nulls_are_left_out_of_a_column():
    window = window_of("w", EVENTS, users=USERS, movies=MOVIES)

    assert window.columns[schema.AGE].values.to_list() == [30.0]
    assert window.columns[schema.VALUE].unit.tolist() == [0, 1]


def test_column_without_any_value_is_missing():
    window = window_of("w", EVENTS, users=USERS.with_columns(age=pl.lit(None, pl.Int16)))

    assert schema.AGE not in window.columns
    assert schema.OCCUPATION not in window.columns  # the table lacks it


def test_empty_window_has_no_units():
    window = window_of("w", EVENTS.clear(), users=USERS, movies=MOVIES, span_us=1)

    assert len(window) == 0
    assert not window.columns


def test_window_that_is_cut_counts_a_user_once_a_span():
    days = event_table([("a", "x", 0, 1.0), ("a", "y", DAY_S, 1.0), ("a", "z", 2 * DAY_S, 1.0)])

    window = window_of("w", days, span_us=DAY_S * 1_000_000)

    assert window.user_ids.to_list() == ["a", "a", "a"]
    assert window.columns[HISTORY_LENGTH].values.to_list() == [1, 1, 1]


def test_lists_and_quality_of_users_without_events_do_not_count():
    shown = pl.DataFrame({"user_id": ["a", "c", "a"], "position": [1, 1, 11], "score": [0.5, 0.9, 0.1]})
    quality = pl.DataFrame({"user_id": ["b", "c"], "ndcg": [0.25, 1.0]})

    window = window_of("w", EVENTS, shown=shown, quality=quality)

    assert window.columns[schema.SCORE].values.to_list() == [0.5]  # of ten places the first
    assert window.columns[NDCG].values.to_list() == [0.25]
    assert window.columns[NDCG].unit.tolist() == [1]


def test_taken_units_are_numbered_anew():
    window = window_of("w", EVENTS, users=USERS, movies=MOVIES).take(np.array([1]))

    assert window.user_ids.to_list() == ["b"]
    assert window.columns[schema.ITEM_ID].unit.tolist() == [0]
    assert schema.AGE not in window.columns  # b's is unknown


def test_split_keeps_all_spans_of_a_user_together_and_loses_nobody():
    rows = [(f"u{user}", "x", day * DAY_S, 1.0) for user in range(200) for day in range(2)]
    window = window_of("w", event_table(rows), span_us=DAY_S * 1_000_000)

    compared, held_out = window.split(0.25, salt="s")

    there, here = set(compared.user_ids), set(held_out.user_ids)
    assert not there & here
    assert len(compared) + len(held_out) == 400
    assert len(held_out) == pytest.approx(100, abs=40)
    again = window.split(0.25, salt="s")[1]
    assert again.user_ids.equals(held_out.user_ids)
    assert set(window.split(0.25, salt="t")[1].user_ids) != here
