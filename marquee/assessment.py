"""What a run's model is worth: every route and the two-stage on the same queries, and the verdict."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from marquee import schema
from marquee.candidates.ease import Ease
from marquee.candidates.route import Route
from marquee.config import HEADLINE_K, TrainingConfig
from marquee.data.dataset import Dataset
from marquee.data.histories import LabelledQueries, Queries
from marquee.data.interactions import Interactions, Ragged
from marquee.data.splits import TemporalSplit, consumed, temporal_split
from marquee.errors import BundleError
from marquee.evaluation import slices
from marquee.evaluation.evaluate import Evaluation, evaluate_lists, recall_ceiling
from marquee.evaluation.gate import GateDecision, choose_best_route, decide
from marquee.evaluation.list_metrics import Catalogue as ListCatalogue
from marquee.evaluation.slices import SliceRow, Slicing, slice_table
from marquee.features.movie_states import read_movie_states
from marquee.features.reader import StateReader
from marquee.features.user_rows import read_queries
from marquee.recommend import Recommender

TWO_STAGE: Final = "two_stage"
UNION: Final = "union"
CHAMPION: Final = "champion"
EASE_PLAIN: Final = "ease_plain"
HEADLINE: Final = f"ndcg@{HEADLINE_K}"


@dataclass(frozen=True, eq=False)
class Assessment:
    """Measurements and verdict of one run."""

    evaluation: Evaluation
    slices: list[SliceRow]
    recall_ceiling: dict[str, float]  # of the union's candidates
    gate: GateDecision

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
        }


def assess(
    challenger: Recommender,
    split: TemporalSplit,
    test: LabelledQueries,
    config: TrainingConfig,
    *,
    champion: Recommender | None = None,
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
    decision = decide(
        per_query[TWO_STAGE],
        per_query.get(CHAMPION),
        best_route=choose_best_route([per_query[name] for name in routes], config.gate),
        slicings=slicings,
        config=config.gate,
        seed=config.seed,
    )
    headline = {HEADLINE: per_query[TWO_STAGE].values[HEADLINE]}
    rows = slice_table(headline, slicings, seed=config.seed, config=config.evaluation.bootstrap)
    return Assessment(evaluation, rows, candidate_recall(challenger, test), decision)


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
    seen_before = np.bincount(split.train.item_index, minlength=len(recommender.items)) > 0
    return [
        slices.by_history_length(queries.histories.lengths),
        slices.by_age_band(age),
        slices.by_gender(genders),
        slices.by_new_item_share(test.targets, ~seen_before),
    ]


def candidate_recall(recommender: Recommender, test: LabelledQueries) -> dict[str, float]:
    """Recall of each route's first items and of their union: no ranker can do better."""
    union = [
        recommender.candidates(test.queries.take(np.arange(rows.start, rows.stop)))
        for rows in recommender.blocks(test.queries)
    ]
    rows = [Ragged(part.offsets, part.item_index) for part in union]
    found = Ragged.of([part[query] for part in rows for query in range(len(part))])
    ceiling = {UNION: recall_ceiling(found, test.targets)["recall@all"]}
    for name, route in recommender.routes.items():
        lists = recommender.route_lists(route, test.queries, recommender.union.depth)
        ceiling[name] = recall_ceiling(Ragged.of([row[row >= 0] for row in lists]), test.targets)[
            "recall@all"
        ]
    return ceiling


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
    asked = recommender.with_states(read_movie_states(state, recommender.items, split.test.time_us))
    test = read_queries(split.test, events, state)
    return assess(asked, split, test, config, on_progress=on_progress)


def _in_terms_of(recommender: Recommender, interactions: Interactions) -> Interactions:
    """The events with the recommender's item indexes; those of items that it lacks are left out."""
    item = recommender.items.encode(interactions.items.ids)[interactions.item_index]
    kept = replace(interactions, item_index=item, items=recommender.items)
    return kept.take(item >= 0)


def _utc(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, tz=UTC).isoformat(sep=" ", timespec="seconds")
