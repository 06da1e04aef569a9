"""Lists that do not say the same thing twice: maximal marginal relevance."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


class DiversityConfig(BaseModel):
    """Knobs of the diversity re-rank."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relevance: float = Field(default=1.0, ge=0, le=1)
    """λ of the paper, weight of the score against unlikeness to what stands above; 1 changes nothing."""
    pool: int = Field(default=100, ge=1)
    """Best candidates that may change places; those below keep theirs."""
    people_share: float = Field(default=0.3, ge=0, le=1)
    """How much of the likeness of two movies their people make; their genres make the rest."""

    @property
    def is_off(self) -> bool:
        """Whether the scores' order stays."""
        return self.relevance == 1


def likeness_rows(genres: sp.csr_array, people: sp.csr_array, config: DiversityConfig) -> sp.csr_array:
    """Rows of length one or zero whose products are movies' likeness, `(n_items, n_labels) float32`.

    Args:
        genres: `(n_items, n_genres)` rows of length one, or zero where unknown.
        people: `(n_items, n_people)` likewise.
        config: how much each counts. A movie of which one is unknown is judged by the other.
    """
    weights = np.sqrt([1 - config.people_share, config.people_share])
    rows = sp.csr_array(sp.hstack([genres * weights[0], people * weights[1]], format="csr"))
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    rows.data = (rows.data / np.repeat(length, np.diff(rows.indptr))).astype(np.float32)
    return rows


def diversified(
    scores: NDArray[np.float32], rows: sp.csr_array, n: int, config: DiversityConfig
) -> NDArray[np.int64]:
    """The order of one query's candidates under maximal marginal relevance, `(n_candidates,)` positions.

    The next one is, of the pool, that of the highest λ·score − (1 − λ)·(likeness to the likest above
    it); equal ones as they come. Scores count from 0 for the lowest to 1 for the highest of the pool,
    so that λ means the same for every ranker. The first k places do not depend on `n ≥ k`.

    Source: Carbonell, Goldstein (1998), "The Use of MMR, Diversity-Based Reranking for Reordering
    Documents and Producing Summaries".

    Args:
        scores: of the candidates, best first.
        rows: `likeness_rows` of the candidates, in the same order.
        n: places that count; below them the order is that of the scores.
        config: λ and the pool.
    """
    width = min(config.pool, len(scores))
    pool = rows[:width]
    likeness = (pool @ pool.T).toarray()
    relevance = config.relevance * _from_0_to_1(scores[:width])
    nearest = np.zeros(width)  # likeness to the likest of those that were taken
    is_left = np.ones(width, bool)
    taken: list[int] = []
    for _ in range(min(n, width)):
        gain = relevance - (1 - config.relevance) * nearest
        best = int(np.where(is_left, gain, -np.inf).argmax())
        taken.append(best)
        is_left[best] = False
        np.maximum(nearest, likeness[best], out=nearest)
    rest = np.concatenate([np.flatnonzero(is_left), np.arange(width, len(scores))])
    return np.concatenate([np.array(taken, np.int64), rest])


def _from_0_to_1(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """The highest as 1, the lowest as 0; all as 0 where they are equal."""
    above = scores.astype(np.float64) - scores.min(initial=np.inf)
    return np.asarray(above / (above.max(initial=0) or 1.0), np.float64)
