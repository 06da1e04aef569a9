"""Sequential: what people chose next, after what was chosen last."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from marquee.candidates.nearest import ItemLikeness
from marquee.candidates.route import Arrays, RouteConfig
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.data.sparse_rows import csr_of


class SequentialConfig(RouteConfig):
    """Knobs of the transition model."""

    window_events: int = Field(default=20, ge=1)
    """How many of the following events count as "next"."""
    decay: float = Field(default=0.9, gt=0, le=1)
    """Weight of each further event relative to the one before."""
    shrinkage: float = Field(default=100.0, ge=0)
    """Pseudo-transitions that pull the shares of a rarely left item towards zero."""
    half_life_events: float = Field(default=3.0, gt=0)
    """An event of the asking history counts half after this many later ones."""
    neighbours: int = Field(default=500, ge=1)
    """Most frequent successors kept per item, which bounds memory."""

    @classmethod
    def route_type(cls) -> type["Sequential"]:
        """The class of the route."""
        return Sequential

    def fit(self, interactions: Interactions, *, seed: int) -> "Sequential":
        """Fit the route."""
        return Sequential.fit(interactions, self, seed=seed)


@dataclass(frozen=True, eq=False)
class Sequential:
    """Scores by transition shares from the latest events of the history.

    A first-order Markov chain over items, smoothed over a window of following events.
    Source: Rendle, Freudenthaler, Schmidt-Thieme (2010), "Factorizing Personalized Markov Chains",
    section 3 (the unpersonalised, unfactorised chain); window, decay and shrinkage are ours.
    """

    name: ClassVar[str] = "sequential"
    transitions: sp.csr_array  # (n_items, n_items) float32, from the row's item to the column's
    half_life_events: float

    @classmethod
    def fit(cls, interactions: Interactions, config: SequentialConfig, *, seed: int) -> Self:
        """Count decayed transitions within each user's sequence.

        Events that share a timestamp are ordered at random, seeded: their storage order by id would
        teach that low ids come first.
        """
        n_items = len(interactions.items)
        tie = np.random.default_rng(seed).random(len(interactions))
        order = np.lexsort((tie, interactions.timestamp_us, interactions.user_index))
        user, item = interactions.user_index[order], interactions.item_index[order]
        counts: Any = sp.csr_array((n_items, n_items), dtype=np.float32)
        for step in range(1, config.window_events + 1):
            same = user[step:] == user[:-step]
            weight = np.full(np.count_nonzero(same), config.decay ** (step - 1), np.float32)
            pairs = (item[:-step][same], item[step:][same])
            counts += sp.csr_array((weight, pairs), shape=(n_items, n_items))
        leaving = np.asarray(counts.sum(axis=1)).ravel() + config.shrinkage
        counts.data /= np.repeat(leaving, np.diff(counts.indptr)).astype(np.float32)
        return cls(_strongest(counts, config.neighbours), config.half_life_events)

    @cached_property
    def _items(self) -> ItemLikeness:
        return ItemLikeness(self.transitions, self.half_life_events)

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Recency-weighted sum of transition shares; `-inf` where nothing of the history leads to."""
        return self._items.score(histories)

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """Transition shares from one item; `-inf` for itself and for what never followed it."""
        return self._items.similar(item_index)

    def arrays(self) -> Arrays:
        """The fitted state."""
        return {
            "data": self.transitions.data,
            "indices": self.transitions.indices.astype(np.int32),
            "indptr": self.transitions.indptr.astype(np.int32),
            "half_life_events": np.array(self.half_life_events, np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the fitted state."""
        n_items = len(arrays["indptr"]) - 1
        data = np.asarray(arrays["data"], np.float32)
        transitions = csr_of(data, arrays["indices"], arrays["indptr"], (n_items, n_items))
        return cls(transitions, float(arrays["half_life_events"]))


def _strongest(matrix: sp.csr_array, n: int) -> sp.csr_array:
    """The matrix with only the `n` largest entries of each row; of equals those of lower columns."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    place = np.arange(len(order)) - np.repeat(matrix.indptr[:-1], np.diff(matrix.indptr))
    kept = np.sort(order[place < n])
    return sp.csr_array((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)
