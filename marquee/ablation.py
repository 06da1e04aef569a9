"""What each feature view is worth: the ranker learned and measured again without it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from marquee import schema
from marquee.assessment import HEADLINE
from marquee.config import TrainingConfig
from marquee.data.dataset import Dataset
from marquee.data.histories import LabelledQueries
from marquee.data.interactions import Interactions
from marquee.data.splits import consumed, temporal_split
from marquee.evaluation.evaluate import evaluate_lists
from marquee.evaluation.ranking_metrics import QueryValues
from marquee.evaluation.significance import Interval, difference_interval, mean_interval
from marquee.features.reader import StateReader
from marquee.features.report.ablation import Ablation, WholeModel, WithoutView
from marquee.ranking.ranker import Ranker, TrainingSet
from marquee.ranking.rankers import fit_ranker
from marquee.recommend import Recommender
from marquee.training import FirstStage, collect_training_set

VIEWS: Final = (*schema.FEATURE_VIEWS, schema.REQUEST_CONTEXT)
_FULL: Final = "full"
_FROZEN: Final = "frozen"


def ablate(
    dataset: Dataset,
    config: TrainingConfig,
    state: StateReader,
    *,
    seeds: Sequence[int],
    on_progress: Callable[[float, float], None] = lambda _done, _total: None,
) -> Ablation:
    """NDCG@10 with every view, and how much of it goes without one, on the temporal split's queries.

    The first stage is the same in all of them: views are what the ranker reads.

    Args:
        dataset: the snapshot.
        config: the recipe; its own seed and `features.views_off` are not used.
        state: what was known of users and movies when.
        seeds: each trains every variant once.
        on_progress: hears how many of how many rankers are done.

    Raises:
        NotEnoughDataError: as `marquee.training.train`.
    """
    events = consumed(dataset.interactions)
    found: dict[str, list[QueryValues]] = {}
    total = len(seeds) * (len(VIEWS) + 2)
    for seed in seeds:
        seeded = config.model_copy(update={"seed": seed, "features": type(config.features)()})
        for name, values in _of_one_seed(dataset, events, seeded, state):
            found.setdefault(name, []).append(values)
            on_progress(sum(map(len, found.values())), total)
    means = {name: np.mean(values, axis=0) for name, values in found.items()}
    full = means.pop(_FULL)
    bootstrap, draw = config.evaluation.bootstrap, config.seed
    whole = mean_interval(full, seed=draw, config=bootstrap)
    variants = {
        name: _without(values, difference_interval(values, full, seed=draw, config=bootstrap))
        for name, values in means.items()
    }
    return Ablation(
        protocol="temporal",
        metric=HEADLINE,
        full=WholeModel(mean=whole.estimate, low=whole.low, high=whole.high),
        frozen=variants.pop(_FROZEN),
        without=variants,
        n_queries=len(full),
        seeds=tuple(seeds),
    )


def _without(values: QueryValues, change: Interval) -> WithoutView:
    return WithoutView(
        mean=float(np.mean(values)), difference=change.estimate, low=change.low, high=change.high
    )


def _of_one_seed(
    dataset: Dataset, events: Interactions, config: TrainingConfig, state: StateReader
) -> Iterator[tuple[str, QueryValues]]:
    """Variants by name, the full one first, with their metric per query."""
    split = temporal_split(events, config.temporal, seed=config.seed)
    stage = FirstStage.of(dataset, config, state)
    training = collect_training_set(split.train, stage)
    at_cut = stage.fit(split.train, until_us=split.cut_us)
    asked, test = stage.ask(at_cut, split.test, events)
    ranker = _ranker(training, config)
    yield _FULL, _measure(replace(asked, ranker=ranker), test, config)
    yield _FROZEN, _measure(replace(at_cut, ranker=ranker), test, config)
    for view in VIEWS:
        without = replace(asked, views_off=(view,))
        columns = [training.feature_names.index(name) for name in without.feature_names]
        fewer = replace(training, features=training.features[:, columns], feature_names=without.feature_names)
        yield view, _measure(replace(without, ranker=_ranker(fewer, config)), test, config)


def _ranker(training: TrainingSet, config: TrainingConfig) -> Ranker:
    return fit_ranker(training, config.ranker, seed=config.seed)


def _measure(recommender: Recommender, test: LabelledQueries, config: TrainingConfig) -> QueryValues:
    with threadpool_limits(1, "blas"):
        lists = recommender.recommend(test.queries, max(config.evaluation.ks)).item_index
    measured = evaluate_lists({"": lists}, test.targets, config=config.evaluation, seed=config.seed)
    return measured.per_query[""].values[HEADLINE]
