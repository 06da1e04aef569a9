import numpy as np
import polars as pl
import pytest

from marquee import schema
from marquee.benchmarking.holdouts import timeless
from marquee.benchmarking.stage import SplitStage
from marquee.candidates.routes import RoutesConfig
from marquee.candidates.union import UnionConfig
from marquee.features.context import DAY_US
from marquee.features.memory_reader import MemoryReader
from marquee.features.state import SideTables
from marquee.features.state.statistics import PRIOR_EVENTS
from tests.factories import events

KNOWN = events(("u", "a", 0, 4.0), ("u", "b", 0, 2.0), ("v", "a", 0, 5.0), items=["c"])
HIDDEN = events(("u", "c", 0), ("v", "b", 0), ("v", "c", 0), items=["a"])


def _stage(tables=None):
    routes = RoutesConfig(enabled=("popular",))
    return SplitStage.of(KNOWN, routes=routes, union=UnionConfig(), seed=1, tables=tables)


def _state(queries, name):
    return queries.user_state[:, schema.USER_STATE.index(name)].tolist()


def test_question_holds_what_is_known_and_wants_what_is_hidden():
    asked = _stage().ask(KNOWN, HIDDEN, users=np.array([0, 1], np.int32))

    assert [asked.queries.histories.item_index[:2].tolist(), asked.targets[0].tolist()] == [[0, 1], [2]]
    assert asked.targets[1].tolist() == [1, 2]


def test_counts_are_scaled_to_the_whole_training_part():
    asked = _stage().ask(KNOWN, HIDDEN, users=np.array([0, 1], np.int32), known_share=0.5)

    assert _state(asked.queries, schema.USER_EVENTS_ALL) == [4, 2]
    assert _state(asked.queries, schema.USER_RATING_MEAN) == [3, 5]  # a mean is no count


def test_item_state_counts_known_events_and_nothing_of_time():
    states = _stage().fit(KNOWN, known_share=0.5).catalogue.states

    assert states.column(schema.ITEM_EVENTS_ALL)[0].tolist() == pytest.approx([4, 2, np.nan], nan_ok=True)
    mean = (4 + 2 + 5) / 3
    shrunken = [
        (4 + 5 + PRIOR_EVENTS * mean) / (2 + PRIOR_EVENTS),
        (2 + PRIOR_EVENTS * mean) / (1 + PRIOR_EVENTS),
    ]
    assert states.column(schema.ITEM_RATING_MEAN)[0, :2].tolist() == pytest.approx(shrunken)
    for name in (schema.ITEM_EVENTS_7D, schema.ITEM_AGE_DAYS, schema.ITEM_TREND_7D):
        assert np.isnan(states.column(name)).all()


def test_state_is_that_of_the_feature_store_had_all_happened_at_once():
    stage, users = _stage(), np.array([0, 1], np.int32)
    reader = MemoryReader.of(timeless(KNOWN))
    rows = reader.users(KNOWN.users.ids, np.full(2, DAY_US))
    movies = reader.movies(KNOWN.items.ids, np.full(3, DAY_US))

    asked, states = stage.ask(KNOWN, HIDDEN, users=users), stage.fit(KNOWN).catalogue.states

    for name in (schema.USER_EVENTS_ALL, schema.USER_RATINGS_ALL, schema.USER_RATING_MEAN):
        assert _state(asked.queries, name) == rows[name].to_list()
    for name in (schema.ITEM_EVENTS_ALL, schema.ITEM_RATINGS_ALL, schema.ITEM_RATING_MEAN):
        assert states.column(name)[0, :2].tolist() == movies[name][:2].to_list()


def test_without_tables_nothing_is_known_of_movies():
    stage = _stage()

    assert stage.facts is None
    assert np.isnan(stage.movies.year).all()
    assert stage.movies.genres.nnz == 0


def test_tables_give_profiles_in_the_order_of_the_vocabulary():
    movies = pl.DataFrame(
        {schema.ITEM_ID: ["c", "a"], schema.YEAR: [1999, 1950], schema.GENRES: [["Drama"], None]},
        schema={name: schema.MOVIES_SCHEMA[name] for name in (schema.ITEM_ID, schema.YEAR, schema.GENRES)},
    )
    missing = {name: dtype for name, dtype in schema.MOVIES_SCHEMA.items() if name not in movies.columns}
    movies = movies.with_columns([pl.lit(None, dtype=dtype).alias(name) for name, dtype in missing.items()])

    stage = _stage(SideTables(movies=movies))

    assert stage.movies.year.tolist() == pytest.approx([1950, np.nan, 1999], nan_ok=True)
    assert stage.facts is not None


def test_routes_are_heard_before_they_are_fitted():
    heard = []

    _stage().fit(KNOWN, on_route=heard.append)

    assert heard == ["popular"]
