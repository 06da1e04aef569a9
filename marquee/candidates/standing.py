"""Where items stand for everybody alike: put in order once, so that a request only skips what is hidden."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from marquee.candidates.trending import places_for_surges

Top = tuple[list[int], list[float]]
"""Items, best first, and their scores."""


@dataclass(frozen=True, eq=False)
class Standing:
    """Items by a score that is the same for all who ask."""

    score: NDArray[np.float32]  # (n_items,), -inf is never shown

    @cached_property
    def order(self) -> Sequence[int]:
        """All that may be shown, best first; of equals the lower index."""
        order = np.argsort(-self.score, kind="stable")
        return tuple(order[np.isfinite(self.score[order])].tolist())

    def top(self, n: int, hidden: set[int]) -> Top:
        """The best `n` items that are not hidden."""
        items = _first(n, self.order, hidden)
        return items, self.score[items].tolist()


@dataclass(frozen=True, eq=False)
class SurgingStanding:
    """A few items that surge first, all others by their popularity."""

    lately: Standing  # from 0 to below 1
    surge: NDArray[np.float32]  # (n_items,), above 0 where an item surges

    @cached_property
    def surging(self) -> Sequence[int]:
        """All that surge and may be shown, most first; of equals the lower index."""
        surge = np.where(np.isfinite(self.lately.score), self.surge, 0)
        order = np.argsort(-surge, kind="stable")
        return tuple(order[surge[order] > 0].tolist())

    def top(self, n: int, hidden: set[int]) -> Top:
        """The best `n` items that are not hidden; a surge adds 1 and its surprise to the score."""
        first = _first(places_for_surges(n), self.surging, hidden)
        others = _first(n, self.lately.order, hidden.union(first) if first else hidden)
        items, lately = np.array(first + others, np.int64), self.lately.score
        scores = np.concatenate([lately[first] + (1 + self.surge[first]), lately[others]])
        best = np.lexsort((items, -scores))[:n]
        return items[best].tolist(), scores[best].tolist()


@dataclass(frozen=True, eq=False)
class Nearest:
    """Items most like one, put in order when it was first asked about."""

    item_index: NDArray[np.int32]  # (n,) best first
    score: NDArray[np.float32]  # (n,)
    is_whole: bool
    """Whether no other item is like it."""

    def top(self, n: int, hidden: NDArray[np.bool_] | None) -> Top | None:
        """The best `n` that are not hidden, `(n_items,) bool`; None where only others could fill the list."""
        place = slice(0, n) if hidden is None else np.flatnonzero(~hidden[self.item_index])[:n]
        items, scores = self.item_index[place].tolist(), self.score[place].tolist()
        return (items, scores) if len(items) == n or self.is_whole else None


def _first(n: int, order: Sequence[int], hidden: set[int]) -> list[int]:
    shown: Iterator[int] = (item for item in order if item not in hidden)
    return list(islice(shown, n))
