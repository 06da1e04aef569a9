"""A blend of the routes and trees on all features, averaged: each errs where the other does not."""

import json
from dataclasses import dataclass
from typing import ClassVar, Self

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from marquee.errors import BundleError
from marquee.ranking.lightgbm import LightGbmConfig, LightGbmRanker, parameters
from marquee.ranking.ranker import TrainingSet
from marquee.ranking.route_blend import RouteBlend


def fit_pointwise(training: TrainingSet, config: LightGbmConfig, *, seed: int) -> LightGbmRanker:
    """Trees that learn whether a candidate is consumed, by the logistic loss of each row alone.

    Where a query has dozens of targets, as in a random split, LambdaRank's gradient is mostly about
    the order of equals; the plain probability wastes nothing on that.
    """
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
    """The sum of a blend and of trees, each in units of its own spread over the training rows."""

    name: ClassVar[str] = "averaged"
    blend: RouteBlend
    trees: LightGbmRanker
    spreads: tuple[float, float]  # of the blend's and of the trees' scores

    @classmethod
    def of(cls, blend: RouteBlend, trees: LightGbmRanker, training: TrainingSet) -> Self:
        """Put two fitted rankers together."""
        of_blend, of_trees = (float(each.score(training.features).std()) for each in (blend, trees))
        return cls(blend, trees, (of_blend or 1.0, of_trees or 1.0))

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sums of both, `(n_rows,) float64`."""
        of_blend, of_trees = self.spreads
        return self.blend.score(features) / of_blend + self.trees.score(features) / of_trees

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sums of both rankers' contributions, `(n_rows, n_features + 1) float64`."""
        of_blend, of_trees = self.spreads
        blend, trees = self.blend.contributions(features), self.trees.contributions(features)
        return np.asarray(blend / of_blend + trees / of_trees, np.float64)

    def to_text(self) -> str:
        """JSON of both."""
        texts = {"blend": self.blend.to_text(), "trees": self.trees.to_text()}
        return json.dumps({**texts, "spreads": self.spreads})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `to_text`.

        Raises:
            BundleError: the text is none of it.
        """
        try:
            values = json.loads(text)
            of_blend, of_trees = (float(spread) for spread in values["spreads"])
            blend, trees = values["blend"], values["trees"]
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"the ranker is no average of two: {error}.", remedy="Train the bundle again."
            ) from error
        spreads = of_blend, of_trees
        return cls(RouteBlend.from_text(blend), LightGbmRanker.from_text(trees), spreads)

    def importance(self) -> dict[str, float]:
        """Total gain of the trees per feature name; the blend has none."""
        return self.trees.importance()
