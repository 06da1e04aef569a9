"""Content: movies of the genres, people, words and years of the history; new movies by their publicity."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee.candidates.expected_popularity import expected_log_events
from marquee.candidates.matrix import history_matrix
from marquee.candidates.movie_facts import FIELDS, MovieFacts
from marquee.candidates.route import Arrays, RouteConfig
from marquee.candidates.tfidf import normalised_rows, tfidf
from marquee.candidates.value_weights import ValueWeights
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.data.sparse_rows import SparseRows, csr_of


class FieldWeights(BaseModel):
    """How much each kind of term counts; a field of this class is one of `FIELDS`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    genres: float = Field(default=1.5, ge=0)
    """Weight of the genres."""
    directors: float = Field(default=0.25, ge=0)
    """Weight of the directors."""
    cast: float = Field(default=0.25, ge=0)
    """Weight of the cast."""
    words: float = Field(default=0.3, ge=0)
    """Weight of the words of title and description."""
    period: float = Field(default=2.0, ge=0)
    """Weight of the years of release, in fives."""


class ContentConfig(RouteConfig):
    """Knobs of the content route."""

    weights: FieldWeights = FieldWeights()
    """Of the kinds of terms."""
    min_items: int = Field(default=2, ge=1)
    """Terms of fewer movies say nothing."""
    prior: float = Field(default=3.0, ge=0)
    """Weight of the expected popularity beside the likeness to the history, both between 0 and 1."""
    prior_events: float = Field(default=20.0, gt=0)
    """A movie with this many events is judged half by them, half by what is expected of its facts."""
    prior_ridge: float = Field(default=10.0, gt=0)
    """Weight of the squared norm of the regression that expects popularity."""
    value_weight: float = Field(default=0.3, ge=0, le=1)
    """How much more an event counts whose value is one standard deviation above the mean; 0: all alike."""
    half_life_events: float | None = Field(default=5.0, gt=0)
    """An event of the asking history counts half after this many later ones; None: all alike."""

    @classmethod
    def route_type(cls) -> type["Content"]:
        """The class of the route."""
        return Content

    def fit(self, interactions: Interactions, *, seed: int) -> "Content":
        """Fit the route on events alone: with no fact of any movie it is all prior."""
        return self.fit_with_facts(interactions, MovieFacts.unknown(len(interactions.items)), seed=seed)

    def fit_with_facts(self, interactions: Interactions, facts: MovieFacts, *, seed: int) -> "Content":
        """Fit the route."""
        return Content.fit(interactions, facts, self)


@dataclass(frozen=True, eq=False)
class Content:
    """Scores by cosine between a movie's terms and those of the history, plus the movie's prior.

    A history is the weighted mean of its movies' TF-IDF rows (Rocchio's positive centroid). The
    prior is the popularity of a movie, for one with few events what its facts let expect, so that a
    movie without any event has a score, and a user without history gets the expected best.

    Source: Pazzani, Billsus (2007), "Content-Based Recommendation Systems", section 10.3.3; the prior
    is ours.
    """

    name: ClassVar[str] = "content"
    features: sp.csr_array  # (n_items, n_terms) float32, rows of length one or zero
    prior: NDArray[np.float32]  # (n_items,) 0 to 1, -inf where nothing is known: neither event nor fact
    prior_weight: float
    half_life_events: float | None
    value_weights: ValueWeights

    @classmethod
    def fit(cls, interactions: Interactions, facts: MovieFacts, config: ContentConfig) -> Self:
        """Weigh the terms and expect the popularities."""
        weights = config.weights.model_dump()
        blocks = [tfidf(facts.terms[name], min_items=config.min_items) * weights[name] for name in FIELDS]
        features = normalised_rows(sp.csr_array(sp.hstack(blocks, format="csr", dtype=np.float32)))
        counts = np.bincount(interactions.item_index, minlength=len(interactions.items))
        return cls(
            features=features,
            prior=_prior(counts, facts, features, config),
            prior_weight=config.prior,
            half_life_events=config.half_life_events,
            value_weights=ValueWeights.of(interactions, config.value_weight),
        )

    def score(self, histories: Histories) -> NDArray[np.float32]:
        """Likeness plus weighted prior; the prior alone for an empty history."""
        history = history_matrix(
            histories,
            self.features.shape[0],
            half_life_events=self.half_life_events,
            weights=self.value_weights,
        )
        # Dense: a profile has most of the terms that count.
        profiles = history.times(self.features)
        length = np.sqrt(np.square(profiles, dtype=np.float64).sum(axis=1, keepdims=True))
        length[length == 0] = 1
        profiles /= length
        scores = (self._rows @ profiles.T).T
        scores += self._offset
        return scores

    def similar(self, item_index: int) -> NDArray[np.float32]:
        """Cosine of the terms; `-inf` for itself and to or from a movie without terms."""
        row = self.features[[item_index]].toarray().ravel()
        scores = np.asarray(self.features @ row, np.float32)
        has_terms = np.diff(self.features.indptr) > 0
        scores[~has_terms | (not has_terms[item_index])] = -np.inf
        scores[item_index] = -np.inf
        return scores

    @cached_property
    def _rows(self) -> SparseRows:
        rows = self.features
        return SparseRows(rows.data, rows.indices, rows.indptr, rows.shape)

    @cached_property
    def _offset(self) -> NDArray[np.float32]:
        known = np.isfinite(self.prior)
        return np.where(known, self.prior_weight * np.where(known, self.prior, 0), -np.inf).astype(np.float32)

    def arrays(self) -> Arrays:
        """The fitted state; a half-life of NaN stands for none."""
        half_life = np.nan if self.half_life_events is None else self.half_life_events
        return {
            "data": self.features.data,
            "indices": self.features.indices.astype(np.int32),
            "indptr": self.features.indptr.astype(np.int64),
            "n_terms": np.array(self.features.shape[1], np.int64),
            "prior": self.prior,
            "knobs": np.array([self.prior_weight, half_life], np.float64),
            "value_weights": self.value_weights.to_array(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild from the fitted state."""
        prior = np.asarray(arrays["prior"], np.float32)
        prior_weight, half_life = (float(knob) for knob in np.asarray(arrays["knobs"], np.float64))
        return cls(
            features=csr_of(
                np.asarray(arrays["data"], np.float32),
                arrays["indices"],
                arrays["indptr"],
                (len(prior), int(arrays["n_terms"])),
            ),
            prior=prior,
            prior_weight=prior_weight,
            half_life_events=None if np.isnan(half_life) else half_life,
            value_weights=ValueWeights.from_array(arrays["value_weights"]),
        )


def _prior(
    counts: NDArray[np.integer], facts: MovieFacts, features: sp.csr_array, config: ContentConfig
) -> NDArray[np.float32]:
    """Log events, shrunk towards those expected of a movie with such facts, as a share of the highest."""
    expected = expected_log_events(counts, facts, ridge=config.prior_ridge)
    trust = counts / (counts + config.prior_events)
    level = np.maximum(trust * np.log1p(counts) + (1 - trust) * expected, 0)
    prior = np.asarray(level / max(level.max(initial=0), np.finfo(np.float64).tiny), np.float32)
    has_facts = (np.diff(features.indptr) > 0) | np.isfinite(facts.publicity).any(axis=1)
    prior[(counts == 0) & ~has_facts] = -np.inf
    return prior
