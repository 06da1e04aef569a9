"""Events of a synthetic data set, block by block in time order.

In a session someone asks for a page or more; each slot of a page shows one of several candidates that
were drawn by popularity, chosen by taste (Gumbel-max: E. J. Gumbel, 1954; a draw from the softmax of
the scores). What is shown may be clicked, what is clicked may be viewed or put on the watchlist, what was
viewed to its end may be rated, liked or shared. Nobody remembers: a movie may be viewed again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, time
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.data.datasets.raw import conform
from marquee.data.datasets.synthetic.config import SyntheticConfig
from marquee.data.datasets.synthetic.sessions import (
    DAY_US,
    DEVICES,
    SECOND_US,
    SessionClock,
    Sessions,
    draw_sessions,
)
from marquee.data.datasets.synthetic.world import LOCATIONS, World, make_world, stream
from marquee.errors import NotEnoughDataError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

EVENTS_PER_BLOCK: Final = 200_000
_CANDIDATES_PER_SLOT: Final = 16
_BLOCK_STREAM: Final = 10
_MAX_EMPTY_BATCHES: Final = 20
_MEAN_REQUEST_GAP_SECONDS: Final = 150.0
_SLOT_GAP_US: Final = 30_000  # slots of a page come into sight one after the other

# The funnel: log odds of a click by taste and position, then shares of those that are left.
_CLICK_BASE: Final = -3.6
_CLICK_TASTE: Final = 1.0
_CLICK_POSITION: Final = -0.08
_VIEW_SHARE: Final = 0.75  # of clicks
_WATCHLIST_SHARE: Final = 0.3  # of clicks without a view
_FINISHED: Final = 0.7  # fraction watched from which someone may react
_RATING_SHARE: Final = 0.3
_LIKE_BASE: Final = -2.5  # log odds
_SHARE_SHARE: Final = 0.06
_TYPICAL_APPEAL: Final = 1.3  # of what people watch to the end
_TYPICAL_STARS: Final = 3.6


@dataclass(frozen=True, eq=False)
class _Slots:
    """Filled slots of pages, and later what happened in them: aligned arrays."""

    session: Ints  # number within its block
    request: Ints  # number within its batch
    user: Ints
    item: Ints
    position: Ints  # from 1
    time_us: Ints  # since the start
    affinity: Floats

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> "_Slots":
        taken: dict[str, Any] = {field.name: getattr(self, field.name)[rows] for field in fields(self)}
        return _Slots(**taken)

    def later(self, delay_us: Ints) -> "_Slots":
        return replace(self, time_us=self.time_us + delay_us)


def generate_events(config: SyntheticConfig, world: World | None = None) -> Iterator[pl.DataFrame]:
    """Blocks of events with the columns of `schema.INTERACTIONS_SCHEMA`, `n_events` rows in all.

    Sessions begin in block order; within a block rows stand in time order. A view stands at the moment
    it began, its value is the fraction that was watched in the end. Memory is that of one block.

    Raises:
        NotEnoughDataError: no movie may be shown to anybody.
    """
    world = world or make_world(config)
    clock = SessionClock(config)
    n_blocks = -(-config.n_events // EVENTS_PER_BLOCK)
    for block in range(n_blocks):
        quota = config.n_events * (block + 1) // n_blocks - config.n_events * block // n_blocks
        yield _Block(world, clock, number=block, n_blocks=n_blocks).events(quota)


class _Block:
    """One block: the sessions of one slice of time."""

    def __init__(self, world: World, clock: SessionClock, *, number: int, n_blocks: int) -> None:
        self._world = world
        self._config = world.config
        self._clock = clock
        self._number = number
        self._quantiles = (number / n_blocks, (number + 1) / n_blocks)
        self._rng = stream(self._config, _BLOCK_STREAM, number)
        self._n_sessions = 0

    def events(self, quota: int) -> pl.DataFrame:
        """Exactly `quota` events: sessions are added until they suffice, the last one is cut."""
        per_session = self._config.slate_size * self._config.mean_requests_per_session
        batches: list[pl.DataFrame] = []
        missing, n_empty = quota, 0
        while missing > 0:
            batch = self._batch(int(missing / per_session) + 16, limit=missing)
            n_empty = 0 if len(batch) else n_empty + 1
            if n_empty == _MAX_EMPTY_BATCHES:
                raise NotEnoughDataError(
                    f"synthetic: none of {self._config.n_items} movies may be shown to anybody.",
                    remedy="Raise n_items or n_users, or take another seed.",
                )
            batches.append(batch)
            missing -= len(batch)
        return self._to_contract(pl.concat(batches).sort("time_us", maintain_order=True))

    def _batch(self, n_sessions: int, *, limit: int) -> pl.DataFrame:
        """The events of `n_sessions` sessions, or of as many as make `limit` events; the last is cut."""
        sessions = draw_sessions(
            self._world, self._clock, n_sessions, quantiles=self._quantiles, rng=self._rng
        )
        events = self._react(self._fill_slots(sessions))
        number = events["session"].to_numpy()
        # Sessions stand in time order: cut in a random order, or the end of the slice would be thin.
        turn = self._rng.permutation(n_sessions)[number]
        events = events.with_columns(
            turn=turn,
            device=sessions.device[number],
            location=sessions.location[number],
            session=number + self._n_sessions,
        )
        self._n_sessions += n_sessions
        return events.sort("turn", "time_us", maintain_order=True).head(limit).drop("turn")

    def _fill_slots(self, sessions: Sessions) -> _Slots:
        """Impressions; a slot without a suitable movie, or with one shown before, stays empty."""
        size = self._config.slate_size
        session, request_us = self._draw_requests(sessions)
        slot_session = np.repeat(session, size)
        position = np.tile(np.arange(1, size + 1), len(session))
        user = sessions.user[slot_session]
        item, affinity, is_suitable = self._choose_items(user, sessions.start_us[slot_session] / DAY_US)
        slots = _Slots(
            session=slot_session,
            request=np.repeat(np.arange(len(session)), size),
            user=user,
            item=item,
            position=position,
            time_us=np.repeat(request_us, size) + position * _SLOT_GAP_US,
            affinity=affinity,
        ).take(is_suitable)
        _, once = np.unique(slots.session * self._config.n_items + slots.item, return_index=True)
        return slots.take(np.sort(once))

    def _draw_requests(self, sessions: Sessions) -> tuple[Ints, Ints]:
        """Session and time (microseconds) of each request; the first one is at the session's start."""
        n_sessions = len(sessions.user)
        n_requests = 1 + self._rng.poisson(self._config.mean_requests_per_session - 1, size=n_sessions)
        session = np.repeat(np.arange(n_sessions), n_requests)
        gap = self._rng.exponential(_MEAN_REQUEST_GAP_SECONDS, size=len(session)) * SECOND_US
        running = np.cumsum(gap.astype(np.int64))
        first = np.cumsum(n_requests) - n_requests
        return session, sessions.start_us[session] + running - running[first][session]

    def _choose_items(self, user: Ints, day: Floats) -> tuple[Ints, Floats, NDArray[np.bool_]]:
        """One movie a slot, its affinity, and whether the user may see it."""
        world = self._world
        candidates = self._draw_candidates(np.floor(day).astype(np.int64))
        taste = world.taste_on(user, day)
        affinity = np.einsum("nf,ncf->nc", taste, world.item_factors[candidates])
        score = self._config.taste_strength * affinity + self._rng.gumbel(size=candidates.shape)
        is_suitable = world.min_age[candidates] <= world.maturity_limit[user][:, None]
        best = np.where(is_suitable, score, -np.inf).argmax(axis=1)
        row = np.arange(len(user))
        return candidates[row, best], affinity[row, best].astype(np.float64), is_suitable[row, best]

    def _draw_candidates(self, day: Ints) -> Ints:
        """`(n, candidates)` movies drawn by their popularity on each row's day; `day` is sorted."""
        drawn = np.empty((len(day), _CANDIDATES_PER_SLOT), dtype=np.int64)
        days, first = np.unique(day, return_index=True)
        for each, start, stop in zip(days, first, [*first[1:], len(day)], strict=True):
            cumulative = np.cumsum(self._world.popularity_on(int(each)))
            quantile = self._rng.random((stop - start, _CANDIDATES_PER_SLOT)) * cumulative[-1]
            drawn[start:stop] = np.searchsorted(cumulative, quantile, side="right")
        return drawn

    def _react(self, shown: _Slots) -> pl.DataFrame:
        """The impressions and what follows from them."""
        log_odds = _CLICK_BASE + _CLICK_TASTE * shown.affinity + _CLICK_POSITION * (shown.position - 1)
        clicked = self._delayed(shown.take(self._happens(_sigmoid(log_odds))), 2, 30)
        is_view = self._happens(np.full(len(clicked), _VIEW_SHARE))
        viewed, left = self._delayed(clicked.take(is_view), 1, 5), clicked.take(~is_view)
        listed = self._delayed(left.take(self._happens(np.full(len(left), _WATCHLIST_SHARE))), 1, 20)
        appeal = 0.6 + 0.5 * viewed.affinity + self._world.quality[viewed.item]
        fraction = self._rng.beta(1 + 2 * np.exp(0.5 * appeal), 1.2)
        done = fraction >= _FINISHED
        watched_us = (fraction * self._world.minutes[viewed.item] * 60 * SECOND_US).astype(np.int64)
        return pl.concat(
            [
                _table(shown, "impression"),
                _table(clicked, "click"),
                _table(viewed, "view", fraction),
                _table(listed, "watchlist"),
                *self._react_to_end(viewed.later(watched_us).take(done), appeal[done]),
            ]
        )

    def _react_to_end(self, finished: _Slots, appeal: Floats) -> Iterator[pl.DataFrame]:
        n = len(finished)
        mean = _TYPICAL_STARS + 0.8 * (appeal - _TYPICAL_APPEAL)
        stars = np.clip(np.rint(self._rng.normal(mean, 0.8)), 1, 5)
        rates = self._happens(np.full(n, _RATING_SHARE))
        likes = self._happens(_sigmoid(_LIKE_BASE + appeal))
        shares = self._happens(np.full(n, _SHARE_SHARE))
        yield _table(self._delayed(finished.take(rates), 5, 120), "rating", stars[rates])
        yield _table(self._delayed(finished.take(likes), 5, 120), "like")
        yield _table(self._delayed(finished.take(shares), 5, 120), "share")

    def _happens(self, probability: Floats) -> NDArray[np.bool_]:
        return np.asarray(self._rng.random(len(probability)) < probability)

    def _delayed(self, slots: _Slots, low_seconds: float, high_seconds: float) -> _Slots:
        delay = self._rng.uniform(low_seconds, high_seconds, size=len(slots)) * SECOND_US
        return slots.later(delay.astype(np.int64))

    def _to_contract(self, events: pl.DataFrame) -> pl.DataFrame:
        start = datetime.combine(self._config.start, time(), tzinfo=UTC)
        number = pl.col("session").cast(pl.String).str.zfill(6)
        session = pl.format(f"s{self._number:04d}-{{}}", number)
        request = pl.format(f"r{self._number:04d}-{{}}-{{}}", number, "request")
        table = events.select(
            self._world.users[schema.USER_ID].gather(events["user"]).alias(schema.USER_ID),
            self._world.movies[schema.ITEM_ID].gather(events["item"]).alias(schema.ITEM_ID),
            schema.INTERACTION_TYPE,
            (pl.lit(start).dt.cast_time_unit("us") + pl.duration(microseconds="time_us")).alias(
                schema.TIMESTAMP
            ),
            schema.VALUE,
            session.alias(schema.SESSION_ID),
            pl.Series(schema.DEVICE, DEVICES).gather(events["device"]),
            pl.Series(schema.LOCATION, LOCATIONS).gather(events["location"]),
            request.alias(schema.REQUEST_ID),
            schema.POSITION,
        )
        return conform(table, name=schema.INTERACTIONS)


def _table(
    slots: _Slots, interaction_type: schema.InteractionType, value: Floats | None = None
) -> pl.DataFrame:
    values = pl.lit(None) if value is None else pl.Series(value)
    table = pl.DataFrame(
        {
            "session": slots.session,
            "request": slots.request,
            "user": slots.user,
            "item": slots.item,
            "time_us": slots.time_us,
            schema.POSITION: slots.position,
        }
    )
    type_dtype, value_dtype = (
        schema.INTERACTIONS_SCHEMA[name] for name in (schema.INTERACTION_TYPE, schema.VALUE)
    )
    return table.with_columns(
        pl.lit(interaction_type, dtype=type_dtype).alias(schema.INTERACTION_TYPE),
        values.cast(value_dtype).alias(schema.VALUE),
    )


def _sigmoid(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-log_odds)))
