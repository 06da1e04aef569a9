"""Whatever comes after a request leaves its rows as they were, to the last bit: through the store itself.

`test_no_future` asks the same of state in memory. Here the state is built into folders and read by
Feast's point-in-time join, and rows that were written after the request do not count either.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from marquee import schema
from marquee.adapters.feast.reader import FeastReader
from marquee.data.dataset import Dataset
from marquee.data.histories import LabelledMoments
from marquee.data.interactions import Interactions
from marquee.data.splits import consumed, temporal_split
from marquee.features.state import SideTables, build_state
from marquee.features.state.events import events_of
from marquee.training import FirstStage, collect_training_set
from tests.factories import World, quick_config, taste_groups
from tests.marquee.adapters.feast.place import REPO, door
from tests.random_pasts import DAY_US, ITEMS, UNSHRUNK, USERS, Past, all_pairs, moment, pasts

MakeReader = Callable[[str], tuple[Path, FeastReader]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> MakeReader:
    """Folders by name, each with a feature store over whatever state is built in it."""
    made: dict[str, tuple[Path, FeastReader]] = {}

    def at(name: str) -> tuple[Path, FeastReader]:
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            SOMETHING.build(root)
            store = door(root)
            store.apply(store.declarations(REPO))
            made[name] = root, FeastReader(store)
        return made[name]

    return at


SOMETHING = Past((("u0", "a", 0, 4.0, "rating"),))


def rows_up_to(reader: FeastReader, past: Past, request_us: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Everybody and every movie, at the request and at all earlier moments at which something changed."""
    times = [*(time for time in past.edges_us if time < request_us), request_us]
    return reader.users(*all_pairs(USERS, times)), reader.movies(*all_pairs(ITEMS, times))


# --- any past, any two futures -----------------------------------------------------------------------


def continued(past: Past, future: Past, request_us: int) -> Past:
    """What there was up to and with the request, and then another future.

    A request of the past has its answer after it; that somebody did something is all that is kept of it.
    """
    after = DAY_US // 4 * 3
    answer = ("u1", "c", request_us + 1, 1.0, "rating")
    shifted = [
        (user, item, request_us + 1 + time % after, *rest) for user, item, time, *rest in future.events
    ]
    observed = [(item, request_us + 1 + time % after, *rest) for item, time, *rest in future.observations]
    return Past(
        (*(event for event in past.events if event[2] <= request_us), answer, *shifted),
        (*(each for each in past.observations if each[1] <= request_us), *observed),
    )


REQUEST_US = 20 * DAY_US
PEERS = Past(
    events=(
        ("u0", "a", REQUEST_US, 4.0, "rating"),
        ("u0", "b", REQUEST_US, 2.0, "rating"),
        ("u1", "a", REQUEST_US - 1, 3.7, "view"),
        ("u1", "b", REQUEST_US - DAY_US, 3.7, "rating"),
    ),
    observations=(("a", REQUEST_US, "press", 4.3, 3),),
)
NEXT = Past(
    # In the microsecond after the request, in sources and of movies and users that sort before the others.
    events=(
        ("u0", "c", 0, 5.0, "rating"),
        ("u0", "a", 0, 0.1, "rating"),
        ("a new user", "a", 0, 5.0, "rating"),
    ),
    observations=(("a", 0, "press", 7.9, 500), ("b", 0, "web", 7.9, 3)),
)


@given(pasts, pasts, st.integers(-2, 2), st.integers(0, 50))
@example(PEERS, NEXT, 0, 0)
@example(PEERS, NEXT, 0, 3)
@settings(max_examples=12, phases=UNSHRUNK)
def test_rows_up_to_a_request_are_bit_equal_whatever_happens_after_it(
    place: MakeReader, past: Past, future: Past, aside: int, pick: int
):
    moments = sorted({time for _, _, time, *_ in past.events} | {time for _, time, *_ in past.observations})
    request_us = max(moments[pick % len(moments)] + aside, 0)
    one, other = continued(past, SOMETHING, request_us), continued(past, future, request_us)
    assume(one != other)
    (root, reader), (elsewhere, other_reader) = place("one"), place("other")
    one.build(root)
    other.build(elsewhere)

    for found, expected in zip(
        rows_up_to(other_reader, past, request_us), rows_up_to(reader, past, request_us), strict=True
    ):
        assert_frame_equal(found, expected, check_exact=True)


def test_event_of_the_requests_very_microsecond_is_known_and_the_next_ones_are_not(place: MakeReader):
    root, reader = place("one")
    continued(PEERS, NEXT, REQUEST_US).build(root)
    times = np.array([REQUEST_US - 1, REQUEST_US, REQUEST_US + 1])

    users = reader.users(pl.Series(["u0"] * 3), times)
    movies = reader.movies(pl.Series(["a"] * 3), times)

    assert users[schema.USER_HISTORY_ITEMS].to_list() == [None, ["a", "b"], ["a", "b", "c"]]
    assert movies["pub_critic_score"].to_list() == pytest.approx([None, 4.3, 7.9])
    # Of the midnight: what happened before it, and not what happened with it.
    assert movies[schema.ITEM_EVENTS_ALL].to_list() == [None, 1, 1]


# --- rows that were written later ----------------------------------------------------------------------

WRITTEN_US = 30 * DAY_US + 3_600_000_000
VIEWS = tuple(schema.FEATURE_VIEWS)


def correct(root: Path, view: str, *, by: float, created: str = "later") -> None:
    """Write all rows of a view again, with numbers raised and the same event time."""
    folder = root / "current" / view
    rows = pl.read_parquet(folder / "**/*.parquet")
    time = (
        pl.lit(moment(WRITTEN_US), schema.TIME_DTYPE)
        if created == "later"
        else pl.col(schema.CREATED_TIMESTAMP)
    )
    numbers = [
        (pl.col(name).cast(pl.Float64).fill_null(0) + by).cast(dtype).alias(name)
        for name, dtype in schema.FEATURE_VIEWS[view].items()
        if dtype.is_numeric()
    ]
    corrected = rows.with_columns(*numbers, time.alias(schema.CREATED_TIMESTAMP))
    corrected.write_parquet(folder / f"~{by}.parquet")


def view_at(reader: FeastReader, view: str, *times_us: int) -> pl.DataFrame:
    """A view's columns of everybody or every movie."""
    is_user = schema.VIEW_KEYS[view] == schema.USER_ID
    ask = (reader.users, USERS) if is_user else (reader.movies, ITEMS)
    return ask[0](*all_pairs(ask[1], times_us)).select(list(schema.FEATURE_VIEWS[view]))


@pytest.fixture
def long_past(place: MakeReader, tmp_path: Path) -> tuple[Path, FeastReader]:
    """In a folder of its own, to write into: something of every view, statistics fresh on day 30."""
    root, reader = place(tmp_path.name)
    Past(
        (*PEERS.events, ("u0", "c", 29 * DAY_US, 1.0, "rating")),
        PEERS.observations,
    ).build(root)
    return root, reader


@pytest.mark.parametrize("view", VIEWS)
def test_correction_counts_from_when_it_was_written(long_past: tuple[Path, FeastReader], view: str):
    root, reader = long_past
    times = [REQUEST_US - 1, REQUEST_US, REQUEST_US + 1, 29 * DAY_US, WRITTEN_US - 1]
    before, after = view_at(reader, view, *times), view_at(reader, view, WRITTEN_US)

    correct(root, view, by=1000)

    assert_frame_equal(view_at(reader, view, *times), before, check_exact=True)
    first = next(name for name, dtype in schema.FEATURE_VIEWS[view].items() if dtype.is_numeric())
    raised = view_at(reader, view, WRITTEN_US)[first]
    assert raised.max() == pytest.approx(1000 + (after[first].max() or 0), rel=1e-6)


def test_of_rows_of_one_moment_the_one_written_last_counts_and_only_once_it_is_written(
    long_past: tuple[Path, FeastReader],
):
    root, reader = long_past
    view, score = schema.MOVIE_PUBLICITY_VIEW, "pub_critic_score"
    # The first is written with the row that it corrects: of such a tie the one stored last stands.
    correct(root, view, by=100, created="with it")
    correct(root, view, by=1000)

    found = reader.movies(pl.Series(["a"] * 3), np.array([REQUEST_US, WRITTEN_US - 1, WRITTEN_US]))

    assert found[score].to_list() == pytest.approx([4.3 + 100, 4.3 + 100, 4.3 + 100 + 1000], rel=1e-6)


def test_late_correction_of_an_old_row_never_replaces_a_newer_row(long_past: tuple[Path, FeastReader]):
    root, reader = long_past
    folder = root / "current" / schema.USER_ACTIVITY_VIEW
    rows = pl.read_parquet(folder / "**/*.parquet").filter(pl.col("user_id") == "u0")
    old = rows.sort(schema.EVENT_TIMESTAMP).head(1)
    late = pl.lit(moment(WRITTEN_US), schema.TIME_DTYPE).alias(schema.CREATED_TIMESTAMP)
    before = view_at(reader, schema.USER_ACTIVITY_VIEW, WRITTEN_US)

    old.with_columns(late, pl.lit(99, pl.Int64).alias(schema.USER_EVENTS_ALL)).write_parquet(
        folder / "old.parquet"
    )

    assert_frame_equal(view_at(reader, schema.USER_ACTIVITY_VIEW, WRITTEN_US), before, check_exact=True)


def test_expired_statistics_uncover_nothing_older_and_nothing_later(place: MakeReader):
    # Statistics go on to the midnight after the last event, day 2; a week later they are over, and no
    # older row and none of what happened then takes their place.
    root, reader = place("expired")
    past = Past((("u0", "a", 0, 4.0, "rating"), ("u0", "b", DAY_US, 4.0, "rating")))
    edge = (2 + schema.VIEW_TTL_DAYS[schema.MOVIE_STATISTICS_VIEW]) * DAY_US
    times = np.array([edge - 1, edge, edge + 1])
    past.build(root)

    assert reader.movies(pl.Series(["a"] * 3), times)[schema.ITEM_EVENTS_ALL].to_list() == [1, 1, None]
    assert edge == 9 * DAY_US


# --- training rows ---------------------------------------------------------------------------------------

SMALL = World(n_users=30, n_items=45, events_per_user=18, off_taste=3, days=40)
CONFIG = quick_config(union={"depth": 15})


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Tastes, with the movies' mentions observed every third day."""
    made = taste_groups(SMALL)
    days = range(0, SMALL.days, 3)
    publicity = pl.DataFrame(
        {
            "item_id": [f"m{item:03}" for item in range(0, SMALL.n_items, 2) for _ in days],
            "observed_at": [moment(day * DAY_US) for _ in range(0, SMALL.n_items, 2) for day in days],
            "source": ["web"] * len(days) * len(range(0, SMALL.n_items, 2)),
            "mentions": [day + item for item in range(0, SMALL.n_items, 2) for day in days],
        }
    )
    return replace(made, interactions=consumed(made.interactions), publicity=publicity)


def changed_after(dataset: Dataset, time_us: int) -> Dataset:
    """Another future: other users choose other movies at other times, with other values and mentions."""
    events = dataset.interactions
    later = events.timestamp_us > time_us
    rng = np.random.default_rng(1)
    time, value, item = events.timestamp_us.copy(), events.value.copy(), events.item_index.copy()
    time[later] = time_us + 1 + (time[later] - time_us) // 2
    value[later] = rng.uniform(1, 5, later.sum())
    item[later] = (item[later] + 7) % len(events.items)
    other = Interactions(
        events.user_index, item, time, value, events.type_code, users=events.users, items=events.items
    )
    fate = pl.col("observed_at") > moment(time_us)
    publicity = dataset.publicity.with_columns(
        pl.when(fate).then(pl.col("mentions") * 10 + 1).otherwise("mentions").alias("mentions"),
        pl.when(fate)
        .then(pl.col("observed_at") + timedelta(hours=1))
        .otherwise("observed_at")
        .alias("observed_at"),
    )
    order = np.lexsort((item, events.user_index, time))
    return replace(dataset, interactions=other.take(order), publicity=publicity)


def stage(place: MakeReader, name: str, dataset: Dataset) -> FirstStage:
    """The first stage over a feature store of the data set."""
    root, reader = place(name)
    tables = SideTables(dataset.users, dataset.movies, dataset.publicity)
    build_state(root, events_of(dataset.interactions), tables=tables)
    return FirstStage.of(dataset, CONFIG, reader)


def test_training_rows_are_bit_equal_whatever_happens_after_the_cut(place: MakeReader, dataset: Dataset):
    split = temporal_split(dataset.interactions, CONFIG.temporal, seed=0)
    other = changed_after(dataset, split.cut_us)

    one = collect_training_set(split.train, stage(place, "one", dataset))
    two = collect_training_set(split.train, stage(place, "other", other))

    np.testing.assert_array_equal(one.features, two.features)
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_array_equal(one.group_sizes, two.group_sizes)
    mentions = one.features[:, one.feature_names.index("pub_mentions")]
    assert np.isfinite(mentions).any()
    assert not np.isfinite(mentions).all()


@pytest.mark.parametrize("share", [0, 1])
def test_features_of_a_request_are_bit_equal_whatever_happens_after_it(
    place: MakeReader, dataset: Dataset, share: float
):
    split = temporal_split(dataset.interactions, CONFIG.temporal, seed=0)
    by_time = np.argsort(split.test.time_us, kind="stable")
    request = split.test.take(by_time[[round(share * (len(by_time) - 1))]])
    other = changed_after(dataset, int(request.time_us[0]))

    one = features(stage(place, "one", dataset), dataset, request, split.cut_us)
    two = features(stage(place, "other", other), other, request, split.cut_us)

    np.testing.assert_array_equal(one, two)


def test_features_of_a_request_do_change_with_what_happens_before_it(place: MakeReader, dataset: Dataset):
    # The counterpart: without it the two tests above would hold for rows that know nothing at all.
    split = temporal_split(dataset.interactions, CONFIG.temporal, seed=0)
    request = split.test.take(np.argsort(split.test.time_us)[-1:])
    other = changed_after(dataset, int(request.time_us[0]) - 3 * DAY_US)

    one = features(stage(place, "one", dataset), dataset, request, split.cut_us)
    two = features(stage(place, "other", other), dataset, request, split.cut_us)

    names = schema.ranking_features(tuple(CONFIG.routes.enabled))
    changed = {
        name
        for at, name in enumerate(names)  # other histories may get other candidates: values, not rows
        if not np.array_equal(np.unique(one[:, at]), np.unique(two[:, at]), equal_nan=True)
    }
    assert {schema.ITEM_IDLE_DAYS, "pub_mentions", schema.USER_EVENTS_ALL} <= changed


def features(first_stage: FirstStage, dataset: Dataset, request: LabelledMoments, cut_us: int) -> np.ndarray:
    """Of all candidates of a request, by a first stage that learned until the cut."""
    recommender = first_stage.fit(dataset.interactions, until_us=cut_us)
    recommender, asked = first_stage.ask(recommender, request, dataset.interactions)
    return recommender.propose(asked.queries)[1]
