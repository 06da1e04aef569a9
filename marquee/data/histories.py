"""What a model is asked with: a user, a moment, and the user's events up to that moment.

Training, offline evaluation and serving all build `Queries`; nothing downstream can tell them
apart, which is what keeps the three alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from marquee.data.interactions import Interactions, Ragged

LEAST_RECENCY: Final = 2.0**-10
"""An event of a smaller recency weight weighs nothing: it would cost a request as much as one that counts."""


@dataclass(frozen=True, eq=False)
class Histories:
    """Events of many users as one ragged table: row `i` is `offsets[i]:offsets[i + 1]`.

    Within a row the oldest event comes first. Events of one timestamp are peers: `events_since`
    gives them the same age, so their storage order carries no information.
    """

    offsets: NDArray[np.int64]
    item_index: NDArray[np.int32]
    timestamp_us: NDArray[np.int64]
    value: NDArray[np.float32]
    # By half-life; several routes ask for the same.
    _recent: dict[float, Self] = field(default_factory=dict, init=False, repr=False)
    _recency_weights: dict[float | None, NDArray[np.float32]] = field(
        default_factory=dict, init=False, repr=False
    )

    @classmethod
    def of_rows(cls, interactions: Interactions, rows: Sequence[NDArray[np.integer]]) -> Self:
        """Gather one history per entry of `rows`, each the positions of its events."""
        empty = np.empty(0, np.int64)
        flat = np.concatenate([empty, *rows]).astype(np.int64)
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        return cls(
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            item_index=interactions.item_index[flat],
            timestamp_us=interactions.timestamp_us[flat],
            value=interactions.value[flat],
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Events per history, `(n_queries,) int64`."""
        return self.offsets[1:] - self.offsets[:-1]

    @cached_property
    def row(self) -> NDArray[np.int64]:
        """The history that each event belongs to, `(n_events,) int64`."""
        return np.arange(len(self)).repeat(self.lengths)

    @cached_property
    def last_us(self) -> NDArray[np.int64]:
        """Time of each history's last event, `(n_queries,) int64`; 0 where it has none."""
        last = np.zeros(len(self), np.int64)
        filled = self.lengths > 0
        last[filled] = self.timestamp_us[self.offsets[1:][filled] - 1]
        return last

    @cached_property
    def events_since(self) -> NDArray[np.int64]:
        """How many later events each event's history holds, `(n_events,) int64`.

        Zero for the last event and for all that share its timestamp.
        """
        since = np.empty(len(self.timestamp_us), np.int64)
        for start, end in pairwise(self.offsets.tolist()):
            time = self.timestamp_us[start:end]
            since[start:end] = len(time) - time.searchsorted(time, side="right")
        return since

    def recency_weights(self, half_life_events: float | None) -> NDArray[np.float32]:
        """Weight of each event, `(n_events,) float32`: 0.5 ** (events since ÷ half-life).

        0 where that is below `LEAST_RECENCY`: with ten half-lives behind it an event has no say, and all
        such events together would have a thousandth. All ones where the half-life is None.
        """
        weights = self._recency_weights.get(half_life_events)
        if weights is None:
            n_events = len(self.item_index)
            if half_life_events is None:
                weights = np.ones(n_events, np.float32)
            else:
                weights = _fading(half_life_events, n_events.bit_length()).take(self.events_since)
            weights.flags.writeable = False
            self._recency_weights[half_life_events] = weights
        return weights

    def recent(self, half_life_events: float | None) -> Self:
        """The same histories with only the events that have a recency weight; None: with all."""
        if half_life_events is None:
            return self
        recent = self._recent.get(half_life_events)
        if recent is None:
            weights = self.recency_weights(half_life_events)
            if np.count_nonzero(weights) == len(weights):
                return self  # not remembered: what refers to itself outlives its request
            counts = weights > 0
            recent = self._recent[half_life_events] = self.kept(counts)
            recent._recency_weights[half_life_events] = weights[counts]
        return recent

    def kept(self, events: NDArray[np.bool_]) -> Self:
        """The same histories with only some of their events, of a mask `(n_events,)`."""
        (places,) = events.nonzero()
        return type(self)(
            offsets=places.searchsorted(self.offsets),
            item_index=self.item_index.take(places),
            timestamp_us=self.timestamp_us.take(places),
            value=self.value.take(places),
        )

    def take(self, rows: NDArray[np.integer]) -> Self:
        """The histories at `rows`, in that order."""
        parts = [np.arange(self.offsets[row], self.offsets[row + 1]) for row in rows]
        flat = np.concatenate([np.empty(0, np.int64), *parts])
        lengths = self.lengths[rows]
        return type(self)(
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            item_index=self.item_index[flat],
            timestamp_us=self.timestamp_us[flat],
            value=self.value[flat],
        )

    def block(self, rows: slice) -> Self:
        """The histories of a slice with both bounds; its events are not copied."""
        offsets = self.offsets[rows.start : rows.stop + 1]
        events = slice(offsets[0], offsets[-1])
        return type(self)(
            offsets=offsets - offsets[0],
            item_index=self.item_index[events],
            timestamp_us=self.timestamp_us[events],
            value=self.value[events],
        )


@lru_cache(maxsize=64)
def _fading(half_life_events: float, n_bits: int) -> NDArray[np.float32]:
    """Recency weights by the number of events since, `(2 ** n_bits,) float32`.

    A table, since the same few powers are asked for by every request.
    """
    weights = np.power(0.5, np.arange(2**n_bits) / half_life_events).astype(np.float32)
    weights[weights < LEAST_RECENCY] = 0
    return weights


@dataclass(frozen=True, eq=False)
class Queries:
    """Requests: who asks, when, after which events, and what else is known of them then.

    `time_us` is the moment of the request in UTC microseconds: whatever happened up to and with it is
    known. `user_index` tells askers apart, `UNKNOWN_INDEX` for somebody of whom nothing is known; no
    model reads it.
    """

    user_index: NDArray[np.int32]
    time_us: NDArray[np.int64]
    histories: Histories
    user_state: NDArray[np.float32]  # (n_queries, len(schema.USER_STATE)), NaN where unknown

    def __len__(self) -> int:
        return len(self.user_index)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """The queries at `rows`, in that order."""
        return type(self)(
            self.user_index[rows], self.time_us[rows], self.histories.take(rows), self.user_state[rows]
        )

    def block(self, rows: slice) -> Self:
        """The queries of a slice with both bounds; what they share with these is not copied."""
        if (rows.start, rows.stop) == (0, len(self)):
            return self  # and what was found out of its histories with it
        return type(self)(
            self.user_index[rows], self.time_us[rows], self.histories.block(rows), self.user_state[rows]
        )


@dataclass(frozen=True, eq=False)
class LabelledMoments:
    """Users and moments to ask at, with the items that each went on to consume (unique, new to the user)."""

    user_index: NDArray[np.int32]
    time_us: NDArray[np.int64]  # UTC microseconds: what happened up to and with it is known
    targets: Ragged

    def __len__(self) -> int:
        return len(self.user_index)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The moments of all parts by user and time, each user and moment once: the earlier part's."""
        user = np.concatenate([part.user_index for part in parts])
        time = np.concatenate([part.time_us for part in parts])
        targets = [part.targets[row] for part in parts for row in range(len(part))]
        order = np.lexsort((time, user))  # stable: of equals the earlier part's is the first
        is_new = np.ones(len(order), bool)
        is_new[1:] = (np.diff(user[order]) != 0) | (np.diff(time[order]) != 0)
        rows = order[is_new]
        return cls(user[rows], time[rows], Ragged.of([targets[row] for row in rows]))

    def take(self, rows: NDArray[np.integer]) -> Self:
        """The moments at `rows`, in that order."""
        return type(self)(
            self.user_index[rows], self.time_us[rows], Ragged.of([self.targets[row] for row in rows])
        )


@dataclass(frozen=True, eq=False)
class LabelledQueries:
    """Queries with the items that each user went on to consume (unique, new to the user)."""

    queries: Queries
    targets: Ragged

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """The labelled queries at `rows`, in that order."""
        return type(self)(self.queries.take(rows), Ragged.of([self.targets[row] for row in rows]))

    def block(self, rows: slice) -> Self:
        """The labelled queries of a slice with both bounds."""
        return self.take(np.arange(rows.start, rows.stop))
