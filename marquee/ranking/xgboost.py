"""XGBoost's LambdaMART behind the ranker protocol."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee.errors import BundleError
from marquee.ranking.ranker import OnRound, TrainingSet, ignore_round

if TYPE_CHECKING:
    import xgboost as xgb


class XgBoostConfig(BaseModel):
    """Knobs of the XGBoost ranker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_estimators: int = Field(default=200, ge=1)
    """Boosting rounds."""
    learning_rate: float = Field(default=0.05, gt=0)
    """Shrinkage of each round."""
    max_depth: int = Field(default=4, ge=1)
    """Splits from the root to a leaf."""
    min_child_weight: float = Field(default=1.0, ge=0)
    """Sum of second derivatives that a leaf must hold."""
    colsample_bytree: float = Field(default=0.5, gt=0, le=1)
    """Share of the features that each tree may use."""
    subsample: float = Field(default=0.8, gt=0, le=1)
    """Share of the rows that each tree sees."""
    reg_lambda: float = Field(default=5.0, ge=0)
    """Weight of the squared norm of the leaves."""
    pairs_per_item: int = Field(default=20, ge=1)
    """How far down the list swaps are still learned from; somewhat above the cut-off that counts."""


@dataclass(frozen=True, eq=False)
class XgBoostRanker:
    """Gradient-boosted trees on the LambdaRank gradient, by histograms.

    Source: Chen, Guestrin (2016), "XGBoost: A Scalable Tree Boosting System"; Burges (2010), "From
    RankNet to LambdaRank to LambdaMART: An Overview".
    """

    name: ClassVar[str] = "xgboost"
    booster: "xgb.Booster"

    @classmethod
    def fit(
        cls, training: TrainingSet, config: XgBoostConfig, *, seed: int, on_round: OnRound = ignore_round
    ) -> Self:
        """Boost on a training set."""
        import xgboost as xgb  # noqa: PLC0415 - a third of a second that a config does without

        data = xgb.QuantileDMatrix(
            training.features,
            training.labels,
            group=training.group_sizes,
            feature_names=list(training.feature_names),
        )
        listener = _listener(lambda done, booster: on_round(done, cls(booster)))
        booster = xgb.train(parameters(config, seed=seed), data, config.n_estimators, callbacks=[listener])
        return cls(_for_one_thread(booster))

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Margins, `(n_rows,) float64`."""
        return self._margins(features, (0, 0))

    def score_rounds(self, features: NDArray[np.float32], first: int, last: int) -> NDArray[np.float64]:
        """What some of the rounds add, `(n_rows,) float64`."""
        return self._margins(features, (first, last))

    def _margins(self, features: NDArray[np.float32], rounds: tuple[int, int]) -> NDArray[np.float64]:
        if not len(features):
            return np.empty(0, np.float64)
        margins = self.booster.inplace_predict(features, iteration_range=rounds, predict_type="margin")
        return np.asarray(margins, np.float64)

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """SHAP values, `(n_rows, n_features + 1) float64`, the expected score last.

        Source: Lundberg, Erion, Lee (2018), "Consistent Individualized Feature Attribution for Tree
        Ensembles".
        """
        if not len(features):
            return np.empty((0, features.shape[1] + 1), np.float64)
        import xgboost as xgb  # noqa: PLC0415 - as above

        rows = xgb.DMatrix(features, feature_names=self.booster.feature_names)
        return np.asarray(self.booster.predict(rows, pred_contribs=True), np.float64)

    def to_text(self) -> str:
        """XGBoost's own JSON."""
        return bytes(self.booster.save_raw("json")).decode("utf-8")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read XGBoost's JSON.

        Raises:
            BundleError: the text is no XGBoost model.
        """
        if not text:  # XGBoost ends the process over an empty buffer
            raise BundleError("the ranker's text is empty.", remedy="Train the bundle again.")
        import xgboost as xgb  # noqa: PLC0415 - as above

        try:
            booster = xgb.Booster(model_file=bytearray(text, "utf-8"))
            booster.num_boosted_rounds()
        except xgb.core.XGBoostError as error:
            reason = str(error).strip().splitlines()[0]
            raise BundleError(
                f"the ranker is no XGBoost model: {reason}.", remedy="Train the bundle again."
            ) from error
        return cls(_for_one_thread(booster))

    def importance(self) -> dict[str, float]:
        """Total gain per feature name; 0 for a feature that no tree asks."""
        gains = cast("dict[str, float]", self.booster.get_score(importance_type="total_gain"))
        return {name: float(gains.get(name, 0.0)) for name in self.booster.feature_names or ()}


def _for_one_thread(booster: "xgb.Booster") -> "xgb.Booster":
    """A request's few rows are scored sooner by one thread than by several that have to be woken."""
    booster.set_param({"nthread": 1})
    return booster


def _listener(on_round: "Callable[[int, xgb.Booster], None]") -> "xgb.callback.TrainingCallback":
    """What passes every round on."""
    import xgboost as xgb  # noqa: PLC0415 - as above

    class Listener(xgb.callback.TrainingCallback):
        def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: object) -> bool:
            on_round(epoch + 1, model)
            return False  # never ends the fit by itself

    return Listener()


def parameters(config: XgBoostConfig, *, seed: int) -> dict[str, Any]:
    """The knobs in XGBoost's own words."""
    return {
        "objective": "rank:ndcg",
        "eta": config.learning_rate,
        "max_depth": config.max_depth,
        "min_child_weight": config.min_child_weight,
        "colsample_bytree": config.colsample_bytree,
        "subsample": config.subsample,
        "lambda": config.reg_lambda,
        "lambdarank_pair_method": "topk",
        "lambdarank_num_pair_per_sample": config.pairs_per_item,
        "tree_method": "hist",
        "base_score": 0.0,  # scores of rounds then add up
        "seed": seed,
        "verbosity": 0,
    }
