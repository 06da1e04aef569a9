"""Windows, feeds, and what one may learn from them when."""

import numpy as np
import pytest

from marquee import schema
from marquee.errors import NotEnoughDataError
from marquee.monitoring.quality import QualityConfig
from marquee.replay.config import ReplayConfig
from marquee.replay.world import World
from tests.marquee.replay.weeks import DAY_US, REPLAY, USERS, WINDOWS, dataset, events


def world(*shocks: str, config: ReplayConfig = REPLAY, quality: QualityConfig | None = None) -> World:
    return World.of(
        dataset(), events(), shocks=shocks, config=config, quality=quality or QualityConfig(), seed=3
    )


def test_world_windows_are_the_weeks_after_the_warm_up():
    spans = world().spans

    assert [span.start_us // DAY_US for span in spans] == [28, 35, 42, 49, 56, 63, 70, 77]
    assert all(span.end_us - span.start_us == 7 * DAY_US for span in spans)


def test_world_windows_with_too_few_users_go_on():
    spans = world(config=REPLAY.model_copy(update={"min_users": USERS + 1})).spans

    assert [(span.end_us - span.start_us) // (7 * DAY_US) for span in spans] == [2, 2, 2, 2]


def test_world_without_two_windows_says_how_many_users_it_lacks():
    with pytest.raises(NotEnoughDataError, match="Only 0 windows after the warm-up have 999 users"):
        world(config=REPLAY.model_copy(update={"min_users": 999}))


def test_world_blocked_feed_is_left_out_while_it_lasts_and_mended_afterwards():
    made = world("null_column@2+2")

    weeks = {number: len(truth) for number, truth in enumerate(made.truth, 1)}
    assert [feed.is_blocked for feed in made.feeds] == [False, True, True, *([False] * (WINDOWS - 3))]
    warm_up = len(made.warm_up)
    assert len(made.known(1)) == warm_up + weeks[1]
    assert len(made.known(3)) == warm_up + weeks[1]
    assert len(made.known(4)) == warm_up + sum(weeks[number] for number in (1, 2, 3, 4))


def test_world_fault_that_the_gate_lets_through_is_learned_from():
    blind = QualityConfig(max_off_scale_share=1, max_outside_share=1, max_gone_share=1)
    made = world("scale@2+1", quality=blind)

    assert not any(feed.is_blocked for feed in made.feeds)
    doubled = made.known(2).tail(len(made.truth[1]))[schema.VALUE]
    assert doubled.to_list() == (made.truth[1][schema.VALUE] * 2).to_list()


def test_world_change_of_the_world_is_in_what_is_learned_and_in_nothing_before():
    plain, surged = world(), world("genre_surge@4+1")

    assert surged.known(3).equals(plain.known(3))
    assert not surged.truth[3].equals(plain.truth[3])
    assert surged.known(4).tail(len(surged.truth[3])).equals(surged.truth[3])


def test_world_learnable_ends_with_its_window():
    made = world()

    learned = made.learnable(3).interactions
    assert learned.timestamp_us.max() < made.spans[3].start_us
    assert np.array_equal(learned.items.ids.to_numpy(), made.dataset.interactions.items.ids.to_numpy())
