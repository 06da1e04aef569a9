"""Neighbours: what people with the most similar histories chose."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from marquee.candidates.latest_events import latest_of_each_user, latest_users
from marquee.candidates.matrix import history_matrix, user_item_matrix
from marquee.candidates.route import Arrays, RouteConfig
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.data.sparse_rows import csr_of

LEAST_WEIGHT: Final = 2.0**-8
"""An event of the asking history that recency weighs less is left out: it costs time and decides nothing."""


class NeighboursConfig(RouteConfig):
    """Knobs of the neighbours."""

    neighbours: int = Field(default=200, ge=1)
    """How many remembered users answer a query."""
    sharpness: float = Field(default=4.0, gt=0)
    """Power of the similarity by which a neighbour's choices count."""
    popularity_damping: float = Field(default=0.2, ge=0, le=1)
    """Sharing an item says less the more users chose it: its weight is their number to minus this power."""
    half_life_events: float | None = Field(default=5.0, gt=0)
    """An event of the asking history counts half after this many later ones; None: all alike."""
    max_users: int = Field(default=10_000, ge=1)
    """Only this many users, those active last, are remembered, which bounds memory and time."""
    max_events: int = Field(default=300, ge=1)
    """Only this many latest events of each are remembered, likewise."""

    @classmethod
    def route_type(cls) -> type["Neighbours"]:
        """The class of the route."""
        return Neighbours

    def fit(self, interactions: Interactions, *, seed: int) -> "Neighbours":
        """Fit the route."""
        return Neighbours.fit(interactions, self)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Scores by the choices of the remembered users whose histories are most like the asking one.

    The remembered users are a bounded sample of the training events, without ids or times, and the
    same for everybody: whoever asks is known by the history of the request alone, be they remembered
    or not. A user's deletion reaches the sample with the next training, as it reaches all routes.

    Source: Ludewig, Jannach (2018), "Evaluation of Session-based Recommendation Algorithms", section
    3.2.2 (VS-kNN): cosine similarity with a history whose events count by recency. The damping by
    popularity is Breese, Heckerman, Kadie (1998), "Empirical Analysis of Predictive Algorithms",
    section 2.1.2 (inverse user frequency, as a power), the sharpening of similarities section 2.1.3
    (case amplification).
    """

    name: ClassVar[str] = "neighbours"
    users: sp.csr_array  # (n_remembered, n_items) float32, 1 where chosen
    damping: NDArray[np.float32]  # (n_items,) weight of sharing each item; 0 where nobody remembered chose it
    neighbours: int
    sharpness: float
    half_life_events: float | None

    @classmethod
    def fit(cls, interactions: Interactions, config: NeighboursConfig) -> Self:
        """Remember the users who were active last, each with their latest events."""
        is_remembered = latest_users(interactions, config.max_users)[interactions.user_index]
        kept = interactions.take(is_remembered & latest_of_each_user(interactions, config.max_events))
        matrix = user_item_matrix(kept)
        users = matrix[np.flatnonzero(np.diff(matrix.indptr))]
        users.sort_indices()
        counts = np.bincount(users.indices, minlength=users.shape[1]).astype(np.float64)
        damping = np.where(counts > 0, np.maximum(counts, 1) ** -config.popularity_damping, 0)
        return cls(
            users=users,
            damping=damping.astype(np.float32),
            neighbours=config.neighbours,
            sharpness=config.sharpness,
            half_life_events=config.half_life_events,
        )

    @cached_property
    def _users_by_item(self) -> sp.csr_array:
        """`(n_items, n_remembered)`: damped choices over the length of each user's vector."""
        damped = self.users.copy()
        damped.data = self.damping[damped.indices]
        row = np.repeat(np.arange(damped.shape[0]), np.diff(damped.indptr))
        length = np.sqrt(np.bincount(row, weights=damped.data.astype(np.float64) ** 2, minlength=len(self)))
        damped.data = (damped.data / length[row]).astype(np.float32)
        return damped.T.tocsr()

    def __len__(self) -> int:
        """How many users are remembered."""
        return int(self.users.shape[0])

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Similarity-weighted share of the neighbours who chose each item; `-inf` where none of them did."""
        history = history_matrix(histories, self.users.shape[1], half_life_events=self.half_life_events)
        scores = np.asarray((self._nearest(history.to_csr()) @ self.users).toarray(), np.float32)
        scores[scores <= 0] = -np.inf
        return scores

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """Cosine of who chose the items; `-inf` for itself and where nobody remembered chose it."""
        if not self.damping[item_index]:
            return np.full(len(self.damping), -np.inf, np.float32)
        counts = np.bincount(self.users.indices, minlength=len(self.damping))
        watchers = self._users_by_item[[item_index]].indices
        shared = np.bincount(self.users[watchers].indices, minlength=len(self.damping))
        cosine = shared / np.sqrt(np.maximum(counts, 1) * counts[item_index])
        scores = np.asarray(cosine, np.float32)
        scores[self.damping == 0] = -np.inf
        scores[item_index] = -np.inf
        return scores

    def _nearest(self, history: sp.csr_array) -> sp.csr_array:
        """Weights of the nearest remembered users, `(n_queries, n_remembered)`; they add up to 1."""
        damped = history.copy()
        damped.data = np.where(damped.data >= LEAST_WEIGHT, damped.data, 0) * self.damping[damped.indices]
        damped.eliminate_zeros()
        likeness = (damped @ self._users_by_item).tocsr()
        starts, columns, values = [0], [], []
        for query in range(likeness.shape[0]):
            span = slice(likeness.indptr[query], likeness.indptr[query + 1])
            user, value = likeness.indices[span], likeness.data[span]
            if len(value) > self.neighbours:
                # The cut is by value, ties and all: the storage order of users must not decide.
                least = np.partition(value, len(value) - self.neighbours)[len(value) - self.neighbours]
                user, value = user[value >= least], value[value >= least]
            weight = (value / max(value.max(initial=0), np.finfo(np.float32).tiny)) ** self.sharpness
            starts.append(starts[-1] + len(user))
            columns.append(user)
            values.append(weight / max(weight.sum(), np.finfo(np.float32).tiny))
        flat = (
            np.concatenate([np.empty(0, np.float32), *values]).astype(np.float32),
            np.concatenate([np.empty(0, np.int32), *columns]).astype(np.int32),
            np.array(starts, np.int32),
        )
        return sp.csr_array(flat, shape=likeness.shape)

    def arrays(self) -> Arrays:
        """The fitted state; a half-life of NaN stands for none."""
        half_life = np.nan if self.half_life_events is None else self.half_life_events
        return {
            "indices": self.users.indices.astype(np.int32),
            "indptr": self.users.indptr.astype(np.int64),
            "damping": self.damping,
            "knobs": np.array([self.neighbours, self.sharpness, half_life], np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the fitted state."""
        indices, indptr = arrays["indices"], arrays["indptr"]
        damping = np.asarray(arrays["damping"], np.float32)
        neighbours, sharpness, half_life = (float(knob) for knob in np.asarray(arrays["knobs"], np.float64))
        ones, shape = np.ones(len(indices), np.float32), (len(indptr) - 1, len(damping))
        return cls(
            users=csr_of(ones, indices, indptr, shape),
            damping=damping,
            neighbours=int(neighbours),
            sharpness=sharpness,
            half_life_events=None if np.isnan(half_life) else half_life,
        )
