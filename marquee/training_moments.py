"""At which moments a training asks, and what: all of it follows from events and configuration.

Apart from `marquee.training`, so that the state of these moments can be read without a booster in memory.
"""

from collections.abc import Iterator

import numpy as np

from marquee.config import TrainingConfig
from marquee.data.cold_moments import cold_moments
from marquee.data.dataset import Dataset
from marquee.data.histories import LabelledMoments
from marquee.data.interactions import Interactions
from marquee.data.splits import (
    TemporalConfig,
    consumed,
    cut_moments,
    sample_moments,
    temporal_split,
    time_quantile,
)
from marquee.features.context import DAY_US
from marquee.features.movie_states import MovieStates, refresh_moments
from marquee.features.recorded import Question
from marquee.ranking.training_set import TrainingSetConfig


def past_windows(
    train: Interactions, config: TrainingSetConfig, *, seed: int
) -> Iterator[tuple[int, LabelledMoments]]:
    """Windows as `collect_windows` asks about them, the newest first: the moment before, and the moments."""
    n_queries = 0
    for after_us, until_us in _windows(train, config.windows, config.window_share):
        moments = _window_moments(train, config, after_us=after_us, until_us=until_us, seed=seed)
        moments = sample_moments(moments, config.max_queries - n_queries, seed=seed)
        yield after_us, moments
        n_queries += len(moments)
        if n_queries >= config.max_queries:
            return


def questions_of(dataset: Dataset, config: TrainingConfig) -> Iterator[Question]:
    """All that training and measuring on a data set will ask the state for.

    Whoever has the answers has the whole run's state. A champion of another recipe may ask for more.

    Raises:
        NotEnoughDataError: too few events to split.
    """
    events = consumed(dataset.interactions)
    split = temporal_split(events, config.temporal, seed=config.seed)
    cold = cold_moments(events, after_us=split.cut_us, config=config.temporal, seed=config.seed)
    past = list(past_windows(split.train, config.training_set, seed=config.seed))
    learned_us = [split.cut_us, midnight_after(events), *(after_us for after_us, found in past if len(found))]
    items = events.items
    for moment_us in learned_us:
        yield Question("movies", items.ids, np.full(len(items), moment_us, np.int64))
    for moments in (split.test, cold, *(found for _, found in past)):
        if len(moments):
            days_us = refresh_moments(moments.time_us, len(items))
            yield Question("movies", *MovieStates.asked(items, days_us))
            yield Question("users", events.users.ids.gather(moments.user_index), moments.time_us)


def midnight_after(events: Interactions) -> int:
    """The night after the last event, UTC microseconds: all events are in its state."""
    return (int(events.timestamp_us[-1]) // DAY_US + 1) * DAY_US


def _window_moments(
    train: Interactions, config: TrainingSetConfig, *, after_us: int, until_us: int, seed: int
) -> LabelledMoments:
    """The labelled moments of one window: users in the midst of it, and newcomers."""
    moments = cut_moments(
        train,
        after_us=after_us,
        until_us=until_us,
        shares=config.history_shares,
        min_events=config.min_events,
    )
    if not config.newcomers:
        return moments
    begun = cold_moments(
        train,
        after_us=after_us,
        until_us=until_us,
        config=TemporalConfig(min_events=config.min_events),
        seed=seed,
    )
    return LabelledMoments.joined([moments, begun])


def _windows(train: Interactions, n: int, share: float) -> Iterator[tuple[int, int]]:
    """Bounds (after, until] of at most `n` windows, newest first, each `share` of the events."""
    for number in range(n):
        start, end = 1 - (number + 1) * share, 1 - number * share
        if start <= 0:
            return
        yield time_quantile(train, start), time_quantile(train, end)
