"""A blend of the routes: how far to trust each.

Where every training question is alike (a random split has no moments), what is left to learn is how
far to trust each route: a handful of weights, which trees of many leaves would only learn roughly.
"""

import json
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee.errors import BundleError
from marquee.ranking.group_ndcg import GroupNdcg
from marquee.ranking.ranker import TrainingSet

_SCORE: Final = "_score"


class RouteBlendConfig(BaseModel):
    """Knobs of the blend."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int = Field(default=10, ge=1)
    """The cut of the NDCG that the weights are chosen by."""
    steps: tuple[float, ...] = (-0.1, 0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
    """Weights that are tried for each route beside the best one, whose weight is 1."""
    sweeps: int = Field(default=2, ge=1)
    """How often each route is tried."""
    min_gain: float = Field(default=0.0005, ge=0)
    """Relative gain that a change of weight has to bring: less is chance."""


@dataclass(frozen=True, eq=False)
class RouteBlend:
    """Scores by a weighted sum of the routes' scores, each in units of its own spread.

    Source: Metzler, Croft (2007), "Linear feature-based models for information retrieval", section 4:
    coordinate ascent on the metric itself. Starting from the best route is ours: it can't get worse.
    """

    name: ClassVar[str] = "route_blend"
    feature_names: tuple[str, ...]
    weights: NDArray[np.float64]  # (n_features,), zero for all but scores of routes
    lowest: NDArray[np.float64]  # (n_features,) the score that stands for an unknown one

    @classmethod
    def fit(cls, training: TrainingSet, config: RouteBlendConfig) -> Self:
        """Choose the weights on grouped rows."""
        used = [at for at, name in enumerate(training.feature_names) if name.endswith(_SCORE)]
        scores = training.features[:, used].astype(np.float64)
        known = np.isfinite(scores)
        lowest = np.min(scores, axis=0, where=known, initial=np.inf)
        lowest[~np.isfinite(lowest)] = 0.0
        scores = np.where(known, scores, lowest)
        spread = scores.std(axis=0)
        spread[spread == 0] = 1.0
        found = _ascend(scores / spread, training.labels, training.group_sizes, config)
        n = len(training.feature_names)
        weights, floor = np.zeros(n), np.zeros(n)
        weights[used], floor[used] = found / spread, lowest
        return cls(training.feature_names, weights, floor)

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Weighted sums, `(n_rows,) float64`."""
        used = np.flatnonzero(self.weights)
        scores = features[:, used].astype(np.float64)
        scores = np.where(np.isfinite(scores), scores, self.lowest[used])
        return np.asarray(scores @ self.weights[used], np.float64)

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Each route's weighted score, `(n_rows, n_features + 1) float64`; nothing is expected beforehand."""
        scores = np.where(np.isfinite(features), features, self.lowest) * self.weights
        return np.column_stack([scores, np.zeros(len(features))])

    def route_weights(self) -> dict[str, float]:
        """Weight per route that takes part, in units of the route's own scores."""
        return {
            self.feature_names[at].removesuffix(_SCORE): float(self.weights[at])
            for at in np.flatnonzero(self.weights)
        }

    def to_text(self) -> str:
        """JSON."""
        numbers = {"weights": self.weights.tolist(), "lowest": self.lowest.tolist()}
        return json.dumps({"feature_names": self.feature_names, **numbers})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `to_text`.

        Raises:
            BundleError: the text is none of it.
        """
        try:
            values = json.loads(text)
            numbers = (np.array(values[name], np.float64) for name in ("weights", "lowest"))
            return cls(tuple(values["feature_names"]), *numbers)
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"the ranker is no blend of routes: {error}.", remedy="Train the bundle again."
            ) from error

    def importance(self) -> dict[str, float]:
        """Absolute weight per feature name."""
        return dict(zip(self.feature_names, np.abs(self.weights).tolist(), strict=True))


def _ascend(
    scores: NDArray[np.float64],
    labels: NDArray[np.int8],
    group_sizes: NDArray[np.int32],
    config: RouteBlendConfig,
) -> NDArray[np.float64]:
    """Weights of the columns, the best one's 1, that no single step improves any more."""
    metric = GroupNdcg.of(labels, group_sizes, config.k)
    n = scores.shape[1]
    alone = [metric(scores[:, column]) for column in range(n)]
    weights = np.zeros(n)
    weights[int(np.argmax(alone))] = 1.0
    best, first = max(alone), int(np.argmax(alone))
    for _ in range(config.sweeps):
        before = best
        for column in sorted(set(range(n)) - {first}, key=lambda column: -alone[column]):
            others = scores @ weights - scores[:, column] * weights[column]
            tried = [metric(others + step * scores[:, column]) for step in config.steps]
            if max(tried) > best * (1 + config.min_gain):
                best, weights[column] = max(tried), config.steps[int(np.argmax(tried))]
        if best == before:
            break
    return weights
