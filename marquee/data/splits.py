"""Time splits: what a model may learn from, and the questions it is then asked.

Two rules hold in every split. Nothing after a cut trains a model. And a boundary falls only where
the timestamp changes: three in four ratings of MovieLens-100k share their second with another of
the same user, and whoever splits such a tie by row order or id lets the answer leak into the
question.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee import schema
from marquee.data.histories import LabelledMoments
from marquee.data.interactions import Interactions, Ragged
from marquee.errors import NotEnoughDataError

CONSUMPTION_TYPES: tuple[schema.InteractionType, ...] = ("view", "like", "share", "rating", "watchlist")
"""Interaction types that count as "the user chose this item"; an impression or click does not."""


class TemporalConfig(BaseModel):
    """The headline protocol: learn from the past, be asked about the future."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_quantile: float = Field(default=0.8, gt=0, lt=1)
    """The cut: this quantile of all event times; events at or before it train."""
    min_events: int = Field(default=10, ge=2)
    """A user is asked only with at least this many events after the cut."""
    history_share: float = Field(default=0.5, gt=0, lt=1)
    """Share of a user's events after the cut that joins the history; the rest is the target."""
    max_queries: int = Field(default=10_000, ge=1)
    """More eligible users than this are sampled down, seeded."""


@dataclass(frozen=True, eq=False)
class TemporalSplit:
    """Training events up to `cut_us` (inclusive) and labelled moments after it."""

    train: Interactions
    test: LabelledMoments
    cut_us: int


def consumed(interactions: Interactions) -> Interactions:
    """The events by which users chose items; one event per user and item, the first.

    Implicit-feedback models learn from who chose what. The first time is kept, since a second
    viewing of an item that is already in the history is not a recommendation's success.
    """
    codes = [schema.INTERACTION_TYPES.index(kind) for kind in CONSUMPTION_TYPES]
    chosen = np.flatnonzero(np.isin(interactions.type_code, codes))
    pair = interactions.user_index[chosen].astype(np.int64) * len(interactions.items)
    _, first = np.unique(pair + interactions.item_index[chosen], return_index=True)
    return interactions.take(chosen[np.sort(first)])


def time_quantile(interactions: Interactions, quantile: float) -> int:
    """The time in UTC microseconds at or before which `quantile` of the events lie."""
    return int(np.quantile(interactions.timestamp_us, quantile, method="inverted_cdf"))


def temporal_split(interactions: Interactions, config: TemporalConfig, *, seed: int) -> TemporalSplit:
    """Cut consumed events at a time quantile and ask each active user about the rest.

    For a user with enough events after the cut, the history is all before plus the first share of
    those, the target the remainder, and the moment of the request the last microsecond before the
    first target event. The boundary is the change of timestamp nearest to the wanted share (the
    earlier one if two are equally near); a user whose events after the cut share one timestamp has
    none and is not asked.

    Raises:
        NotEnoughDataError: if there is no event, or no user qualifies.
    """
    if not len(interactions):
        raise NotEnoughDataError(
            f"there is no event of a type that counts as chosen ({', '.join(CONSUMPTION_TYPES)}).",
            remedy="Bring events, or mend the mapping of interaction_type.",
        )
    cut_us = time_quantile(interactions, config.train_quantile)
    moments = cut_moments(
        interactions, after_us=cut_us, shares=(config.history_share,), min_events=config.min_events
    )
    if not len(moments):
        raise NotEnoughDataError(
            f"no user has {config.min_events} events at two or more moments after the cut at the "
            f"{config.train_quantile:.0%} time quantile.",
            remedy="Bring more events, or lower temporal.min_events or temporal.train_quantile.",
        )
    train = interactions.take(interactions.timestamp_us <= cut_us)
    return TemporalSplit(train, sample_moments(moments, config.max_queries, seed=seed), cut_us)


def cut_moments(
    interactions: Interactions,
    *,
    after_us: int,
    until_us: int | None = None,
    shares: tuple[float, ...],
    min_events: int,
) -> LabelledMoments:
    """Moments to ask at, from users' events in the window (`after_us`, `until_us`].

    Each share of a user's window events makes one moment, unless two shares fall on the same
    boundary: what is before it is known then, the rest of the window is the target. Moments are
    ordered by user index, then time. Expects one event per user and item (see `consumed`), so that
    targets are new to the user.
    """
    return moments_of(
        interactions,
        after_us=after_us,
        until_us=until_us,
        boundaries=lambda times, n_before: [
            n_before + boundary for boundary in _boundaries(times[n_before:], shares, min_events)
        ],
    )


def moments_of(
    interactions: Interactions,
    *,
    after_us: int,
    until_us: int | None = None,
    boundaries: Callable[[NDArray[np.int64], int], Sequence[int]],
) -> LabelledMoments:
    """Moments to ask at, the last microsecond before each boundary in a user's events up to `until_us`.

    Args:
        interactions: one event per user and item.
        after_us: where the window begins.
        until_us: where it ends; None for with the last event.
        boundaries: of a user's event times, of which the first so many lie before the window, the
            positions of the events at which to ask: from there on all are targets.
    """
    times = interactions.timestamp_us
    stop = len(times) if until_us is None else int(np.searchsorted(times, until_us, side="right"))
    order = np.argsort(interactions.user_index[:stop], kind="stable")  # keeps time order within a user
    users, starts = np.unique(interactions.user_index[order], return_index=True)
    ends = np.append(starts[1:], len(order))[: len(users)]  # no event, no end
    asked: list[int] = []
    targets: list[NDArray[np.int64]] = []
    for user, start, end in zip(users, starts, ends, strict=True):
        events = order[start:end]
        n_before = int(np.searchsorted(times[events], after_us, side="right"))
        for boundary in boundaries(times[events], n_before):
            asked.append(int(user))
            targets.append(events[boundary:])
    return LabelledMoments(
        user_index=np.array(asked, dtype=np.int32),
        time_us=np.array([times[target[0]] - 1 for target in targets], dtype=np.int64),
        targets=Ragged.of([interactions.item_index[target] for target in targets]),
    )


def _boundaries(times: NDArray[np.int64], shares: tuple[float, ...], min_events: int) -> list[int]:
    """Where to cut a user's window: each the change of timestamp nearest to a wanted share."""
    if len(times) < min_events:
        return []
    changes = np.flatnonzero(np.diff(times)) + 1
    if not len(changes):
        return []
    wanted = [int(len(times) * share) for share in shares]
    return sorted({int(changes[np.argmin(np.abs(changes - target))]) for target in wanted})


def sample_moments(labelled: LabelledMoments, n: int, *, seed: int) -> LabelledMoments:
    """At most `n` of the moments, drawn without replacement and kept in order."""
    if len(labelled) <= n:
        return labelled
    rows = np.random.default_rng(seed).choice(len(labelled), size=n, replace=False)
    return labelled.take(np.sort(rows))
