"""LightGBM's LambdaMART behind the ranker protocol."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee.errors import BundleError
from marquee.ranking.compiled_trees import CompiledTrees, compiled_like
from marquee.ranking.ranker import OnRound, TrainingSet, ignore_round

if TYPE_CHECKING:
    import lightgbm as lgb

ROWS_FOR_THREADS: Final = 10_000
"""Fewer rows are not worth waking a second thread: on a busy machine it takes longer than the scoring."""


class LightGbmConfig(BaseModel):
    """Knobs of the LambdaMART ranker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_estimators: int = Field(default=100, ge=1)
    """Boosting rounds."""
    learning_rate: float = Field(default=0.1, gt=0)
    """Shrinkage of each round."""
    num_leaves: int = Field(default=31, ge=2)
    """Leaves of a tree."""
    max_depth: int | None = Field(default=None, ge=1)
    """Splits from the root to a leaf; None for any number."""
    min_data_in_leaf: int = Field(default=100, ge=1)
    """Rows that a leaf must hold."""
    feature_fraction: float = Field(default=0.5, gt=0, le=1)
    """Share of the features that each tree may use."""
    bagging_fraction: float = Field(default=0.8, gt=0, le=1)
    """Share of the rows that each tree sees."""
    lambda_l2: float = Field(default=5.0, ge=0)
    """Weight of the squared norm of the leaves."""
    truncation_level: int = Field(default=20, ge=1)
    """How far down the list swaps are still learned from; somewhat above the cut-off that counts."""


@dataclass(frozen=True, eq=False)
class LightGbmRanker:
    """Gradient-boosted trees on the LambdaRank gradient.

    Source: Burges (2010), "From RankNet to LambdaRank to LambdaMART: An Overview".
    """

    name: ClassVar[str] = "lightgbm"
    booster: "lgb.Booster"
    trees: CompiledTrees | None = None
    """The same model as machine code, for few rows at a time."""

    @classmethod
    def fit(
        cls, training: TrainingSet, config: LightGbmConfig, *, seed: int, on_round: OnRound = ignore_round
    ) -> Self:
        """Boost on a training set."""
        import lightgbm as lgb  # noqa: PLC0415 - it brings pandas, half a second that a config does without

        data = lgb.Dataset(
            training.features,
            training.labels,
            group=training.group_sizes,
            feature_name=list(training.feature_names),
            params={"verbosity": -1},
        )
        booster = lgb.train(
            parameters(config, seed=seed),
            data,
            config.n_estimators,
            callbacks=[lambda env: on_round(env.iteration + 1, cls(env.model))],
        )
        return cls(booster)

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Raw scores, `(n_rows,) float64`; few rows are scored by one thread."""
        is_few = len(features) < ROWS_FOR_THREADS
        if self.trees is not None and is_few:
            return self.trees.score(features)
        threads = 1 if is_few else 0  # 0: as many as there are
        return np.asarray(self.booster.predict(features, raw_score=True, num_threads=threads), np.float64)

    def compiled(self) -> Self:
        """The same ranker, as machine code where that can be had and scores to the bit alike."""
        return replace(self, trees=compiled_like(self.to_text(), replace(self, trees=None).score))

    def score_rounds(self, features: NDArray[np.float32], first: int, last: int) -> NDArray[np.float64]:
        """What some of the rounds add, `(n_rows,) float64`."""
        added = self.booster.predict(
            features, raw_score=True, start_iteration=first, num_iteration=last - first
        )
        return np.asarray(added, np.float64)

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """SHAP values, `(n_rows, n_features + 1) float64`, the expected score last.

        Source: Lundberg, Erion, Lee (2018), "Consistent Individualized Feature Attribution for Tree
        Ensembles".
        """
        if not len(features):
            return np.empty((0, features.shape[1] + 1), np.float64)
        return np.asarray(self.booster.predict(features, pred_contrib=True), np.float64)

    def to_text(self) -> str:
        """LightGBM's own text format."""
        return self.booster.model_to_string(num_iteration=-1)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read LightGBM's text format.

        Raises:
            BundleError: if the text is no LightGBM model.
        """
        import lightgbm as lgb  # noqa: PLC0415 - as above

        try:
            return cls(lgb.Booster(model_str=text))
        except lgb.basic.LightGBMError as error:
            raise BundleError(
                f"the ranker is no LightGBM model: {error}.", remedy="Train the bundle again."
            ) from error

    def importance(self) -> dict[str, float]:
        """Total gain per feature name."""
        gains = self.booster.feature_importance(importance_type="gain")
        return dict(zip(self.booster.feature_name(), map(float, gains), strict=True))


def parameters(config: LightGbmConfig, *, seed: int) -> dict[str, Any]:
    """The knobs in LightGBM's own words."""
    return {
        "objective": "lambdarank",
        "learning_rate": config.learning_rate,
        "num_leaves": config.num_leaves,
        "max_depth": -1 if config.max_depth is None else config.max_depth,
        "min_data_in_leaf": config.min_data_in_leaf,
        "feature_fraction": config.feature_fraction,
        "bagging_fraction": config.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": config.lambda_l2,
        "lambdarank_truncation_level": config.truncation_level,
        "seed": seed,
        # Same bits on every run and thread count, for a stable bundle id.
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
