"""Nearby: what people chose close to the latest of the history, after it rather than before."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from marquee.candidates.latest_events import latest_of_each_user
from marquee.candidates.nearest import ItemLikeness, LikenessRoute, item_blocks, keep_nearest
from marquee.candidates.route import RouteConfig
from marquee.data.interactions import Interactions


class NearbyConfig(RouteConfig):
    """Knobs of the nearby items."""

    window_events: int = Field(default=100, ge=1)
    """How far apart in a user's sequence two events may be to count as a pair."""
    half_life_pairs: float = Field(default=30.0, gt=0)
    """A pair counts half for this many events between its two."""
    backward: float = Field(default=0.2, ge=0, le=1)
    """How much what came before an item counts beside what came after it."""
    source_damping: float = Field(default=0.6, ge=0, le=1)
    """Power by which an item of many pairs says less of each."""
    target_damping: float = Field(default=0.3, ge=0, le=1)
    """Power by which an item that is found near everything is held back."""
    shrinkage: float = Field(default=10.0, ge=0)
    """Added to the denominator, which pulls likenesses that rest on few pairs towards zero."""
    half_life_events: float | None = Field(default=3.0, gt=0)
    """An event of the asking history counts half after this many later ones; None: all alike."""
    neighbours: int = Field(default=500, ge=1)
    """Nearest items kept per item, which bounds memory."""
    max_user_events: int = Field(default=500, ge=1)
    """Only this many latest choices of a user teach."""

    @classmethod
    def route_type(cls) -> type["Nearby"]:
        """The class of the route."""
        return Nearby

    def fit(self, interactions: Interactions, *, seed: int) -> "Nearby":
        """Fit the route."""
        return Nearby.fit(interactions, self, seed=seed)


@dataclass(frozen=True, eq=False)
class Nearby(LikenessRoute):
    """Scores by decayed counts of pairs in people's sequences, recency-weighted over the history.

    With C(i, j) the decayed count of j after i, plus the backward share of j before i, and a, b its
    sums over rows and columns, the likeness is C(i, j) ÷ (a(i)^p b(j)^q + shrinkage).

    Source: co-visitation counts weighted by distance as in Ludewig, Jannach (2018), "Evaluation of
    Session-based Recommendation Algorithms", section 3.1.3 (sequential rules), with the asymmetric
    damping of Aiolli (2013), "Efficient Top-N Recommendation for Very Large Scale Binary Rated
    Datasets", section 3.1. The share of what came before is ours.
    """

    name: ClassVar[str] = "nearby"

    @classmethod
    def fit(cls, interactions: Interactions, config: NearbyConfig, *, seed: int) -> Self:
        """Count the pairs, a block of items at a time.

        Events that share a timestamp are ordered at random, seeded: their storage order by id would
        teach that low ids come first.
        """
        sequences = _Sequences.of(interactions, config, seed=seed)
        rows = list(_nearest_rows(sequences, len(interactions.items), config))
        return cls(ItemLikeness.of_rows(rows, len(interactions.items), config.half_life_events))


@dataclass(frozen=True, eq=False)
class _Sequences:
    """All users' events one after another, each user's in order of time."""

    item: NDArray[np.int32]  # (n_events,)
    before: NDArray[np.int64]  # (n_events,) earlier events of the same user
    after: NDArray[np.int64]  # (n_events,) later ones
    by_item: NDArray[np.int64]  # (n_events,) positions, those of one item together
    starts: NDArray[np.int64]  # (n_items + 1,) where each item's positions begin

    @classmethod
    def of(cls, interactions: Interactions, config: NearbyConfig, *, seed: int) -> Self:
        tie = np.random.default_rng(seed).random(len(interactions))
        kept = latest_of_each_user(interactions, config.max_user_events)
        order = np.lexsort((tie, interactions.timestamp_us, interactions.user_index))
        order = order[kept[order]]
        user, item = interactions.user_index[order], interactions.item_index[order]
        lengths = np.bincount(user, minlength=len(interactions.users))
        before = np.arange(len(user)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        counts = np.bincount(item, minlength=len(interactions.items))
        return cls(
            item=item,
            before=before,
            after=np.repeat(lengths, lengths) - 1 - before,
            by_item=np.argsort(item, kind="stable"),
            starts=np.concatenate([[0], np.cumsum(counts)]),
        )


def _nearest_rows(sequences: _Sequences, n_items: int, config: NearbyConfig) -> Iterator[sp.csr_array]:
    """Likenesses of blocks of items to all, the largest of each row."""
    decay = 0.5 ** (1 / config.half_life_pairs)
    from_each, to_each = _masses(sequences, n_items, decay, config)
    left, right = from_each**config.source_damping, to_each**config.target_damping
    for items in item_blocks(n_items):
        counts = _pair_counts(sequences, items, n_items, decay, config)
        norm = np.outer(left[items], right) + config.shrinkage
        likeness = np.divide(counts, norm, out=np.zeros_like(counts), where=counts > 0)
        yield keep_nearest(likeness.astype(np.float32), items, config.neighbours)


def _pair_counts(
    sequences: _Sequences, items: NDArray[np.int64], n_items: int, decay: float, config: NearbyConfig
) -> NDArray[np.float32]:
    """Decayed pairs of a run of items with all, `(len(items), n_items) float32`."""
    events = sequences.by_item[sequences.starts[items[0]] : sequences.starts[items[-1] + 1]]
    cells = (sequences.item[events] - items[0]).astype(np.int64) * n_items
    counts = np.zeros(len(items) * n_items, np.float32)
    before, after = sequences.before[events], sequences.after[events]
    for step in range(1, config.window_events + 1):
        weight = decay ** (step - 1)
        later = after >= step
        np.add.at(counts, cells[later] + sequences.item[events[later] + step], np.float32(weight))
        earlier = before >= step
        if config.backward:
            share = np.float32(config.backward * weight)
            np.add.at(counts, cells[earlier] + sequences.item[events[earlier] - step], share)
    return counts.reshape(len(items), n_items)


def _masses(
    sequences: _Sequences, n_items: int, decay: float, config: NearbyConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of all pair counts over rows and over columns, each `(n_items,)`.

    The weights of the n events on one side of an event add up to (1 - decay^n) ÷ (1 - decay).
    """
    ahead, behind = (
        (1 - decay ** np.minimum(n, config.window_events)) / (1 - decay)
        for n in (sequences.after, sequences.before)
    )
    share = config.backward
    from_each = np.bincount(sequences.item, weights=ahead + share * behind, minlength=n_items)
    to_each = np.bincount(sequences.item, weights=behind + share * ahead, minlength=n_items)
    return np.asarray(from_each, np.float64), np.asarray(to_each, np.float64)
