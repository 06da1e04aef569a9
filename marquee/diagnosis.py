"""Why a run's numbers are as they are: for whom, how far the first stage reaches, what the ranker reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from marquee.candidates.popular import Popular
from marquee.config import HEADLINE_K, TrainingConfig
from marquee.data.histories import LabelledMoments, LabelledQueries
from marquee.data.interactions import Interactions, Ragged
from marquee.evaluation import ranking_metrics
from marquee.evaluation.popularity_groups import group_shares, popularity_groups
from marquee.evaluation.relevance import PADDING, ItemLists, judge
from marquee.evaluation.reliability import ReliabilityBin, reliability
from marquee.evaluation.significance import plain
from marquee.evaluation.slice_models import ModelSlice, slice_models
from marquee.evaluation.slices import Slicing
from marquee.features.movie_states import read_movie_states
from marquee.features.reader import StateReader
from marquee.features.user_rows import read_queries
from marquee.recommend import Lists, Recommender

RECALL_CUTS: Final = (10, 20, 50, 100, 200, 300)
"""Candidates a query at which the recall of each route and of the union is measured."""
SCORED_QUERIES: Final = 500
"""At most so many queries, evenly spread, tell how scores and choices go together."""
EXPLAINED_ROWS: Final = 1_000
"""At most so many of their candidates, evenly spread, have their scores taken apart."""
SCORE_BINS: Final = 10
NEW_ITEMS: Final = "new_items"
COLD_USERS: Final = "cold_users"


@dataclass(frozen=True, eq=False)
class Questions:
    """Labelled queries, and a recommender with the movies' state at their moments."""

    recommender: Recommender
    labelled: LabelledQueries

    @classmethod
    def of(
        cls, recommender: Recommender, moments: LabelledMoments, events: Interactions, state: StateReader
    ) -> Self:
        """What is known at labelled moments of `events`' users: their rows, and the movies' state then.

        The model stays as old as it is; the state is as fresh as a server's, which refreshes daily.
        """
        states = read_movie_states(state, recommender.items, moments.time_us)
        return cls(recommender.with_states(states), read_queries(moments, events, state))


@dataclass(frozen=True, eq=False)
class RankerFacts:
    """What the ranker reads, and whether its scores mean something."""

    importance: dict[str, float]
    """Share of the total gain by feature, as the trees were grown."""
    contributions: dict[str, float]
    """Mean absolute part of the score by feature, over a sample of test candidates."""
    n_explained: int
    reliability: list[ReliabilityBin]

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "importance": self.importance,
            "contributions": self.contributions,
            "n_explained": self.n_explained,
            "reliability": [each.to_dict() for each in self.reliability],
        }


def examine_ranker(asked: Questions, config: TrainingConfig) -> RankerFacts | None:
    """What the ranker makes of the candidates of a sample of queries; None without a ranker."""
    ranker = asked.recommender.ranker
    if ranker is None:
        return None
    labelled = asked.labelled.take(_spread(len(asked.labelled), SCORED_QUERIES))
    scores, consumed, query, samples = [], [], [], []
    for rows in asked.recommender.blocks(labelled.queries):
        block = labelled.block(rows)
        candidates, features = asked.recommender.propose(block.queries)
        scores.append(ranker.score(features))
        consumed.append(block.targets.holds(candidates.row, candidates.item_index))
        query.append(candidates.row + rows.start)
        share = -(-EXPLAINED_ROWS * len(block) // len(labelled))
        samples.append(features[_spread(len(features), share)])
    explained = np.concatenate(samples)
    parts = np.abs(ranker.contributions(explained)[:, :-1]).mean(axis=0) if len(explained) else []
    names = asked.recommender.feature_names
    found = reliability(
        np.concatenate(scores),
        np.concatenate(consumed),
        np.concatenate(query),
        n_bins=SCORE_BINS,
        seed=config.seed,
        config=config.evaluation.bootstrap,
    )
    gains = ranker.importance()
    total = sum(gains.values()) or 1.0
    return RankerFacts(
        {name: round(gain / total, 6) for name, gain in gains.items()},
        {name: round(float(part), 6) for name, part in zip(names, parts, strict=False)},
        len(explained),
        found,
    )


def recall_by_depth(asked: Questions, *, union: str) -> dict[str, dict[str, float]]:
    """Recall of the first items of each route and of the union, by label.

    Cuts are `RECALL_CUTS` and the depth to which routes enter the union; the union, which is ordered by the
    best rank over the routes, also has `recall@all`, of whatever it holds. `union` is its name in the result.
    """
    recommender, queries, targets = asked.recommender, asked.labelled.queries, asked.labelled.targets
    cuts = sorted({*RECALL_CUTS, recommender.union.depth})
    found: dict[str, dict[str, float]] = {}
    for name, route in recommender.routes.items():
        found[name] = _recall_at(recommender.route_lists(route, queries, cuts[-1]), targets, cuts)
    shape = (len(queries), cuts[-1])
    made = Lists(np.full(shape, PADDING, np.int32), np.full(shape, np.nan, np.float32))
    of_all = np.empty(len(queries))
    for rows in recommender.blocks(queries):
        block = asked.labelled.block(rows)
        candidates = recommender.candidates(block.queries)
        best_rank = candidates.ranks.min(axis=1)
        recommender.fill(made, rows, candidates, (1 / best_rank).astype(np.float32))
        is_found = block.targets.holds(candidates.row, candidates.item_index)
        n_found = np.bincount(candidates.row, is_found, minlength=len(block))
        of_all[rows] = n_found / block.targets.lengths
    found[union] = {**_recall_at(made.item_index, targets, cuts), "recall@all": float(of_all.mean())}
    return found


def _recall_at(lists: ItemLists, targets: Ragged, cuts: Sequence[int]) -> dict[str, float]:
    judged = judge(lists, targets)
    return {ranking_metrics.label("recall", n): float(ranking_metrics.recall(judged, n).mean()) for n in cuts}


def popularity_shares(
    lists: Mapping[str, ItemLists], targets: Ragged, item_user_counts: NDArray[np.integer]
) -> dict[str, Any]:
    """Shares by popularity decile of what was chosen and of what each model lists at the headline's cut."""
    groups = popularity_groups(item_user_counts)
    return {
        "n_items": np.bincount(groups, minlength=int(groups.max(initial=0)) + 1).tolist(),
        "consumed": _plain(group_shares(targets.values, groups)),
        "models": {name: _plain(group_shares(made[:, :HEADLINE_K], groups)) for name, made in lists.items()},
    }


def compare_on_new_items(
    lists: Mapping[str, ItemLists],
    targets: Ragged,
    is_new: NDArray[np.bool_],
    *,
    subject: str,
    config: TrainingConfig,
) -> list[ModelSlice]:
    """NDCG and the widest recall where only new items count, over the queries whose targets hold some."""
    wanted = [targets[row][is_new[targets[row]]] for row in range(len(targets))]
    rows = np.flatnonzero([len(each) > 0 for each in wanted])
    of_new = Ragged.of([wanted[row] for row in rows])
    slicing = Slicing(NEW_ITEMS, ("new items only",), np.zeros(len(rows), np.int64))
    judged = {name: judge(made[rows], of_new) for name, made in lists.items()}
    return [
        row
        for metric, k in (("ndcg", HEADLINE_K), ("recall", max(config.evaluation.ks)))
        for row in slice_models(
            {name: ranking_metrics.METRICS[metric](found, k) for name, found in judged.items()},
            slicing,
            metric=ranking_metrics.label(metric, k),
            subject=subject,
            seed=config.seed,
            config=config.evaluation.bootstrap,
        )
    ]


def compare_on_cold_users(
    cold: Questions, *, subject: str, best_route: str | None, config: TrainingConfig
) -> list[ModelSlice]:
    """NDCG for users with few known events, of the model, its best route and the popular one.

    Before the first event, with one to four, and both: there a user counts once, with the mean over
    the own moments, since a user's moments are no independent draws.
    """
    recommender, queries = cold.recommender, cold.labelled.queries
    lists = {subject: recommender.recommend(queries, HEADLINE_K).item_index}
    for name in dict.fromkeys((best_route, Popular.name)):
        if name is not None and name in recommender.routes:
            lists[name] = recommender.route_lists(recommender.routes[name], queries, HEADLINE_K)
    values = {
        name: ranking_metrics.ndcg(judge(made, cold.labelled.targets), HEADLINE_K)
        for name, made in lists.items()
    }
    has_begun = (queries.histories.lengths > 0).astype(np.int64)
    user = np.unique(queries.user_index, return_inverse=True)[1]
    by_user = {name: np.bincount(user, found) / np.bincount(user) for name, found in values.items()}
    parts = (
        (values, Slicing(COLD_USERS, ("0 events", "1-4 events"), has_begun)),
        (by_user, Slicing(COLD_USERS, ("fewer than 5 events",), np.zeros(user.max() + 1, np.int64))),
    )
    return [
        row
        for measured, slicing in parts
        for row in slice_models(
            measured,
            slicing,
            metric=ranking_metrics.label("ndcg", HEADLINE_K),
            subject=subject,
            seed=config.seed,
            config=config.evaluation.bootstrap,
        )
    ]


def _spread(n: int, at_most: int) -> NDArray[np.int64]:
    """At most so many of `n` positions, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(np.int64))


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [plain(float(value)) for value in values]
