"""What Feast gives for the past is what the rule says, to the last bit."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from polars.testing import assert_frame_equal

from marquee import schema
from marquee.adapters.feast.reader import FeastReader
from marquee.errors import FeatureStoreError
from marquee.features.memory_reader import MemoryReader
from marquee.features.reader import MOVIE_COLUMNS, USER_COLUMNS, StateReader
from tests.marquee.adapters.feast.place import REPO, door
from tests.random_pasts import DAY_US, ITEMS, UNSHRUNK, USERS, Past, all_pairs, pasts

CROWDED = Past(
    events=(
        ("u0", "a", 0, 4.0, "rating"),
        ("u0", "b", 40 * DAY_US, None, "view"),
        ("u0", "c", 40 * DAY_US, 2.0, "rating"),  # a peer of the one before
        ("u1", "a", 40 * DAY_US, 0.1, "rating"),
        ("u0", "a", 41 * DAY_US, 5.0, "rating"),  # chosen before
        ("u2", "c", 41 * DAY_US - 1, None, "click"),  # no choice
        ("u1", "b", 125 * DAY_US + 1, 3.7, "rating"),  # long after the others
    ),
    observations=(
        ("a", 3 * DAY_US, "press", 4.3, None),
        ("a", 3 * DAY_US, "web", None, 3),
        ("a", 9 * DAY_US, "web", 7.9, 500),
    ),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FeastReader]:
    """A folder with a registry, for one state after the other."""
    root = tmp_path_factory.mktemp("reader")
    CROWDED.build(root)
    made = door(root)
    made.apply(made.declarations(REPO))
    return root, FeastReader(made)


def rows_of(state: StateReader, past: Past) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Everybody and every movie, at every moment at which something changes."""
    return state.users(*all_pairs(USERS, past.edges_us)), state.movies(*all_pairs(ITEMS, past.edges_us))


@given(pasts)
@example(CROWDED)
@settings(max_examples=20, phases=UNSHRUNK)
def test_rows_through_feast_equal_those_from_memory(place: tuple[Path, FeastReader], past: Past):
    root, reader = place
    past.build(root)
    memory = MemoryReader.of(past.interactions, past.tables)

    for found, expected in zip(rows_of(reader, past), rows_of(memory, past), strict=True):
        assert_frame_equal(found, expected, check_exact=True)


def test_crowded_past_has_rows_that_are_known_expired_and_never_known(place: tuple[Path, FeastReader]):
    root, reader = place
    CROWDED.build(root)

    # The last statistics are of day 126, so they count up to and with the first moment of day 133.
    times = [DAY_US - 1, DAY_US, 133 * DAY_US, 133 * DAY_US + 1]
    found = reader.movies(pl.Series(["a"] * 4), np.array(times))

    assert found[schema.ITEM_EVENTS_ALL].to_list() == [None, 1, 2, None]
    assert found[schema.MOVIE_YEAR].to_list() == [None, 1941, 1941, 1941]
    assert found["pub_mentions"].to_list() == [None, None, 500, 500]


def test_nothing_asked_gives_no_row_with_all_columns(place: tuple[Path, FeastReader]):
    _, reader = place
    nobody, never = pl.Series([], dtype=pl.String), np.array([], np.int64)

    assert dict(reader.users(nobody, never).schema) == USER_COLUMNS
    assert dict(reader.movies(nobody, never).schema) == MOVIE_COLUMNS


def test_contracts_name_the_meaning_of_every_service(place: tuple[Path, FeastReader]):
    _, reader = place

    assert set(reader.contracts) == set(schema.FEATURE_SERVICES)
    assert reader.contracts == {name: reader.door.service_hash(name) for name in schema.FEATURE_SERVICES}
    assert len(set(reader.contracts.values())) == len(reader.contracts)


def test_reader_without_a_registry_says_how_to_make_one(tmp_path: Path):
    reader = FeastReader(door(tmp_path))

    for ask in (reader.users, reader.movies):
        with pytest.raises(FeatureStoreError, match="no registry") as refusal:
            ask(pl.Series(["x"]), np.array([0]))
        assert "features apply" in refusal.value.remedy
