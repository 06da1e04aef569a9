"""From a resolved request to a finished list, on every surface: what the server asks of a model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from marquee import schema
from marquee.candidates.popular import Popular
from marquee.candidates.standing import Nearest, Standing, SurgingStanding, Top
from marquee.candidates.surge_board import SurgeBoard
from marquee.candidates.trending import Trending, TrendingConfig
from marquee.data.histories import Queries
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.explain.impersonal import Basis
from marquee.explain.quick import best_routes, quick_reasons
from marquee.explain.reasons import ExplainConfig, Reason, explain
from marquee.explain.words import in_words, title_of
from marquee.features.movie_states import MovieStates
from marquee.packing import Model
from marquee.policy.restrictions import UNRESTRICTED, Restrictions
from marquee.recommend import Answer, Recommender

SIMILAR: Final = "similar"
"""A surface, and the basis and route of what is shown for its likeness to an item."""
EXPLAINED: Final = ExplainConfig(contributions=5)
"""How far a request that asks for explanations is looked into."""
NEAREST: Final = 256
"""So many items most like one are remembered once it was asked about; a list may need others."""
ON_SURFACE: Final = TrendingConfig(recent_days=1, usual_days=30, prior_events=0.5)
"""What the surface of trending calls a surge where no board of the last hours says more."""


class Seen(NamedTuple):
    """What a list that is the same for everybody asks of somebody."""

    time_us: int
    """The moment of the request, UTC microseconds."""
    item_index: NDArray[np.int32]
    """The items of their history that the model has."""


class Ask(NamedTuple):  # as most that is made for each list: a frozen dataclass sets field after field
    """A request in the model's terms."""

    query: Queries | Seen
    """A single one; the whole of it where the surface is "home"."""
    n: int
    surface: schema.Surface = "home"
    item_index: int = UNKNOWN_INDEX
    """The one asked about, for the surface "similar"."""
    restrictions: Restrictions = UNRESTRICTED
    explain: bool = False
    """Whether reasons are looked for by leaving things out and scoring again, which takes longer."""

    @property
    def seen(self) -> Seen:
        """What lists other than "home" are made from."""
        query = self.query
        if isinstance(query, Seen):
            return query
        return Seen(int(query.time_us[0]), query.histories.item_index)


class ShownItem(NamedTuple):
    """One item of a list, best first."""

    item_id: str
    title: str
    score: float
    """Comparable within a list only; of a route where no ranker was asked."""
    route: str
    """The route that ranked it best."""
    basis: str
    reason: str
    """In words."""
    because: tuple[str, ...] = ()
    """Ids of the items that the reason names."""
    drop: float | None = None
    """By how much the score falls without them; only where explanations were asked for."""
    contributions: tuple[tuple[str, float], ...] = ()
    """Features with what they add, likewise."""


class Listed(NamedTuple):
    """A finished list."""

    items: tuple[ShownItem, ...]
    n_candidates: int
    """That were scored."""
    is_fallback: bool = False
    """Whether the item asked about is not known, or not to be spoken of, so that popular ones stand in."""


@dataclass(frozen=True, eq=False)
class AnsweringModel:
    """A bundle's model, ready to answer on every surface; immutable, so that a request keeps one whole."""

    model: Model
    recommender: Recommender
    titles: Sequence[str] = field(repr=False)  # by item index, with years
    trending: Trending = field(repr=False)
    popular: Popular = field(repr=False)
    board: SurgeBoard | None = None
    """What surges by the hour; without one, or where it is not of the time asked for, by the day."""
    nearest: dict[int, Nearest] = field(default_factory=dict, repr=False)
    """By item, those most like it: they are the model's, and outlive a new state of the movies."""

    @classmethod
    def of(cls, model: Model) -> Self:
        """Of a bundle that was read."""
        recommender = model.recommender.compiled()
        n_items = len(recommender.items)
        routes = recommender.routes
        # Both need the movies' state and nothing else: a bundle without them has those surfaces, too.
        fitted = routes.get(Trending.name)
        surge = fitted.surge if isinstance(fitted, Trending) else np.full(n_items, -np.inf, np.float32)
        popular = routes.get(Popular.name)
        if not isinstance(popular, Popular):
            counts = np.nan_to_num(np.expm1(recommender.catalogue.states.log_events[-1]))
            popular = Popular(counts.astype(np.float32))
        return cls(
            model,
            recommender,
            [title_of(row) for row in model.movies.iter_rows(named=True)],
            Trending(surge, ON_SURFACE),
            popular,
        )

    def with_states(self, states: MovieStates) -> Self:
        """The same model with the movies' state of another moment."""
        return replace(self, recommender=self.recommender.with_states(states))

    def with_surges(self, board: SurgeBoard | None) -> Self:
        """The same model with what surges by the hour."""
        return replace(self, board=board)

    @cached_property
    def item_ids(self) -> list[str]:
        """By item index."""
        ids: list[str] = self.recommender.items.ids.to_list()
        return ids

    def list_for(self, ask: Ask) -> Listed:
        """The list of a surface: without seen, excluded and blocked items, shorter where those were all."""
        if ask.surface == "home":
            return self._home(ask)
        if ask.surface == SIMILAR:
            return self._similar(ask)
        if ask.surface == "trending":
            return self._trending(ask)
        return self._popular(ask)

    def _home(self, ask: Ask) -> Listed:
        if isinstance(ask.query, Seen):
            raise TypeError("a list for somebody needs their whole query")
        answer = self.recommender.answer(ask.query, ask.n, restrictions=ask.restrictions)
        if ask.explain:
            reasons = explain(
                self.recommender,
                ask.query,
                answer.lists,
                restrictions=ask.restrictions,
                config=EXPLAINED,
            )[0]
        else:
            reasons = quick_reasons(self.recommender, ask.query, answer, restrictions=ask.restrictions)
        return Listed(self._shown(answer, reasons), len(answer.candidates.item_index))

    def _shown(self, answer: Answer, reasons: Sequence[Reason]) -> tuple[ShownItem, ...]:
        id_of, titles = self.item_ids.__getitem__, self.titles
        items, scores = answer.item_index.tolist(), answer.lists.score[0].tolist()
        routes = best_routes(self.recommender, answer)
        return tuple(
            [
                ShownItem(
                    id_of(item),
                    titles[item],
                    score,
                    route,
                    str(reason.basis),
                    self._words(reason, item),
                    tuple(map(id_of, reason.items)),
                    None if math.isnan(reason.drop) else reason.drop,
                    reason.contributions,
                )
                for item, score, route, reason in zip(items, scores, routes, reasons, strict=False)
            ]
        )

    def _words(self, reason: Reason, item: int) -> str:
        """As `in_words`, but the usual reason without what two movies share: that takes longer to find."""
        if reason.basis is Basis.WATCHED and math.isnan(reason.drop):
            return f"because you watched {self.titles[reason.items[0]]}"
        return in_words(reason, item, self.model.movies)

    def _similar(self, ask: Ask) -> Listed:
        item, hidden = ask.item_index, self._hidden(ask)
        if item == UNKNOWN_INDEX or (hidden is not None and hidden[item]):
            return self._popular(ask)._replace(is_fallback=True)
        top = None if self.recommender.similar_index else self._nearest(item).top(ask.n, hidden)
        if top is None:
            lists = self.recommender.similar(item, ask.n, restrictions=ask.restrictions)
            top = lists.item_index[0].tolist(), lists.score[0].tolist()
        return self._plain(top, SIMILAR, SIMILAR, f"like {self.titles[item]}", because=(self.item_ids[item],))

    def _nearest(self, item: int) -> Nearest:
        """Without restrictions, which are of a request; at most 2 KiB an item."""
        if item not in self.nearest:
            lists = self.recommender.similar(item, NEAREST)
            known = lists.item_index[0] != UNKNOWN_INDEX
            whole = not known.all()
            self.nearest[item] = Nearest(lists.item_index[0][known], lists.score[0][known], whole)
        return self.nearest[item]

    def _popular(self, ask: Ask) -> Listed:
        """The same for all but for what each has seen or may not see."""
        words = in_words(Reason(Basis.POPULAR), 0, self.model.movies)
        top = self._standing_of_popular.top(ask.n, self._blocked(ask))
        return self._plain(top, self.popular.name, Basis.POPULAR.value, words)

    def _trending(self, ask: Ask) -> Listed:
        """A few that surge first, then what is popular lately."""
        words = in_words(Reason(Basis.POPULAR_NOW), 0, self.model.movies)
        top = self._standing(ask.seen.time_us).top(ask.n, self._blocked(ask))
        return self._plain(top, Trending.name, Basis.POPULAR_NOW.value, words)

    def _blocked(self, ask: Ask) -> set[int]:
        """As `Recommender.blocked`."""
        blocked = set(ask.seen.item_index.tolist())
        if (hidden := self._hidden(ask)) is not None:
            blocked.update(np.flatnonzero(hidden).tolist())
        return blocked

    def _hidden(self, ask: Ask) -> NDArray[np.bool_] | None:
        """As `Recommender.hidden`, `(n_items,)`; None where nothing is."""
        if ask.restrictions.is_nothing:
            return None
        hidden: NDArray[np.bool_] = self.recommender.hidden(np.array([ask.seen.time_us]), ask.restrictions)[0]
        return hidden

    @cached_property
    def _standing_of_popular(self) -> Standing:
        return Standing(self.popular.counts)

    def _standing(self, time_us: int) -> SurgingStanding:
        """What is popular lately and surges at a moment."""
        moment = int(self.recommender.catalogue.states.moment_of(np.array([time_us]))[0])
        has_board = self.board is not None and self.board.speaks_of(time_us)
        if (moment, has_board) not in self._standings_made:
            lately, surge = (each[moment] for each in self._standings)
            surge = self._board_scores if has_board else surge
            self._standings_made[moment, has_board] = SurgingStanding(Standing(lately), surge)
        return self._standings_made[moment, has_board]

    @cached_property
    def _standings_made(self) -> dict[tuple[int, bool], SurgingStanding]:
        return {}

    @cached_property
    def _standings(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        states = self.recommender.catalogue.states
        if schema.MOVIE_STATISTICS_VIEW in self.recommender.views_off:
            levels = np.tile(self.trending.surge, (len(states.moments_us), 1))
            return levels, np.zeros_like(levels)
        return self.trending.parts(states)

    @cached_property
    def _board_scores(self) -> NDArray[np.float32]:
        assert self.board is not None  # noqa: S101 - for the type
        return self.board.scores(self.recommender.items)

    def _plain(  # one sentence for the whole list
        self, top: Top, route: str, basis: str, words: str, *, because: tuple[str, ...] = ()
    ) -> Listed:
        ids, titles = self.item_ids, self.titles
        return Listed(
            tuple(
                ShownItem(ids[item], titles[item], score, route, basis, words, because)
                for item, score in zip(*top, strict=True)
                if item != UNKNOWN_INDEX
            ),
            0,
        )


def plain(item: ShownItem, rank: int) -> dict[str, Any]:
    """An item as JSON has it."""
    reason: dict[str, Any] = {"text": item.reason, "basis": item.basis, "item_ids": item.because}
    if item.drop is not None:
        reason["drop"] = item.drop
    if item.contributions:
        reason["contributions"] = dict(item.contributions)
    return {
        "item_id": item.item_id,
        "title": item.title,
        "rank": rank,
        "score": item.score,
        "route": item.route,
        "reason": reason,
    }
