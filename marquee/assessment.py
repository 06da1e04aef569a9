"""What a run's model is worth: every route and the two-stage on the same queries, and the verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from marquee import schema
from marquee.candidates.ease import Ease
from marquee.candidates.popular import Popular
from marquee.candidates.route import Route
from marquee.config import HEADLINE_K, TrainingConfig
from marquee.data.cold_moments import cold_moments
from marquee.data.dataset import Dataset
from marquee.data.histories import LabelledQueries, Queries
from marquee.data.interactions import Interactions, Ragged
from marquee.data.splits import TemporalSplit, consumed, temporal_split
from marquee.diagnosis import (
    Questions,
    compare_on_cold_users,
    compare_on_new_items,
    examine_ranker,
    popularity_shares,
    recall_by_depth,
)
from marquee.errors import BundleError
from marquee.evaluation import ranking_metrics, slices
from marquee.evaluation.evaluate import Evaluation, evaluate_lists
from marquee.evaluation.gate import GateDecision, choose_best_route, decide
from marquee.evaluation.list_metrics import Catalogue as ListCatalogue
from marquee.evaluation.relevance import ItemLists
from marquee.evaluation.slice_models import ModelSlice, slice_models
from marquee.evaluation.slices import SliceRow, Slicing, slice_table
from marquee.features.reader import StateReader
from marquee.recommend import Recommender

TWO_STAGE: Final = "two_stage"
UNION: Final = "union"
CHAMPION: Final = "champion"
EASE_PLAIN: Final = "ease_plain"
HEADLINE: Final = f"ndcg@{HEADLINE_K}"
COMPARED: Final = (HEADLINE, "ndcg@1", "precision@12", "mrr@10", "recall@100", "coverage@12")
"""Metrics by which runs are compared at a glance; all others are in metrics.json."""


@dataclass(frozen=True, eq=False)
class Assessment:
    """Measurements and verdict of one run."""

    evaluation: Evaluation
    slices: list[SliceRow]
    recall_ceiling: dict[str, float]  # of the union's candidates
    gate: GateDecision
    diagnosis: Mapping[str, Any] = field(default_factory=dict)
    """Plain values: who is served how well beside the baselines, how far the first stage reaches, what
    the ranker reads, how popular the lists are."""

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON: `models`, `intervals`, `comparisons`, `slices`, `gate` and more.

        A metric that is undefined, as the diversity of lists of one item is, is left out of `models`.
        """
        return {
            **self.evaluation.to_dict(),
            "models": {
                model: {label: float(value) for label, value in means.items() if not np.isnan(value)}
                for model, means in self.evaluation.means.items()
            },
            "slices": [row.to_dict() for row in self.slices],
            "recall_ceiling": self.recall_ceiling,
            "gate": self.gate.to_dict(),
            "diagnosis": dict(self.diagnosis),
        }


def assess(
    challenger: Recommender,
    split: TemporalSplit,
    test: LabelledQueries,
    config: TrainingConfig,
    *,
    champion: Recommender | None = None,
    champion_fails: bool = False,
    cold: Questions | None = None,
    on_progress: Callable[[float, float], None] = lambda _done, _total: None,
) -> Assessment:
    """Measure the challenger beside its routes, its unranked union and the champion, and judge it.

    The reference baseline `ease_plain` is the challenger's EASE asked without recency.

    Args:
        challenger: with the movies' state at the moments of the queries.
        split: what it learned from.
        test: what it is asked.
        config: what is measured and how it is judged.
        champion: likewise.
        champion_fails: as `evaluation.gate.decide`.
        cold: what newcomers ask, of the challenger with the movies' state at their moments.
        on_progress: hears how many of how many models are done.
    """
    n = max(config.evaluation.ks)
    with threadpool_limits(1, "blas"):  # other thread counts round otherwise: ties fall otherwise
        lists = _all_lists(challenger, test.queries, n, champion=champion, on_progress=on_progress)
    routes = [name for name in lists if name not in (TWO_STAGE, UNION, CHAMPION)]
    evaluation = evaluate_lists(
        lists,
        test.targets,
        config=config.evaluation,
        seed=config.seed,
        query_keys=test.queries.user_index.astype(np.int64),
        catalogue=_list_catalogue(challenger, split, test.queries),
        references=routes,
    )
    slicings = make_slicings(challenger, split, test)
    per_query = evaluation.per_query
    best = choose_best_route([per_query[name] for name in routes], config.gate)
    decision = decide(
        per_query[TWO_STAGE],
        per_query.get(CHAMPION),
        best_route=best,
        slicings=slicings,
        config=config.gate,
        seed=config.seed,
        champion_fails=champion_fails,
    )
    headline = {HEADLINE: per_query[TWO_STAGE].values[HEADLINE]}
    rows = slice_table(headline, slicings, seed=config.seed, config=config.evaluation.bootstrap)
    with threadpool_limits(1, "blas"):
        diagnosis = _diagnose(
            Questions(challenger, test),
            split,
            lists,
            evaluation,
            slicings,
            config,
            best_route=best.model if best else None,
            cold=cold,
        )
    ceiling = candidate_recall(challenger, diagnosis["recall"])
    return Assessment(evaluation, rows, ceiling, decision, diagnosis)


def _diagnose(
    asked: Questions,
    split: TemporalSplit,
    lists: Mapping[str, ItemLists],
    evaluation: Evaluation,
    slicings: Sequence[Slicing],
    config: TrainingConfig,
    *,
    best_route: str | None,
    cold: Questions | None,
) -> dict[str, Any]:
    """What the report shows beside the metrics, as plain values."""
    per_query, targets = evaluation.per_query, asked.labelled.targets
    shown = [name for name in (TWO_STAGE, CHAMPION, best_route, Popular.name) if name in per_query]
    values = {name: per_query[name].values[HEADLINE] for name in shown if name is not None}
    rows: list[ModelSlice] = []
    for slicing in slicings:
        rows += slice_models(
            values,
            slicing,
            metric=HEADLINE,
            subject=TWO_STAGE,
            seed=config.seed,
            config=config.evaluation.bootstrap,
        )
    is_new = ~_seen_before(asked.recommender, split)
    of_shown = {name: lists[name] for name in values}
    rows += compare_on_new_items(of_shown, targets, is_new, subject=TWO_STAGE, config=config)
    if cold is not None:
        rows += compare_on_cold_users(cold, subject=TWO_STAGE, best_route=best_route, config=config)
    counts = np.bincount(split.train.item_index, minlength=len(asked.recommender.items))
    ranker = examine_ranker(asked, config)
    return {
        "best_route": best_route,
        "slices": [row.to_dict() for row in rows],
        "recall": recall_by_depth(asked, union=UNION),
        "popularity": popularity_shares(lists, targets, counts),
        **({"ranker": ranker.to_dict()} if ranker else {}),
    }


def baseline_routes(recommender: Recommender) -> dict[str, Route]:
    """The single routes that the two-stage is measured against, plain EASE among them."""
    routes = dict(recommender.routes)
    if isinstance(ease := routes.get(Ease.name), Ease) and ease.half_life_events is not None:
        routes[EASE_PLAIN] = ease.with_half_life(None)
    return routes


def _all_lists(
    challenger: Recommender,
    queries: Queries,
    n: int,
    *,
    champion: Recommender | None,
    on_progress: Callable[[float, float], None],
) -> dict[str, NDArray[np.int32]]:
    recommenders = {UNION: replace(challenger, ranker=None), TWO_STAGE: challenger}
    if champion is not None:
        recommenders[CHAMPION] = champion
    routes = baseline_routes(challenger)
    total = len(routes) + len(recommenders)
    lists: dict[str, NDArray[np.int32]] = {}
    for name, route in routes.items():
        lists[name] = challenger.route_lists(route, queries, n)
        on_progress(len(lists), total)
    for name, recommender in recommenders.items():
        lists[name] = recommender.recommend(queries, n).item_index
        on_progress(len(lists), total)
    return lists


def _list_catalogue(recommender: Recommender, split: TemporalSplit, queries: Queries) -> ListCatalogue:
    histories = queries.histories
    return ListCatalogue(
        item_user_counts=np.bincount(split.train.item_index, minlength=len(recommender.items)),
        n_users=len(np.unique(split.train.user_index)),
        histories=Ragged(histories.offsets, histories.item_index),
        item_features=recommender.catalogue.movies.genres,
    )


def make_slicings(recommender: Recommender, split: TemporalSplit, test: LabelledQueries) -> list[Slicing]:
    """For whom the numbers are broken down: history length, age, gender, share of new items."""
    queries = test.queries
    age, is_male = (
        queries.user_state[:, schema.USER_STATE.index(name)]
        for name in (schema.USER_AGE, schema.USER_IS_MALE)
    )
    genders = [None if np.isnan(value) else ("male" if value else "female") for value in is_male]
    return [
        slices.by_history_length(queries.histories.lengths),
        slices.by_age_band(age),
        slices.by_gender(genders),
        slices.by_new_item_share(test.targets, ~_seen_before(recommender, split)),
    ]


def _seen_before(recommender: Recommender, split: TemporalSplit) -> NDArray[np.bool_]:
    """Which items have an event before the cut, `(n_items,)`."""
    counts = np.bincount(split.train.item_index, minlength=len(recommender.items))
    return np.asarray(counts > 0)


def candidate_recall(recommender: Recommender, recall: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Recall of what each route and their union hand on, by `recall_by_depth`: no ranker can do better."""
    depth = ranking_metrics.label("recall", recommender.union.depth)
    of_routes = {name: recall[name][depth] for name in recommender.routes}
    return {UNION: recall[UNION]["recall@all"], **of_routes}


def measure_bundle(
    recommender: Recommender,
    dataset: Dataset,
    config: TrainingConfig,
    state: StateReader,
    *,
    learned_until_us: int,
    on_progress: Callable[[float, float], None] = lambda _done, _total: None,
) -> Assessment:
    """Measure a recommender as it came from a bundle, on a snapshot that may be newer.

    Raises:
        BundleError: the recommender learned from events that it would be asked about.
        NotEnoughDataError: no user qualifies.
    """
    events = consumed(_in_terms_of(recommender, dataset.interactions))
    split = temporal_split(events, config.temporal, seed=config.seed)
    if learned_until_us > split.cut_us:
        raise BundleError(
            f"the bundle learned from events until {_utc(learned_until_us)}, but is to be asked about"
            f" events after {_utc(split.cut_us)}: it knows the answers.",
            remedy="Give the run's evaluated/ bundle, or bring newer events.",
        )
    asked = Questions.of(recommender, split.test, events, state)
    cold = newcomers(recommender, split, events, state, config)
    return assess(asked.recommender, split, asked.labelled, config, cold=cold, on_progress=on_progress)


def newcomers(
    recommender: Recommender,
    split: TemporalSplit,
    events: Interactions,
    state: StateReader,
    config: TrainingConfig,
) -> Questions | None:
    """What those ask after the cut of whom little is known yet; None where nobody does."""
    moments = cold_moments(events, after_us=split.cut_us, config=config.temporal, seed=config.seed)
    return Questions.of(recommender, moments, events, state) if len(moments) else None


def _in_terms_of(recommender: Recommender, interactions: Interactions) -> Interactions:
    """The events with the recommender's item indexes; those of items that it lacks are left out."""
    item = recommender.items.encode(interactions.items.ids)[interactions.item_index]
    kept = replace(interactions, item_index=item, items=recommender.items)
    return kept.take(item >= 0)


def _utc(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, tz=UTC).isoformat(sep=" ", timespec="seconds")
