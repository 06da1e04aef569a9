"""Several rankers as one: each errs where the others do not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from marquee.errors import BundleError
from marquee.ranking.lightgbm import LightGbmConfig, LightGbmRanker, parameters
from marquee.ranking.one_route import OneRouteRanker
from marquee.ranking.ranker import CompilableRanker, Ranker, TrainingSet
from marquee.ranking.route_blend import RouteBlend
from marquee.ranking.xgboost import XgBoostRanker

_TYPES: Final[tuple[type[Ranker], ...]] = (LightGbmRanker, XgBoostRanker, RouteBlend, OneRouteRanker)
PART_TYPES: Final[Mapping[str, type[Ranker]]] = {kind.name: kind for kind in _TYPES}
"""Rankers that can be part of another, by name."""


def fit_pointwise(training: TrainingSet, config: LightGbmConfig, *, seed: int) -> LightGbmRanker:
    """Trees that learn whether a candidate is consumed, by the logistic loss of each row alone.

    Where a query has dozens of targets, as in a random split, LambdaRank's gradient is mostly about
    the order of equals; the plain probability wastes nothing on that.
    """
    import lightgbm as lgb  # noqa: PLC0415 - it brings pandas, half a second that a config does without

    data = lgb.Dataset(
        training.features,
        training.labels,
        feature_name=list(training.feature_names),
        params={"verbosity": -1},
    )
    knobs = {**parameters(config, seed=seed), "objective": "binary"}
    return LightGbmRanker(lgb.train(knobs, data, config.n_estimators))


@dataclass(frozen=True, eq=False)
class AveragedRanker:
    """The sum of several rankers' scores, each in units of its own spread over the training rows."""

    name: ClassVar[str] = "averaged"
    parts: tuple[Ranker, ...]
    spreads: tuple[float, ...]  # of each part's scores

    @classmethod
    def of(cls, parts: Sequence[Ranker], training: TrainingSet) -> Self:
        """Put fitted rankers together."""
        spreads = (float(part.score(training.features).std()) for part in parts)
        return cls(tuple(parts), tuple(spread or 1.0 for spread in spreads))

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sums over the parts, `(n_rows,) float64`."""
        total = np.zeros(len(features))
        for part, spread in zip(self.parts, self.spreads, strict=True):
            total += part.score(features) / spread
        return total

    def compiled(self) -> Self:
        """The same with those parts compiled that can be."""
        parts = (part.compiled() if isinstance(part, CompilableRanker) else part for part in self.parts)
        return replace(self, parts=tuple(parts))

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sums of the parts' contributions, `(n_rows, n_features + 1) float64`."""
        total = np.zeros((len(features), features.shape[1] + 1))
        for part, spread in zip(self.parts, self.spreads, strict=True):
            total += part.contributions(features) / spread
        return total

    def to_text(self) -> str:
        """JSON of all parts."""
        parts = [
            {"name": part.name, "spread": spread, "text": part.to_text()}
            for part, spread in zip(self.parts, self.spreads, strict=True)
        ]
        return json.dumps({"parts": parts})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `to_text`.

        Raises:
            BundleError: the text is none of it.
        """
        try:
            parts = [
                (PART_TYPES[each["name"]], each["text"], float(each["spread"]))
                for each in json.loads(text)["parts"]
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"the ranker is no average of others: {error}.", remedy="Train the bundle again."
            ) from error
        read = tuple(kind.from_text(part) for kind, part, _ in parts)
        return cls(read, tuple(spread for *_, spread in parts))

    def importance(self) -> dict[str, float]:
        """Mean over the parts of each feature's share of the part's importance."""
        total: dict[str, float] = {}
        for part in self.parts:
            found = part.importance()
            whole = sum(found.values()) or 1.0
            for name, value in found.items():
                total[name] = total.get(name, 0.0) + value / whole / len(self.parts)
        return total
