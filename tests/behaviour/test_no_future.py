"""Nothing that happens later may change what was learned, asked or answered before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.data.interactions import Interactions
from marquee.data.splits import consumed, temporal_split
from marquee.packing import pack
from marquee.recommend import Recommender
from marquee.training import FirstStage, collect_training_set, train
from tests.factories import quick_config, with_events

CONFIG = quick_config()


def moved(events: Interactions, after_us: int, *, seed: int, times: bool = True) -> Interactions:
    """Other tastes after a moment: each user's later items reversed, values changed, times stretched.

    The number of events, and so the cut at a quantile of their times, stays.
    """
    later = events.timestamp_us > after_us
    item, value, time = events.item_index.copy(), events.value.copy(), events.timestamp_us.copy()
    for user in np.unique(events.user_index[later]):
        own = np.flatnonzero(later & (events.user_index == user))
        item[own] = np.roll(item[own][::-1], seed)
    value[later] = np.random.default_rng(seed).uniform(1, 5, later.sum())
    if times:
        time[later] = after_us + (2 + seed) * (time[later] - after_us)
    order = np.lexsort((item, events.user_index, time))
    changed = Interactions(
        events.user_index, item, time, value, events.type_code, users=events.users, items=events.items
    )
    return changed.take(order)


def assert_same_arrays(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], strict=True, err_msg=name)


def state(recommender: Recommender) -> dict[str, np.ndarray]:
    """All that a first stage knows, by name."""
    catalogue = recommender.catalogue
    arrays = {
        f"{name}/{key}": array
        for name, route in recommender.routes.items()
        for key, array in route.arrays().items()
    }
    return arrays | {"statistics": catalogue.statistics.matrix, "age": catalogue.users.age}


@pytest.fixture(scope="package")
def events(dataset):
    return consumed(dataset.interactions)


@given(st.floats(0.3, 0.9), st.integers(1, 3))
@settings(max_examples=5)
def test_first_stage_is_bit_equal_when_later_events_move(dataset, events, share, seed):
    until_us = int(np.quantile(events.timestamp_us, share, method="inverted_cdf"))
    stage = FirstStage.of(dataset, CONFIG)

    one = stage.fit(events, until_us=until_us)
    other = stage.fit(moved(events, until_us, seed=seed), until_us=until_us)

    assert_same_arrays(state(one), state(other))


def test_training_rows_are_bit_equal_when_events_after_the_cut_move(dataset, events):
    stage = FirstStage.of(dataset, CONFIG)
    cut_us = temporal_split(events, CONFIG.temporal, seed=0).cut_us

    one, other = (
        collect_training_set(temporal_split(part, CONFIG.temporal, seed=0).train, stage)
        for part in (events, moved(events, cut_us, seed=1))
    )

    np.testing.assert_array_equal(one.features, other.features)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.group_sizes, other.group_sizes)


def test_candidates_and_features_are_bit_equal_when_the_answers_move(dataset, events):
    # Times stay, so that the same moments are asked about; every item after each request is another.
    split = temporal_split(events, CONFIG.temporal, seed=0)
    recommender = FirstStage.of(dataset, CONFIG).fit(events, until_us=split.cut_us)
    answers = moved_answers(events, split)
    other_split = temporal_split(answers, CONFIG.temporal, seed=0)
    other = FirstStage.of(dataset, CONFIG).fit(answers, until_us=other_split.cut_us)

    one, two = recommender.propose(split.test.queries), other.propose(other_split.test.queries)

    assert other_split.test.targets.values.tolist() != split.test.targets.values.tolist()
    np.testing.assert_array_equal(one[0].item_index, two[0].item_index)
    np.testing.assert_array_equal(one[0].route_values, two[0].route_values)
    np.testing.assert_array_equal(one[1], two[1])


def moved_answers(events, split):
    """Each asked user's target items in reverse, and their values."""
    item, value = events.item_index.copy(), events.value.copy()
    queries = split.test.queries
    for user, time_us in zip(queries.user_index, queries.time_us, strict=True):
        own = np.flatnonzero((events.user_index == user) & (events.timestamp_us >= time_us))
        item[own] = item[own][::-1]
        value[own] = 6 - value[own]
    return Interactions(
        events.user_index,
        item,
        events.timestamp_us,
        value,
        events.type_code,
        users=events.users,
        items=events.items,
    )


def test_evaluated_model_is_bit_equal_when_events_after_the_cut_move(dataset, result):
    later = moved(dataset.interactions, result.split.cut_us, seed=2)

    other = train(with_events(dataset, later), CONFIG)

    assert other.split.cut_us == result.split.cut_us
    one, two = pack(result.evaluated, dataset.movies), pack(other.evaluated, dataset.movies)
    assert_same_arrays(one.arrays, two.arrays)
    assert one.texts == two.texts
    # It would be no proof if nothing had moved: the model that was refitted on all events differs.
    final, refitted = pack(result.recommender, None).arrays, pack(other.recommender, None).arrays
    assert any(not np.array_equal(array, refitted[name]) for name, array in final.items())
