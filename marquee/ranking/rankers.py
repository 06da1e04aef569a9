"""The rankers of the second stage: which there are, their knobs, and how they are fitted and read."""

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from marquee.errors import BundleError
from marquee.ranking.lightgbm import LightGbmConfig, LightGbmRanker
from marquee.ranking.ranker import BoostedRanker, OnRound, Ranker, TrainingSet, ignore_round
from marquee.ranking.xgboost import XgBoostConfig, XgBoostRanker

Booster = Literal["lightgbm", "xgboost"]

_TYPES: Final[tuple[type[Ranker], ...]] = (LightGbmRanker, XgBoostRanker)
RANKER_TYPES: Final[Mapping[str, type[Ranker]]] = {kind.name: kind for kind in _TYPES}
"""Ranker class by name: how a bundle finds the class of its text."""


class RankerConfig(BaseModel):
    """Which booster ranks, and the knobs of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    booster: Booster = "lightgbm"
    """The one that is fitted; the knobs of the other wait."""
    lightgbm: LightGbmConfig = LightGbmConfig()
    xgboost: XgBoostConfig = XgBoostConfig()

    @property
    def n_rounds(self) -> int:
        """Boosting rounds of the chosen booster."""
        return self.lightgbm.n_estimators if self.booster == "lightgbm" else self.xgboost.n_estimators


def fit_ranker(
    training: TrainingSet, config: RankerConfig, *, seed: int, on_round: OnRound = ignore_round
) -> BoostedRanker:
    """Fit the chosen booster on a training set."""
    if config.booster == "lightgbm":
        return LightGbmRanker.fit(training, config.lightgbm, seed=seed, on_round=on_round)
    return XgBoostRanker.fit(training, config.xgboost, seed=seed, on_round=on_round)


def read_ranker(texts: Mapping[str, str]) -> Ranker:
    """The ranker among a bundle's texts, each by the name of its class.

    Raises:
        BundleError: there is none or more than one, its class is unknown, or its text is no such ranker.
    """
    if len(texts) != 1 or (name := next(iter(texts))) not in RANKER_TYPES:
        raise BundleError(
            f"the bundle's ranker is {sorted(texts)}, and should be one of {sorted(RANKER_TYPES)}.",
            remedy="Train the bundle again with this release.",
        )
    return RANKER_TYPES[name].from_text(texts[name])
