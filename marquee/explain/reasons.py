"""The reason for each item of a list, found by leaving out what it might be and scoring again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee.data.histories import Queries
from marquee.explain.deletion import kept_with
from marquee.explain.impersonal import Basis, strongest_groups
from marquee.explain.rescoring import features_of_items
from marquee.policy.restrictions import UNRESTRICTED, Restrictions
from marquee.recommend import Lists, Recommender

NOISE: Final = 1e-5
"""A fall of the score by less than this share of it may be rounding."""


class ExplainConfig(BaseModel):
    """How far reasons are looked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    most: int = Field(default=20, ge=1)
    """Items of the history that are left out in turn, and genres and people thereafter."""
    newest: int = Field(default=8, ge=0)
    """As many of them are the newest; the others are those most like the list's items."""
    contributions: int = Field(default=0, ge=0)
    """Features of the ranker that are named with what they add, strongest first."""


DEFAULTS: Final = ExplainConfig()


class Reason(NamedTuple):  # a list makes a dozen
    """Why an item is in a list.

    Had the user not chosen `items`, its score would be lower by `drop`. A reason that holds for
    everybody has no items and no drop; one of the whole history names no items; a quick one knows no drop.
    """

    basis: Basis
    items: tuple[int, ...] = ()  # item indexes, newest first, each of which the profile may see
    drop: float = float("nan")
    contributions: tuple[tuple[str, float], ...] = ()  # feature and what it adds


def explain(
    recommender: Recommender,
    queries: Queries,
    lists: Lists,
    *,
    restrictions: Restrictions = UNRESTRICTED,
    config: ExplainConfig = DEFAULTS,
) -> list[list[Reason]]:
    """The reasons of lists that the recommender made of these queries under these restrictions.

    Each is looked for in turn, and the first that lowers the item's score when it is left out is
    given: the one item of the history without which it falls most; the events of one genre, or of
    one person, that the item shares; the history as a whole. Where nothing of the history speaks for an
    item, the reason is the group of the ranker's other features that adds most. A reason explains
    the score: a place that a diversity re-rank gave has none of its own.

    Source: reasons as minimal deletions are those of Tran, Ghazimatin, Saha Roy (2021),
    "Counterfactual Explanations for Neural Recommenders"; we delete one thing, and compare scores.

    Args:
        recommender: the model.
        queries: who asked.
        lists: what they got; padding is passed over.
        restrictions: what they were limited by. What is hidden from a query is not named either.
        config: how far to look.

    Returns:
        Per query a reason for each item of its list, in order.
    """
    reasons = []
    for query in range(len(queries)):
        items = lists.item_index[query]
        asked = _Asked.of(recommender, queries, query, items[items >= 0], restrictions)
        reasons.append(_explained(asked, config) if len(asked.items) else [])
    return reasons


@dataclass(frozen=True, eq=False)
class _Asked:
    """One query and its list, ready to be scored again."""

    recommender: Recommender
    query: Queries  # a single one, as the model hears it
    items: NDArray[np.int32]  # (n,) of the list
    blocked: NDArray[np.bool_]  # (n_items,) what could not be in the list
    hidden: NDArray[np.bool_]  # (n_items,) what may not be named

    @classmethod
    def of(
        cls,
        recommender: Recommender,
        queries: Queries,
        at: int,
        items: NDArray[np.int32],
        restrictions: Restrictions,
    ) -> Self:
        one, own = queries.take(np.array([at])), restrictions.block(slice(at, at + 1))
        blocked, hidden = recommender.blocked(one, own)[0], recommender.hidden(one.time_us, own)[0]
        return cls(recommender, recommender.answered(one), items, blocked, hidden)

    @property
    def history(self) -> NDArray[np.int32]:
        """Item of each event, oldest first."""
        return self.query.histories.item_index

    def features(self, left_out: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Rows of all items for each of `(n_variants, n_events)` sets of events left out."""
        variants = kept_with(self.query, ~left_out)
        return features_of_items(self.recommender, variants, self.items, self.blocked)

    def drops(self, left_out: NDArray[np.bool_]) -> NDArray[np.float64]:
        """By how much the score of each item falls without each set, `(n_sets, n)`; 0 for noise."""
        nothing = np.zeros((1, len(self.history)), bool)
        features = self.features(np.concatenate([nothing, left_out]))
        scores = self.recommender.score(features).astype(np.float64).reshape(-1, len(self.items))
        drops = scores[0] - scores[1:]
        return np.where(np.abs(drops) > NOISE * np.abs(scores[0]), drops, 0)


def _explained(asked: _Asked, config: ExplainConfig) -> list[Reason]:
    found: dict[int, Reason] = {}  # by place in the list
    if len(asked.history):
        found = _single(asked, config)
        for search in (_of_labels, _of_everything):
            if left := [place for place in range(len(asked.items)) if place not in found]:
                found |= search(asked, left, config)
    needs_contributions = config.contributions or len(found) < len(asked.items)
    if not needs_contributions:
        return [found[place] for place in range(len(asked.items))]
    contributions = _contributions(asked)
    names = asked.recommender.feature_names
    groups = strongest_groups(contributions, names)
    reasons = [found.get(place, Reason(group)) for place, group in enumerate(groups)]
    return [
        reason._replace(contributions=_strongest(row, names, config.contributions))
        for reason, row in zip(reasons, contributions, strict=True)
    ]


def _single(asked: _Asked, config: ExplainConfig) -> dict[int, Reason]:
    """The one item of the history without which each falls most; equal ones by the newest."""
    tried = promising(asked.recommender, asked.history[~asked.hidden[asked.history]], asked.items, config)
    if not len(tried):
        return {}
    drops = asked.drops(tried[:, np.newaxis] == asked.history)
    best = drops.argmax(axis=0)
    return {
        place: Reason(Basis.WATCHED, (int(tried[row]),), float(drops[row, place]))
        for place, row in enumerate(best.tolist())
        if drops[row, place] > 0
    }


def promising(
    recommender: Recommender, history: NDArray[np.int32], items: NDArray[np.int32], config: ExplainConfig
) -> NDArray[np.int32]:
    """Distinct items of a history to leave out in turn, newest first: all, or the most promising.

    Of a long history the newest, and those that the first route finds most like any of `items`.
    """
    distinct = np.array(list(dict.fromkeys(history[::-1].tolist())), np.int32)
    if len(distinct) <= config.most:
        return distinct
    newest, others = np.split(distinct, [min(config.newest, config.most)])
    route = next(iter(recommender.routes.values()))
    likeness = np.stack([route.similar(int(item))[others] for item in items])
    best_rank = np.argsort(np.argsort(-likeness, axis=1, kind="stable"), axis=1).min(axis=0)
    nearest = np.sort(np.argsort(best_rank, kind="stable")[: config.most - len(newest)])
    return np.concatenate([newest, others[nearest]])


def _of_labels(asked: _Asked, left: list[int], config: ExplainConfig) -> dict[int, Reason]:
    """The genre, or the person, shared by item and history without whose events the item falls most."""
    shared = list(_shared_labels(asked, asked.items[left]))
    shared = sorted(shared, key=lambda label: -np.count_nonzero(label.events))[: config.most]
    if not shared:
        return {}
    drops = asked.drops(np.stack([label.events for label in shared]))
    found = {}
    for place in left:
        own = [row for row, label in enumerate(shared) if asked.items[place] in label.items]
        best = max(own, key=lambda row: drops[row, place], default=None)
        if best is not None and drops[best, place] > 0:
            label = shared[best]
            watched = tuple(dict.fromkeys(asked.history[label.events][::-1].tolist()))
            found[place] = Reason(label.basis, watched, float(drops[best, place]))
    return found


@dataclass(frozen=True, eq=False)
class _Label:
    """A genre or a person that some events of the history share with some items."""

    basis: Basis
    events: NDArray[np.bool_]  # (n_events,)
    items: frozenset[int]


def _shared_labels(asked: _Asked, items: NDArray[np.int32]) -> Iterator[_Label]:
    """All of the items' labels that an event has whose item may be named."""
    movies = asked.recommender.catalogue.movies
    for basis, labels in ((Basis.GENRE, movies.genres), (Basis.PEOPLE, movies.people)):
        columns = np.unique(labels[items].indices)
        wanted, owned = (labels[each][:, columns].toarray().T > 0 for each in (items, asked.history))
        for of_items, of_events in zip(wanted, owned & ~asked.hidden[asked.history], strict=True):
            if of_events.any():
                yield _Label(basis, of_events, frozenset(items[of_items].tolist()))


def _of_everything(asked: _Asked, left: list[int], _config: ExplainConfig) -> dict[int, Reason]:
    """The history as a whole, for those that fall without it."""
    drops = asked.drops(np.ones((1, len(asked.history)), bool))[0]
    return {place: Reason(Basis.HISTORY, (), float(drops[place])) for place in left if drops[place] > 0}


def _contributions(asked: _Asked) -> NDArray[np.float64]:
    """What each feature adds to the items' scores, `(n, n_features)`; zeros without a ranker."""
    features = asked.features(np.zeros((1, len(asked.history)), bool))
    ranker = asked.recommender.ranker
    return np.zeros(features.shape) if ranker is None else ranker.contributions(features)[:, :-1]


def _strongest(row: NDArray[np.float64], names: tuple[str, ...], n: int) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-np.abs(row), kind="stable")[:n]
    return tuple((names[column], float(row[column])) for column in order if row[column] != 0)
