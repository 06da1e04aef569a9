"""What events before each midnight said about each movie: one row per movie and day, known at 00:00 UTC."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.features.context import DAY_US

LOOK_BACK_DAYS: Final = 90
PRIOR_EVENTS: Final = 5.0
"""Pseudo-events that pull the mean of a rarely seen movie towards the mean of all movies."""
SLOPE_DAYS: Final = 28
_SUMS: Final = ("events", "ratings", "rating", "ages", "age", "males", "male")
"""Per movie and day: numbers of events and of known values, and the values' sums."""

SUMS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "day": pl.Int64(),
    schema.ITEM_ID: pl.String(),
    **{name: pl.Float64() for name in _SUMS},
    "first_us": pl.Int64(),
    "last_us": pl.Int64(),
}
"""Columns of the sums; times are those of the first and last event, UTC microseconds."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DailySums:
    """Sums of one day's events of one movie, sorted by day and movie; days count from 1970-01-01.

    Instead of many days' there may be one row of their total, under any of the days before the look-back.
    """

    table: pl.DataFrame

    @classmethod
    def of(cls, consumed: pl.DataFrame, profiles: pl.DataFrame) -> Self:
        """Add up consumed events; `profiles` is the user_profile view.

        Sums run in the order of the events, so that equal events give equal bits.
        """
        facts = consumed.join(
            profiles.select(schema.USER_ID, schema.USER_AGE, schema.USER_IS_MALE),
            on=schema.USER_ID,
            how="left",
            maintain_order="left",
        ).with_columns((pl.col(schema.TIMESTAMP).dt.epoch("us") // DAY_US).alias("day"))
        columns = {"events": pl.lit(1.0)}
        for name, column in (
            ("rating", schema.VALUE),
            ("age", schema.USER_AGE),
            ("male", schema.USER_IS_MALE),
        ):
            columns[f"{name}s"] = pl.col(column).is_not_null().cast(pl.Float64)
            columns[name] = pl.col(column).cast(pl.Float64).fill_null(0)
        time = pl.col(schema.TIMESTAMP).dt.epoch("us")
        return cls.combined(
            [
                facts.select(
                    "day",
                    schema.ITEM_ID,
                    **columns,
                    first_us=time,
                    last_us=time,
                )
            ]
        )

    @classmethod
    def combined(cls, parts: list[pl.DataFrame]) -> Self:
        """Add up sums of the same movie and day, in the order of the parts."""
        everything = pl.concat(parts) if parts else pl.DataFrame(schema=SUMS_SCHEMA)
        key = ["day", schema.ITEM_ID]
        groups = everything.select(key).unique().sort(key).with_row_index("group")
        group = everything.join(groups, on=key, how="left", maintain_order="left")["group"].to_numpy()
        sums = {
            name: np.bincount(group, everything[name].to_numpy(), minlength=len(groups)) for name in _SUMS
        }
        ends = (
            everything.with_columns(pl.Series("group", group))
            .group_by("group")
            .agg(pl.col("first_us").min(), pl.col("last_us").max())
            .sort("group")
            .drop("group")
        )
        dtypes = dict.fromkeys(_SUMS, pl.Float64)
        return cls(
            pl.concat([groups.drop("group"), pl.DataFrame(sums, schema=dtypes), ends], how="horizontal")
        )

    def total(self, *, day: int) -> Self:
        """All days' sums as of one day's."""
        return self.combined([self.table.with_columns(pl.lit(day, pl.Int64).alias("day"))])


def movie_statistics(sums: DailySums, *, first_day: int, last_day: int) -> pl.DataFrame:
    """Rows of the view for the days from `first_day` to `last_day`, sorted by movie and day.

    The row of day D holds what was known as of D 00:00 UTC: events before it and no other. A movie
    has rows from the day after its first event on. A day's rows are the same to the last bit whichever
    other days are asked for.
    """
    past = sums.table.filter(pl.col("day") < last_day)
    if past.is_empty():
        return pl.DataFrame(schema=schema.view_columns(schema.MOVIE_STATISTICS_VIEW))
    items = past[schema.ITEM_ID].unique().sort()
    panel = _Panel(past, items, first_day=first_day, last_day=last_day)
    columns = panel.columns()
    exists = columns[schema.ITEM_EVENTS_ALL] > 0
    item, day = np.nonzero(exists)
    time = pl.Series((day + first_day) * DAY_US).cast(schema.TIME_DTYPE)
    fields = schema.FEATURE_VIEWS[schema.MOVIE_STATISTICS_VIEW]
    return pl.DataFrame(
        {
            schema.ITEM_ID: items.gather(item),
            schema.EVENT_TIMESTAMP: time,
            schema.CREATED_TIMESTAMP: time,
            **{name: pl.Series(columns[name][exists].astype(np.float32)) for name in fields},
        },
        schema=schema.view_columns(schema.MOVIE_STATISTICS_VIEW),
    ).with_columns(pl.col(pl.Float32).fill_nan(None))


class _Panel:
    """Arrays `(n_items, n_days)`: column `j` is as of the midnight that starts day `first_day + j`.

    A movie has one row a day, and rows come by day: running sums add the same numbers in the same order
    wherever the panel begins.
    """

    def __init__(self, past: pl.DataFrame, items: pl.Series, *, first_day: int, last_day: int) -> None:
        self.first_day = first_day
        self.n_days = last_day - first_day + 1
        self.n_items = len(items)
        self.past = past
        self.item = _codes(past[schema.ITEM_ID], items)
        self.day = past["day"].to_numpy()
        self.first_us = np.full(len(items), np.iinfo(np.int64).max)
        np.minimum.at(self.first_us, self.item, past["first_us"].to_numpy())

    def columns(self) -> dict[str, Array]:
        """All statistics by name."""
        events = self._so_far("events")
        ratings, rating = self._so_far("ratings"), self._so_far("rating")
        events_7d, events_30d = self._within(events, 7), self._within(events, 30)
        now_us = (np.arange(self.n_days) + self.first_day) * DAY_US - 1
        return {
            schema.ITEM_EVENTS_ALL: self._now(events),
            schema.ITEM_EVENTS_1D: self._within(events, 1),
            schema.ITEM_EVENTS_7D: events_7d,
            schema.ITEM_EVENTS_30D: events_30d,
            schema.ITEM_EVENTS_90D: self._within(events, 90),
            schema.ITEM_TREND_7D: (events_7d + 1) / (events_30d * 7 / 30 + 1),
            schema.ITEM_TREND_SLOPE_28D: self._slope(events),
            schema.ITEM_RATINGS_ALL: self._now(ratings),
            schema.ITEM_RATING_MEAN: self._shrunken_mean(self._now(rating), self._now(ratings)),
            schema.ITEM_RATING_MEAN_90D: _ratio(self._within(rating, 90), self._within(ratings, 90)),
            schema.ITEM_AUDIENCE_AGE_MEAN: self._shrunken_mean(
                self._so_far("age", days=0), self._so_far("ages", days=0)
            ),
            schema.ITEM_AUDIENCE_MALE_SHARE: self._shrunken_mean(
                self._so_far("male", days=0), self._so_far("males", days=0)
            ),
            schema.ITEM_AGE_DAYS: (now_us - self.first_us[:, None]) / DAY_US,
            schema.ITEM_IDLE_DAYS: (now_us - self._last_us()) / DAY_US,
        }

    def _place(self, days: int) -> NDArray[np.int64]:
        """Of each row: 0 for all days before the last `days` before the first, then a place a day."""
        return np.asarray(np.maximum(self.day - (self.first_day - days) + 1, 0), np.int64)

    def _so_far(self, name: str, *, days: int = LOOK_BACK_DAYS) -> Array:
        """Running sums by place, `(n_items, days + n_days)`."""
        shape = (self.n_items, days + self.n_days)
        place = self.item * shape[1] + self._place(days)
        flat = np.bincount(place, self.past[name].to_numpy(), minlength=np.prod(shape))
        return np.asarray(np.cumsum(flat.reshape(shape), axis=1), np.float64)

    def _now(self, so_far: Array) -> Array:
        return so_far[:, LOOK_BACK_DAYS:]

    def _within(self, so_far: Array, days: int) -> Array:
        return self._now(so_far) - so_far[:, LOOK_BACK_DAYS - days : so_far.shape[1] - days]

    def _slope(self, events: Array) -> Array:
        """Least-squares slope of the daily counts over the last 28 days.

        Source: ordinary least squares, Σ(x − x̄)·y ÷ Σ(x − x̄)², x = 0 … 27.
        """
        x = np.arange(SLOPE_DAYS) - (SLOPE_DAYS - 1) / 2
        daily = np.diff(events, axis=1)  # place p − 1: the day that ends at place p
        ends = np.arange(LOOK_BACK_DAYS, LOOK_BACK_DAYS + self.n_days)
        columns = [daily[:, end - SLOPE_DAYS : end] @ x for end in ends]
        return np.column_stack(columns) / float((x * x).sum())

    def _shrunken_mean(self, total: Array, count: Array) -> Array:
        """The known values' mean with `PRIOR_EVENTS` pseudo-events at the mean of all movies.

        Source: the "true Bayesian estimate" used for rating lists, (Σv + m·C) ÷ (n + m).
        """
        # Added up one by one: numpy's own sum pairs numbers by the array's shape, so by the days asked for.
        overall = _ratio(np.cumsum(total, axis=0)[-1], np.cumsum(count, axis=0)[-1])
        return np.asarray((total + PRIOR_EVENTS * overall) / (count + PRIOR_EVENTS), np.float64)

    def _last_us(self) -> NDArray[np.int64]:
        last = np.full((self.n_items, self.n_days), np.iinfo(np.int64).min)
        np.maximum.at(last, (self.item, self._place(0)), self.past["last_us"].to_numpy())
        return np.asarray(np.maximum.accumulate(last, axis=1), np.int64)


def _ratio(total: Array, count: Array) -> Array:
    """Total ÷ count, NaN where there is nothing to count."""
    return np.asarray(np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0))


def _codes(ids: pl.Series, items: pl.Series) -> NDArray[np.int64]:
    table = items.to_frame().with_row_index("code")
    codes: NDArray[Any] = (
        ids.to_frame().join(table, on=items.name, how="left", maintain_order="left")["code"].to_numpy()
    )
    return codes.astype(np.int64)
