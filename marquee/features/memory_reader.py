"""State from tables in memory: for a split of the user's own, and for tests. No store, the same functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.data.interactions import Interactions
from marquee.features.context import DAY_US
from marquee.features.reader import MOVIE_COLUMNS, USER_COLUMNS
from marquee.features.state import SideTables
from marquee.features.state.activity import user_activity
from marquee.features.state.events import consumed_events, events_of, resolved
from marquee.features.state.facts import movie_profile, movie_publicity, user_profile
from marquee.features.state.statistics import DailySums, movie_statistics

_AT: Final = "_at"
_ROW: Final = "_row"


@dataclass(frozen=True, eq=False)
class MemoryReader:
    """The views' tables, and the same as-of rule: the newest row not after the moment, if not too old.

    Users' and movies' tables are each built when they are first asked for.
    """

    known: pl.DataFrame
    """Resolved events."""
    tables: SideTables

    @classmethod
    def of(cls, events: Interactions, tables: SideTables | None = None) -> Self:
        """Of all events; statistics reach to the day after the last one."""
        return cls(resolved(events_of(events)), tables or SideTables())

    @cached_property
    def user_views(self) -> Mapping[str, pl.DataFrame]:
        """By name, as `marquee.features.state` builds them."""
        return {
            schema.USER_PROFILE_VIEW: user_profile(self.tables.users),
            schema.USER_ACTIVITY_VIEW: user_activity(self.known),
        }

    @cached_property
    def movie_views(self) -> Mapping[str, pl.DataFrame]:
        """Likewise."""
        return {
            schema.MOVIE_PROFILE_VIEW: movie_profile(self.tables.movies),
            schema.MOVIE_PUBLICITY_VIEW: movie_publicity(self.tables.publicity, self.tables.movies),
            schema.MOVIE_STATISTICS_VIEW: self._statistics(),
        }

    def _statistics(self) -> pl.DataFrame:
        if self.known.is_empty():
            return pl.DataFrame(schema=schema.view_columns(schema.MOVIE_STATISTICS_VIEW))
        first, last = (int(time_us // DAY_US) + 1 for time_us in _bounds_us(self.known))
        sums = DailySums.of(consumed_events(self.known), user_profile(self.tables.users))
        return movie_statistics(sums, first_day=first, last_day=last)

    @property
    def contracts(self) -> Mapping[str, str]:
        """None: no registry vouches for these rows."""
        return {}

    def users(self, user_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """As `StateReader.users`."""
        return _as_of(self.user_views, schema.USER_ID, user_ids, time_us).select(list(USER_COLUMNS))

    def movies(self, item_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """As `StateReader.movies`."""
        return _as_of(self.movie_views, schema.ITEM_ID, item_ids, time_us).select(list(MOVIE_COLUMNS))


def _as_of(
    views: Mapping[str, pl.DataFrame], key: str, ids: pl.Series, time_us: NDArray[np.int64]
) -> pl.DataFrame:
    asked = pl.DataFrame({key: ids, _AT: pl.Series(time_us).cast(schema.TIME_DTYPE)}).with_row_index(_ROW)
    found = asked.sort(_AT)
    for name, table in views.items():
        found = found.join_asof(
            table.drop(schema.CREATED_TIMESTAMP).sort(schema.EVENT_TIMESTAMP),
            left_on=_AT,
            right_on=schema.EVENT_TIMESTAMP,
            by=key,
            strategy="backward",
            tolerance=_ttl(name),
            check_sortedness=False,
        ).drop(schema.EVENT_TIMESTAMP, strict=False)
    return found.sort(_ROW)


def _ttl(view: str) -> timedelta | None:
    days = schema.VIEW_TTL_DAYS.get(view)
    return None if days is None else timedelta(days=days)


def _bounds_us(events: pl.DataFrame) -> tuple[int, int]:
    times = events[schema.TIMESTAMP].dt.epoch("us").to_numpy()
    return int(times.min()), int(times.max())
