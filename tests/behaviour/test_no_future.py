"""Nothing that happens later may change what was learned, asked or answered before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.data.interactions import Interactions
from marquee.data.splits import consumed, temporal_split
from marquee.packing import pack
from marquee.recommend import Recommender
from marquee.training import FirstStage, collect_training_set
from tests.factories import quick_config, stage_of, trained, with_events

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
    movies, states = catalogue.movies, catalogue.states
    arrays = {
        f"{name}/{key}": array
        for name, route in recommender.routes.items()
        for key, array in route.arrays().items()
    }
    return arrays | {
        "states": states.matrix,
        "moments": states.moments_us,
        "year": movies.year,
        "genres": movies.genres.toarray(),
        "people": movies.people.toarray(),
    }


@pytest.fixture(scope="package")
def events(dataset):
    return consumed(dataset.interactions)


def stage(dataset, events: Interactions) -> FirstStage:
    """The first stage of a data set with other events, and with the state that was built of those."""
    return stage_of(with_events(dataset, events), CONFIG)


@given(st.floats(0.3, 0.9), st.integers(1, 3))
@settings(max_examples=5)
def test_first_stage_is_bit_equal_when_later_events_move(dataset, events, share, seed):
    until_us = int(np.quantile(events.timestamp_us, share, method="inverted_cdf"))
    later = moved(events, until_us, seed=seed)

    one = stage(dataset, events).fit(events, until_us=until_us)
    other = stage(dataset, later).fit(later, until_us=until_us)

    assert_same_arrays(state(one), state(other))


def test_training_rows_are_bit_equal_when_events_after_the_cut_move(dataset, events):
    cut_us = temporal_split(events, CONFIG.temporal, seed=0).cut_us

    one, other = (
        collect_training_set(temporal_split(part, CONFIG.temporal, seed=0).train, stage(dataset, part))
        for part in (events, moved(events, cut_us, seed=1))
    )

    np.testing.assert_array_equal(one.features, other.features)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.group_sizes, other.group_sizes)


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_candidates_and_features_are_bit_equal_when_all_after_the_request_moves(dataset, events, share):
    # One request at a time: the answers to an early one are the past of a later one.
    split = temporal_split(events, CONFIG.temporal, seed=0)
    by_time = np.argsort(split.test.time_us, kind="stable")
    moment = split.test.take(by_time[[round(share * (len(by_time) - 1))]])
    later = moved(events, int(moment.time_us[0]), seed=1)

    one, other = (proposed(stage(dataset, part), part, moment, split.cut_us) for part in (events, later))

    own = later.item_index[
        (later.user_index == moment.user_index[0]) & (later.timestamp_us > moment.time_us[0])
    ]
    assert own.tolist() != moment.targets.values.tolist()  # it would be no proof if nothing had moved
    np.testing.assert_array_equal(one[0].item_index, other[0].item_index)
    np.testing.assert_array_equal(one[0].route_values, other[0].route_values)
    np.testing.assert_array_equal(one[1], other[1])


def proposed(first_stage: FirstStage, events: Interactions, moment, cut_us: int):
    """Candidates and features of labelled moments."""
    recommender, asked = first_stage.ask(first_stage.fit(events, until_us=cut_us), moment, events)
    return recommender.propose(asked.queries)


def test_evaluated_model_is_bit_equal_when_events_after_the_cut_move(dataset, result):
    later = moved(dataset.interactions, result.split.cut_us, seed=2)

    other = trained(with_events(dataset, later), CONFIG)

    assert other.split.cut_us == result.split.cut_us
    one, two = pack(result.evaluated, dataset.movies), pack(other.evaluated, dataset.movies)
    assert_same_arrays(one.arrays, two.arrays)
    assert one.texts == two.texts
    # It would be no proof if nothing had moved: the model that was refitted on all events differs.
    final, refitted = pack(result.recommender, None).arrays, pack(other.recommender, None).arrays
    assert any(not np.array_equal(array, refitted[name]) for name, array in final.items())
