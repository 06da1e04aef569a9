"""Both stages of a split without moments, chosen on hold-outs of the training part and nothing else."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from threadpoolctl import threadpool_limits

from marquee.benchmarking.holdouts import Holdout, HoldoutConfig, Order, holdouts
from marquee.benchmarking.route_search import Exam, ndcg_of, search_routes
from marquee.benchmarking.stage import SplitStage
from marquee.data.histories import LabelledQueries
from marquee.data.interactions import Interactions
from marquee.errors import NotEnoughDataError
from marquee.ranking.averaged import AveragedRanker, fit_pointwise
from marquee.ranking.lightgbm import LightGbmConfig
from marquee.ranking.one_route import OneRouteRanker
from marquee.ranking.ranker import Ranker, TrainingSet
from marquee.ranking.route_blend import RouteBlend, RouteBlendConfig
from marquee.ranking.second_stage import BLEND, TREES
from marquee.ranking.training_set import join_blocks
from marquee.recommend import Recommender
from marquee.training import labelled_rows

AVERAGED: Final = "blend and trees"


class LearnConfig(BaseModel):
    """How the two stages of a split without moments are learned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holdout: HoldoutConfig = HoldoutConfig()
    """How the training part is divided."""
    search_max_events: int = Field(default=5_000_000, ge=0)
    """Above this many training events the routes keep the knobs that they start with."""
    search_folds: int = Field(default=2, ge=1)
    """Hold-outs that knobs are judged on."""
    blend: RouteBlendConfig = RouteBlendConfig()
    """The linear second stage."""
    trees: LightGbmConfig = LightGbmConfig(
        n_estimators=150,
        learning_rate=0.05,
        num_leaves=7,
        min_data_in_leaf=300,
        feature_fraction=0.5,
        bagging_fraction=0.7,
        lambda_l2=10.0,
    )
    """The trees, alone or beside the blend."""


@dataclass(frozen=True, eq=False)
class Learned:
    """A complete model and why it is as it is."""

    recommender: Recommender
    stage: SplitStage  # with the knobs that were chosen
    chosen: str  # the second stage: blend, trees, both, or a route's name
    choices: dict[str, float]  # NDCG@k of every second stage and route on the hold-out that chose


def learn(
    train: Interactions, stage: SplitStage, *, order: Order, share: float, k: int, config: LearnConfig
) -> Learned:
    """Choose knobs and a second stage on hold-outs, then fit all of it on all training events.

    A route alone is among the choices, so that the second stage falls back to it where it adds nothing.

    Args:
        train: events to learn from.
        stage: the first stage as the search finds it.
        order: whether the events of a user stand in an order.
        share: of each user's events that a hold-out hides.
        k: the cut that decides.
        config: how.

    Raises:
        NotEnoughDataError: no user has two events, so that none can be hidden.
    """
    folds = list(holdouts(train, order, share=share, config=config.holdout, seed=stage.seed))
    if not folds:
        raise NotEnoughDataError(
            f"no user of the {len(train)} training events has two, so that there is nothing to hide.",
            remedy="Bring a training file with at least two events for some users.",
        )
    rng = np.random.default_rng(stage.seed)
    if len(train) <= config.search_max_events:
        n_choice = config.holdout.max_choice_queries
        exams = [Exam(fold, _ask(fold, stage, n_choice, rng)) for fold in folds[: config.search_folds]]
        stage = search_routes(exams, stage, order=order, k=k)
    with threadpool_limits(1, "blas"):  # other thread counts round otherwise: other trees
        ranker, chosen, choices = _second_stage(folds, stage, k=k, config=config, rng=rng)
        return Learned(stage.fit(train).with_ranker(ranker), stage, chosen, choices)


def _second_stage(
    folds: list[Holdout], stage: SplitStage, *, k: int, config: LearnConfig, rng: np.random.Generator
) -> tuple[Ranker, str, dict[str, float]]:
    """The second stage that orders the last hold-out best, fitted on all; its name; all that was tried."""
    last = folds[-1]
    at_last = stage.fit(last.known, known_share=last.known_share)
    asked = _ask(last, stage, config.holdout.max_choice_queries, rng)
    n_queries = max(1, config.holdout.max_queries // len(folds))
    rows = [
        _rows(stage.fit(fold.known, known_share=fold.known_share), stage, fold, n_queries, rng=rng)
        for fold in folds[:-1]
    ]
    contenders: dict[str, Ranker] = {
        name: OneRouteRanker(name, at_last.feature_names) for name in stage.routes.enabled
    }
    if rows:
        contenders |= fit_second_stages(join_blocks(rows), config, seed=stage.seed)
    choices = {
        name: ndcg_of(at_last.with_ranker(ranker).recommend(asked.queries, k).item_index, asked, k)
        for name, ranker in contenders.items()
    }
    chosen = max(choices, key=lambda name: choices[name])
    if chosen in stage.routes.enabled:
        return contenders[chosen], chosen, choices
    everything = join_blocks([*rows, _rows(at_last, stage, last, n_queries, rng=rng)])
    return fit_second_stages(everything, config, seed=stage.seed, only=chosen)[chosen], chosen, choices


def fit_second_stages(
    rows: TrainingSet, config: LearnConfig, *, seed: int, only: str | None = None
) -> dict[str, Ranker]:
    """The learned second stages by name, at least the one that is asked for."""
    blend = RouteBlend.fit(rows, config.blend)
    if only == BLEND:
        return {BLEND: blend}
    trees = fit_pointwise(rows, config.trees, seed=seed)
    rankers: dict[str, Ranker] = {
        BLEND: blend,
        TREES: trees,
        AVERAGED: AveragedRanker.of((blend, trees), rows),
    }
    return rankers


def _ask(fold: Holdout, stage: SplitStage, n: int, rng: np.random.Generator) -> LabelledQueries:
    """At most `n` questions about a hold-out's hidden events."""
    return stage.ask(
        fold.known, fold.hidden, users=_sample(fold.hidden, n, rng), known_share=fold.known_share
    )


def _sample(hidden: Interactions, n: int, rng: np.random.Generator) -> NDArray[np.int32]:
    users = np.unique(hidden.user_index)
    return users if len(users) <= n else np.sort(rng.choice(users, n, replace=False))


def _rows(
    recommender: Recommender, stage: SplitStage, fold: Holdout, n: int, *, rng: np.random.Generator
) -> TrainingSet:
    """The ranker's rows from `n` questions about a hold-out, of a first stage that knows the rest."""
    asked = _ask(fold, stage, n, rng)
    return join_blocks(list(labelled_rows(recommender, asked, rng)))
