"""The rankers of the second stage: which there are, their knobs, and how they are fitted and read."""

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from marquee.errors import BundleError
from marquee.ranking.averaged import PART_TYPES, AveragedRanker
from marquee.ranking.lightgbm import LightGbmConfig, LightGbmRanker
from marquee.ranking.ranker import BoostedRanker, OnRound, Ranker, TrainingSet, ignore_round
from marquee.ranking.route_blend import RouteBlendConfig
from marquee.ranking.xgboost import XgBoostConfig, XgBoostRanker

Booster = Literal["lightgbm", "xgboost"]
SecondStage = Literal["auto", "trees", "blend", "trees and blend"]

RANKER_TYPES: Final[Mapping[str, type[Ranker]]] = {**PART_TYPES, AveragedRanker.name: AveragedRanker}
"""Ranker class by name: how a bundle finds the class of its text."""


class RankerConfig(BaseModel):
    """What orders the candidates, and the knobs of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    second_stage: SecondStage = "auto"
    """Boosted trees, a linear blend of the routes, or both; `auto` takes the trees unless another orders
    the newest past windows better."""
    judged_share: float = Field(default=0.3, gt=0, lt=1)
    """`auto` compares on the newest windows with at least this share of the queries, and learns from
    the others."""
    min_judging: int = Field(default=100, ge=2)
    """`auto` takes the trees where fewer queries would judge: so few tell nothing apart."""
    min_standard_errors: float = Field(default=1.0, ge=0)
    """`auto` leaves the trees only for a gain of at least this many standard errors: less is chance."""
    booster: Booster = "lightgbm"
    """The trees that are fitted; the knobs of the other booster wait."""
    lightgbm: LightGbmConfig = LightGbmConfig()
    xgboost: XgBoostConfig = XgBoostConfig()
    blend: RouteBlendConfig = RouteBlendConfig()

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
