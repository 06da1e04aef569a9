"""All models' lists for the same questions, their metrics at each cut, and how sure those are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from marquee.candidates.route import Route
from marquee.data.histories import LabelledQueries
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.evaluation import ranking_metrics
from marquee.evaluation.per_query import PerQuery
from marquee.evaluation.relevance import judge
from marquee.evaluation.significance import BootstrapConfig, difference_interval, mean_interval
from marquee.policy.restrictions import Restrictions
from marquee.recommend import Recommender

TWO_STAGE: Final = "two_stage"
UNION: Final = "union"
METRICS: Final = ("ndcg", "precision", "recall", "map", "mrr", "hit_rate")
MAP_BY_RELEVANT: Final = "map_by_relevant"
"""MAP over all relevant items (trec_eval's): `map` divides by the smaller of k and their number."""


@dataclass(frozen=True, eq=False)
class Question:
    """What all models are asked: labelled queries and, where only given candidates count, those."""

    labelled: LabelledQueries
    candidates: tuple[NDArray[np.int32], ...] | None = None  # item indexes per query

    def restrictions(self, n_items: int, rows: slice) -> Restrictions:
        """What may not be shown to a block of queries: all but the candidates, where there are any."""
        if self.candidates is None:
            return Restrictions()
        others = [
            np.setdiff1d(np.arange(n_items), kept, assume_unique=True) for kept in self.candidates[rows]
        ]
        return Restrictions(excluded=others)


@dataclass(frozen=True, eq=False)
class Measured:
    """One model on one seed's questions."""

    per_query: PerQuery
    fit_seconds: float
    predict_seconds: float


@dataclass(frozen=True, eq=False)
class SeedResult:
    """All models of one seed."""

    seed: int
    models: Mapping[str, Measured]
    chosen: str = ""  # the second stage, in words
    choices: Mapping[str, float] = field(default_factory=dict)  # what it was chosen by
    knobs: Mapping[str, Any] = field(default_factory=dict)


def measure_models(
    recommender: Recommender,
    routes: Mapping[str, Route],
    question: Question,
    *,
    ks: Sequence[int],
    names: Sequence[str],
    fit_seconds: Mapping[str, float],
) -> dict[str, Measured]:
    """Ask each of the named models and judge its lists.

    Args:
        recommender: of the union, and of the two stages where it has a ranker.
        routes: single models by name.
        question: what is asked.
        ks: cuts.
        names: routes, `union`, `two_stage`.
        fit_seconds: by name.
    """
    n = max(ks)
    measured = {}
    for name in names:
        start = perf_counter()
        if name in (UNION, TWO_STAGE):
            asked = recommender if name == TWO_STAGE else replace(recommender, ranker=None)
            lists = _lists(asked, None, question, n)
        else:
            lists = _lists(recommender, routes[name], question, n)
        seconds = perf_counter() - start
        found = _judged(name, lists, question.labelled, ks)
        measured[name] = Measured(found, fit_seconds.get(name, 0.0), seconds)
    return measured


def _judged(name: str, lists: NDArray[np.int32], asked: LabelledQueries, ks: Sequence[int]) -> PerQuery:
    judged = judge(lists, asked.targets)
    values = ranking_metrics.score(judged, ks, metrics=METRICS)
    for k in ks:
        share = np.minimum(k, judged.n_relevant) / judged.n_relevant
        values[f"{MAP_BY_RELEVANT}@{k}"] = values[f"map@{k}"] * share
    return PerQuery(name, asked.queries.user_index.astype(np.int64), values)


def _lists(recommender: Recommender, route: Route | None, question: Question, n: int) -> NDArray[np.int32]:
    """The lists of one route, or of the whole recommender; what may not be shown is told block by block."""
    queries = question.labelled.queries
    lists = np.full((len(queries), n), UNKNOWN_INDEX, np.int32)
    for rows in recommender.blocks(queries):
        block, allowed = queries.block(rows), question.restrictions(len(recommender.items), rows)
        lists[rows] = (
            recommender.recommend(block, n, restrictions=allowed).item_index
            if route is None
            else recommender.route_lists(route, block, n, restrictions=allowed)
        )
    return lists


def summarise(
    results: Sequence[SeedResult], *, ks: Sequence[int], bootstrap: BootstrapConfig, seed: int
) -> dict[str, Any]:
    """Means over seeds, intervals over users, and the two stages against the best single route.

    A user who was asked on several seeds counts once, with the mean of their values: draws of whole
    users, so that the same person in three splits is not taken for three.

    Returns:
        Plain values: `models` by name (means by label, `interval` of NDCG at the first cut, `fit_seconds`,
        `predict_seconds`), `best_route`, and `against_best_route` by label.
    """
    headline = ranking_metrics.label("ndcg", ks[0])
    by_user = {
        name: _by_user([result.models[name].per_query for result in results]) for name in _names(results)
    }
    models: dict[str, Any] = {}
    for name in _names(results):
        found = [result.models[name] for result in results]
        interval = mean_interval(by_user[name][headline], seed=seed, config=bootstrap)
        models[name] = {
            "metrics": dict(_means(found)),
            "interval": interval.to_dict(),
            "per_seed": [each.per_query.mean(headline) for each in found],
            "fit_seconds": float(np.mean([each.fit_seconds for each in found])),
            "predict_seconds": float(np.mean([each.predict_seconds for each in found])),
        }
    routes = [name for name in models if name not in (TWO_STAGE, UNION)]
    best = max(routes, key=lambda name: models[name]["metrics"][headline]) if routes else None
    against = {}
    if best is not None and TWO_STAGE in models:
        for label in (ranking_metrics.label("ndcg", k) for k in ks):
            pair = by_user[TWO_STAGE][label], by_user[best][label]
            against[label] = difference_interval(*pair, seed=seed, config=bootstrap).to_dict()
    return {"models": models, "best_route": best, "against_best_route": against}


def _names(results: Sequence[SeedResult]) -> list[str]:
    return [name for name in results[0].models if all(name in result.models for result in results)]


def _means(found: Sequence[Measured]) -> Iterator[tuple[str, float]]:
    for label in found[0].per_query.values:
        yield label, float(np.mean([each.per_query.mean(label) for each in found]))


def _by_user(found: Sequence[PerQuery]) -> dict[str, NDArray[np.float64]]:
    """Each user's mean over the seeds that asked them, by label; users ascending."""
    keys, row = np.unique(np.concatenate([each.query_keys for each in found]), return_inverse=True)
    counts = np.bincount(row, minlength=len(keys))
    return {
        label: np.bincount(row, np.concatenate([each.values[label] for each in found])) / counts
        for label in found[0].values
    }
