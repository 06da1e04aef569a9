import numpy as np
import pytest

from marquee.data.cold_moments import COLD_BELOW, cold_moments
from marquee.data.histories import LabelledMoments
from marquee.data.interactions import Interactions
from marquee.data.splits import TemporalConfig
from tests.factories import SECOND_US, events

CUT_S = 1_000
CONFIG = TemporalConfig(min_events=6)


def asked(interactions: Interactions, config: TemporalConfig = CONFIG) -> LabelledMoments:
    return cold_moments(interactions, after_us=CUT_S * SECOND_US, config=config, seed=1)


def watched(user: str, *seconds: float) -> list[tuple[str, str, float]]:
    return [(user, f"m{number}", second) for number, second in enumerate(seconds)]


def moments_of(found: LabelledMoments) -> list[tuple[float, int]]:
    """When each question is asked, and how many targets it has."""
    return [((time_us + 1) / SECOND_US, len(found.targets[row])) for row, time_us in enumerate(found.time_us)]


def test_newcomer_is_asked_before_the_first_event_and_with_fewer_than_five():
    found = asked(events(*watched("new", *range(1_001, 1_009))))

    assert moments_of(found) == [(1_001, 8), (1_005, 4)]  # none known, four known
    assert found.targets[1].tolist() == [4, 5, 6, 7]


def test_boundary_never_splits_events_of_one_second():
    found = asked(events(*watched("new", 1_001, 1_002, 1_003, 1_003, 1_003, 1_006)))

    assert moments_of(found) == [(1_001, 6), (1_003, 4)]  # two known: the third shares its second


def test_newcomer_whose_first_five_share_a_second_is_asked_only_before_them():
    found = asked(events(*watched("new", *[1_001] * 5, 1_002)))

    assert moments_of(found) == [(1_001, 6)]


@pytest.mark.parametrize(("n_before", "expected"), [(1, [1_004]), (4, [1_001]), (5, [])])
def test_user_with_events_before_the_cut_is_asked_while_cold(n_before: int, expected: list[float]):
    before = range(CUT_S - n_before, CUT_S)

    found = asked(events(*watched("old", *before, *range(1_001, 1_010))))

    assert [second for second, _ in moments_of(found)] == expected


def test_user_with_too_few_events_after_the_cut_is_not_asked():
    assert len(asked(events(*watched("new", *range(1_001, 1_006))))) == 0


def test_no_event_gives_no_moment():
    assert len(asked(events(items=["m0"]))) == 0


def test_many_moments_are_sampled_down():
    rows = [row for user in range(9) for row in watched(f"u{user}", *range(1_001, 1_009))]

    found = asked(events(*rows), CONFIG.model_copy(update={"max_queries": 5}))

    assert len(found) == 5
    assert np.all(np.diff(found.user_index) >= 0)


def test_nothing_known_reaches_the_targets():
    """Every target lies after its moment, and what is known is less than `COLD_BELOW` events."""
    rng = np.random.default_rng(3)
    interactions = events(
        *[row for user in range(20) for row in watched(f"u{user}", *np.sort(rng.integers(995, 1_035, 20)))]
    )

    found = asked(interactions)

    assert len(found) > 10
    for row in range(len(found)):
        own = interactions.user_index == found.user_index[row]
        known = own & (interactions.timestamp_us <= found.time_us[row])
        later = own & (interactions.timestamp_us > found.time_us[row])
        assert known.sum() < COLD_BELOW
        assert sorted(interactions.item_index[later]) == sorted(found.targets[row])
        assert found.time_us[row] >= CUT_S * SECOND_US
