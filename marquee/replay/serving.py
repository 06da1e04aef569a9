"""Lists for the users of a window at the moments at which they came, by the path of the server."""

import hashlib
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.data.histories import LabelledMoments
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.data.splits import moments_of
from marquee.diagnosis import Questions
from marquee.evaluation.ranking_metrics import ndcg
from marquee.evaluation.relevance import judge
from marquee.monitoring.exposure import Exposure, ExposureContext, ShownItem
from marquee.monitoring.window import NDCG
from marquee.recommend import Recommender
from marquee.replay.timeline import Span
from marquee.replay.world import World

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Served:
    """What a window's users were shown, and how well it met what they went on to do."""

    span: Span
    users: pl.Series
    """Of each request."""
    time_us: NDArray[np.int64]
    item_ids: tuple[tuple[str, ...], ...]
    scores: tuple[tuple[float, ...], ...]
    routes: tuple[tuple[str, ...], ...]
    history_events: NDArray[np.int64]
    ndcg: NDArray[np.float64]
    """Of each request."""

    @property
    def quality(self) -> pl.DataFrame:
        """`user_id, timestamp, ndcg`, a row a user: the mean over the requests, at the first one's time."""
        times = pl.Series(schema.TIMESTAMP, self.time_us).cast(schema.TIME_DTYPE)
        table = pl.DataFrame({schema.USER_ID: self.users, schema.TIMESTAMP: times, NDCG: self.ndcg})
        means = table.group_by(schema.USER_ID).agg(pl.col(schema.TIMESTAMP).min(), pl.col(NDCG).mean())
        return means.sort(schema.USER_ID)

    def exposures(self, bundle_id: str, n: int) -> list[Exposure]:
        """As the server would have logged them; no latency is known."""
        rows = zip(
            self.users.to_list(), self.time_us.tolist(), self.item_ids, self.scores, self.routes,
            self.history_events.tolist(), strict=True,
        )  # fmt: skip
        return [
            Exposure(
                request_id=_request_id(self.span, user, time_us),
                time_us=time_us,
                user_id=user,
                surface="home",
                item_id=None,
                n=n,
                context=ExposureContext(timestamp_us=time_us, device=None, location=None),
                items=tuple(
                    ShownItem(item_id=item, position=place, score=score, route=route, propensity=None)
                    for place, (item, score, route) in enumerate(zip(items, scores, routes, strict=True), 1)
                ),
                bundle_id=bundle_id,
                variant="champion",
                assignments=(),
                degraded=(),
                features_hash=None,
                item_matrix_version=None,
                history_events=known,
                latency_ms=0.0,
            )
            for user, time_us, items, scores, routes, known in rows
        ]


def _request_id(span: Span, user: str, time_us: int) -> str:
    return hashlib.sha256(f"{span.name} {user} {time_us}".encode()).hexdigest()[:32]


@dataclass(eq=False)
class Asker:
    """Asks models; what was asked once is remembered."""

    world: World
    seed: int
    _moments: dict[Span, LabelledMoments] = field(default_factory=dict)
    _served: dict[tuple[str, Span], Served] = field(default_factory=dict)

    def moments(self, span: Span) -> LabelledMoments:
        """When the users of a span ask, and what each went on to choose in it."""
        if span not in self._moments:
            config = self.world.config
            found = moments_of(
                self.world.events,
                after_us=span.start_us - 1,
                until_us=span.end_us - 1,
                boundaries=lambda times, n_before: [
                    n_before + at
                    for at in _boundaries(times[n_before:], config.request_shares, config.min_events)
                ],
            )
            self._moments[span] = _sampled(found, config.max_users, seed=self.seed)
        return self._moments[span]

    def ask(self, name: str, recommender: Recommender, span: Span, *, broken: bool = False) -> Served:
        """The lists of a model for the users of a span; of a broken one those of other movies.

        Args:
            name: of the model.
            recommender: it.
            span: the window.
            broken: whether its items are mixed up, as by a list of ids that is not the model's.
        """
        key = (f"{name}{' broken' if broken else ''}", span)
        if key not in self._served:
            self._served[key] = self._ask(recommender, span, broken=broken)
        return self._served[key]

    def _ask(self, recommender: Recommender, span: Span, *, broken: bool) -> Served:
        events, n = self.world.events, self.world.config.n
        asked = Questions.of(recommender, self.moments(span), events, self.world.state)
        queries = asked.labelled.queries
        lists = asked.recommender.recommend(queries, n)
        routes = _routes(asked, lists.item_index)
        shown = lists.item_index
        if broken:
            other = np.random.default_rng(self.seed).permutation(len(recommender.items)).astype(np.int32)
            shown = np.where(shown == UNKNOWN_INDEX, UNKNOWN_INDEX, other[shown])
        known = shown != UNKNOWN_INDEX
        return Served(
            span=span,
            users=events.users.ids.gather(pl.Series(queries.user_index)),
            time_us=queries.time_us,
            item_ids=_rows_of(recommender.items.ids.gather(pl.Series(shown[known])).to_list(), known),
            scores=_rows_of(lists.score[known].astype(float).tolist(), known),
            routes=tuple(tuple(each) for each in routes),
            history_events=queries.histories.lengths,
            ndcg=ndcg(judge(shown, asked.labelled.targets), n),
        )


def _rows_of(values: list[T], known: NDArray[np.bool_]) -> tuple[tuple[T, ...], ...]:
    """Values of all that is known, row by row, as rows."""
    ends = np.cumsum(known.sum(axis=1)).tolist()
    return tuple(tuple(values[start:end]) for start, end in zip([0, *ends], ends, strict=False))


def _boundaries(times: NDArray[np.int64], shares: tuple[float, ...], min_events: int) -> list[int]:
    """Where a user's window is cut: at its beginning, and at the change of time nearest to each share."""
    if len(times) < min_events:
        return []
    changes = np.concatenate([[0], np.flatnonzero(np.diff(times)) + 1])
    return sorted({int(changes[np.argmin(np.abs(changes - int(len(times) * share)))]) for share in shares})


def _sampled(moments: LabelledMoments, n_users: int, *, seed: int) -> LabelledMoments:
    """The moments of at most so many users."""
    users = np.unique(moments.user_index)
    if len(users) <= n_users:
        return moments
    kept = np.random.default_rng(seed).choice(users, n_users, replace=False)
    return moments.take(np.flatnonzero(np.isin(moments.user_index, kept)))


def _routes(asked: Questions, items: NDArray[np.int32]) -> list[list[str]]:
    """For each listed item the name of the route that ranked it best, of equals the first."""
    recommender, queries = asked.recommender, asked.labelled.queries
    names = list(recommender.routes)
    found: list[list[str]] = []
    for rows in recommender.blocks(queries):
        candidates = recommender.candidates(queries.block(rows))
        best = candidates.ranks.argmin(axis=1)
        for query in range(rows.stop - rows.start):
            own = slice(int(candidates.offsets[query]), int(candidates.offsets[query + 1]))
            listed = items[rows.start + query]
            places = np.searchsorted(candidates.item_index[own], listed[listed != UNKNOWN_INDEX])
            found.append([names[at] for at in best[own][places].tolist()])
    return found
