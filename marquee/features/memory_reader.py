"""State from tables in memory: for a split of the user's own, and for tests. No store, the same functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
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
    """The views' tables, and the same as-of rule: the newest row not after the moment, if not too old."""

    views: Mapping[str, pl.DataFrame]
    """By name, as `marquee.features.state` builds them."""

    @classmethod
    def of(cls, events: Interactions, tables: SideTables | None = None) -> Self:
        """Build the tables of all events; statistics reach to the day after the last one."""
        tables = tables or SideTables()
        known = resolved(events_of(events))
        profiles = user_profile(tables.users)
        views = {
            schema.USER_PROFILE_VIEW: profiles,
            schema.USER_ACTIVITY_VIEW: user_activity(known),
            schema.MOVIE_PROFILE_VIEW: movie_profile(tables.movies),
            schema.MOVIE_PUBLICITY_VIEW: movie_publicity(tables.publicity, tables.movies),
            schema.MOVIE_STATISTICS_VIEW: pl.DataFrame(
                schema=schema.view_columns(schema.MOVIE_STATISTICS_VIEW)
            ),
        }
        if len(known):
            first, last = (int(time_us // DAY_US) + 1 for time_us in _bounds_us(known))
            sums = DailySums.of(consumed_events(known), profiles)
            views[schema.MOVIE_STATISTICS_VIEW] = movie_statistics(sums, first_day=first, last_day=last)
        return cls(views)

    @property
    def contracts(self) -> Mapping[str, str]:
        """None: no registry vouches for these rows."""
        return {}

    def users(self, user_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """As `StateReader.users`."""
        return self._rows(schema.USER_ID, user_ids, time_us).select(list(USER_COLUMNS))

    def movies(self, item_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """As `StateReader.movies`."""
        return self._rows(schema.ITEM_ID, item_ids, time_us).select(list(MOVIE_COLUMNS))

    def _rows(self, key: str, ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        asked = pl.DataFrame({key: ids, _AT: pl.Series(time_us).cast(schema.TIME_DTYPE)}).with_row_index(_ROW)
        found = asked.sort(_AT)
        for name, table in self.views.items():
            if schema.VIEW_KEYS[name] == key:
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
