"""The fifteen statistics of a window against a reference: what each signal measures.

A statistic is a distance or a test's value, in logs but for NDCG's: only against its null distribution
(`marquee.monitoring.calibration`) does a number mean anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.features.surprise import binomial_surprise, smoothed_share
from marquee.monitoring.distances import Numbers, jensen_shannon, psi, wasserstein_of_counts, welch_t
from marquee.monitoring.window import GENRE, HISTORY_LENGTH, NDCG, Column, Window

QUALITY: Final = "ndcg_t"
SURPRISE: Final = "item_surprise"
SOURCE_MIX: Final = "source_mix_psi"
SIGNALS: Final[Mapping[str, str]] = {
    "age_wasserstein": schema.AGE,
    "year_wasserstein": schema.YEAR,
    "log_popularity_wasserstein": schema.ITEM_ID,
    "rating_wasserstein": schema.VALUE,
    "history_length_wasserstein": HISTORY_LENGTH,
    "gender_psi": schema.GENDER,
    "occupation_psi": schema.OCCUPATION,
    "genre_psi": GENRE,
    "item_bucket_psi": schema.ITEM_ID,
    SOURCE_MIX: schema.ROUTE,
    "top_score_wasserstein": schema.SCORE,
    "user_mean_rating_t": schema.VALUE,
    "genre_share_z": GENRE,
    QUALITY: NDCG,
    SURPRISE: schema.ITEM_ID,
}
"""Signals by name, with the window's column that each reads; the order is that of every vector."""
WATCHED: Final = "what they watch"
KINDS: Final[Mapping[str, str]] = {
    schema.AGE: "who they are",
    schema.GENDER: "who they are",
    schema.OCCUPATION: "who they are",
    HISTORY_LENGTH: "how much they watch",
    schema.ITEM_ID: WATCHED,
    schema.YEAR: WATCHED,
    GENRE: WATCHED,
    schema.VALUE: "how they rate",
    schema.SCORE: "what they are shown",
    schema.ROUTE: "what they are shown",
    NDCG: "how good it is",
}
"""Columns by what they are evidence of: those of one kind move together, of two kinds hardly by chance."""
LEAST: Final = 1e-4
"""What a statistic counts as at least before its logarithm is taken."""
RARE: Final = 0.005
"""Categories of a smaller share in the reference are one: a PSI over many small ones is noise."""
POPULAR: Final = 50
"""So many items are a bucket each; the others fall into tenths by popularity."""

Rows = NDArray[np.int64]
Measure = Callable[[Rows], float]
"""From units, drawn with replacement or not, to a raw statistic."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A window in the reference's terms: measures any draw of its units."""

    n_units: int
    measures: Mapping[str, Measure]
    source_distance: Measure | None = None
    """Jensen-Shannon of the source mix, which has a fixed threshold."""

    def raw(self, rows: Rows | None = None) -> Numbers:
        """`(15,) float64` in the order of `SIGNALS`, before logs; NaN where a column is missing."""
        drawn = np.arange(self.n_units) if rows is None else rows
        absent = float("nan")
        values = [
            self.measures[name](drawn) if name in self.measures and len(drawn) else absent for name in SIGNALS
        ]
        return np.array(values, np.float64)

    def statistics(self, rows: Rows | None = None) -> Numbers:
        """As `raw`, in logs but for NDCG's, which has a sign: above 0 where the model got worse."""
        return in_logs(self.raw(rows))


def in_logs(raw: Numbers) -> Numbers:
    """What z's are made of."""
    logs = np.log(np.clip(raw, LEAST, None))
    place = list(SIGNALS).index(QUALITY)
    logs[place] = raw[place]
    return logs


@dataclass(frozen=True, eq=False)
class Reference:
    """The users that windows are held against, and the labels of held-out ones."""

    window: Window
    item_units: pl.DataFrame
    """`item_id, units, events` of the reference."""
    held_out_ndcg: Numbers

    @classmethod
    def of(cls, window: Window, held_out: Window) -> Self:
        """Count the reference.

        Args:
            window: users whose distributions are compared with.
            held_out: users of the same time that neither the model's training nor `window` has: NDCG is
                compared with theirs, since a model always does better by those that it has seen.
        """
        labels = held_out.columns.get(NDCG)
        return cls(window, _item_counts(window), np.zeros(0) if labels is None else _numbers(labels))

    def measure(self, window: Window) -> Measured:
        """Bring a window into the reference's terms; one pass, so that draws of it are quick."""
        makers: dict[str, Callable[[], Measure | None]] = {
            "age_wasserstein": lambda: self._wasserstein(window, schema.AGE),
            "year_wasserstein": lambda: self._wasserstein(window, schema.YEAR),
            "log_popularity_wasserstein": lambda: self._popularity(window),
            "rating_wasserstein": lambda: self._wasserstein(window, schema.VALUE),
            "history_length_wasserstein": lambda: self._lengths(window),
            "gender_psi": lambda: self._shares(window, schema.GENDER, psi),
            "occupation_psi": lambda: self._shares(window, schema.OCCUPATION, psi),
            "genre_psi": lambda: self._shares(window, GENRE, psi),
            "item_bucket_psi": lambda: self._buckets(window),
            SOURCE_MIX: lambda: self._shares(window, schema.ROUTE, psi),
            "top_score_wasserstein": lambda: self._wasserstein(window, schema.SCORE),
            "user_mean_rating_t": lambda: self._mean_rating(window),
            "genre_share_z": lambda: self._genre_shares(window),
            QUALITY: lambda: self._quality(window),
            SURPRISE: lambda: self._surprise(window),
        }
        made = {
            name: measure
            for name, maker in makers.items()
            if SIGNALS[name] in window.columns
            and (name == QUALITY or SIGNALS[name] in self.window.columns)
            and (measure := maker()) is not None
        }
        distance = self._shares(window, schema.ROUTE, jensen_shannon) if SOURCE_MIX in made else None
        return Measured(len(window), made, distance)

    def _wasserstein(self, window: Window, name: str) -> Measure:
        return _number_measure(self.window.columns[name], window.columns[name], len(window))

    def _lengths(self, window: Window) -> Measure:
        """Of log(1 + events of the unit): newcomers are what is short, not what is a little shorter."""
        there, here = (_logs(part.columns[HISTORY_LENGTH]) for part in (self.window, window))
        return _number_measure(there, here, len(window))

    def _popularity(self, window: Window) -> Measure:
        """Of log(1 + events of the item in the reference)."""
        there = _with_popularity(self.window.columns[schema.ITEM_ID], self.item_units)
        here = _with_popularity(window.columns[schema.ITEM_ID], self.item_units)
        return _number_measure(there, here, len(window))

    def _shares(self, window: Window, name: str, distance: Callable[[Numbers, Numbers], float]) -> Measure:
        reference, current = self.window.columns[name], window.columns[name]
        counts = reference.values.cast(pl.String).value_counts(sort=True)
        kept = counts.filter(pl.col("count") >= RARE * len(reference.values))[reference.values.name].to_list()
        place = {label: number for number, label in enumerate(sorted(kept))}
        codes = [_codes(column.values, place) for column in (reference, current)]
        return _code_measure(codes[0], codes[1], current.unit, len(window), distance, n_codes=len(place) + 1)

    def _buckets(self, window: Window) -> Measure:
        ranked = self.item_units.sort("events", schema.ITEM_ID, descending=[True, False])
        n_rest = max(len(ranked) - POPULAR, 1)
        place = {
            item: rank if rank < POPULAR else POPULAR + 10 * (rank - POPULAR) // n_rest
            for rank, item in enumerate(ranked[schema.ITEM_ID].to_list())
        }
        parts = (self.window, window)
        codes = [_codes(part.columns[schema.ITEM_ID].values, place, unknown=POPULAR + 10) for part in parts]
        unit = window.columns[schema.ITEM_ID].unit
        return _code_measure(codes[0], codes[1], unit, len(window), psi, n_codes=POPULAR + 11)

    def _mean_rating(self, window: Window) -> Measure:
        reference, current = (
            _unit_means(part.columns[schema.VALUE], len(part)) for part in (self.window, window)
        )
        return lambda rows: abs(welch_t(reference, current[rows]))

    def _genre_shares(self, window: Window) -> Measure:
        """Max over genres of |mean share − the reference's| / (its deviation / √n), shares within a unit."""
        labels = sorted(set(self.window.columns[GENRE].values.unique().to_list()))
        place = {label: number for number, label in enumerate(labels)}
        usual, current = (
            _unit_shares(part.columns[GENRE], place, len(part)) for part in (self.window, window)
        )
        usual = usual[np.isfinite(usual[:, 0])]
        mean, sd = usual.mean(axis=0), usual.std(axis=0)
        wide = sd > 0

        def measure(rows: Rows) -> float:
            drawn = current[rows]
            drawn = drawn[np.isfinite(drawn[:, 0])]
            if not len(drawn) or not wide.any():
                return float("nan")
            away = np.abs(drawn.mean(axis=0) - mean)[wide] / sd[wide]
            return float(away.max() * np.sqrt(len(drawn)))

        return measure

    def _quality(self, window: Window) -> Measure | None:
        if len(self.held_out_ndcg) < 2:
            return None
        values = np.full(len(window), np.nan)
        column = window.columns[NDCG]
        values[column.unit] = _numbers(column)
        return lambda rows: welch_t(self.held_out_ndcg, values[rows])

    def _surprise(self, window: Window) -> Measure:
        """Max over items of the surprise at the units that chose it, at the reference's share of units."""
        pairs = _item_pairs(window)
        items = pairs[schema.ITEM_ID].unique(maintain_order=True)
        known = items.to_frame().join(self.item_units, on=schema.ITEM_ID, how="left", maintain_order="left")
        units = known["units"].fill_null(0).to_numpy()
        # Of a unit there are two outcomes: it chose the item, or it did not.
        chance = smoothed_share(units, len(self.window), 2, prior=0.5)
        code = _codes(pairs[schema.ITEM_ID], {item: number for number, item in enumerate(items.to_list())})
        unit = pairs["unit"].to_numpy()

        def measure(rows: Rows) -> float:
            weight = np.bincount(rows, minlength=len(window)).astype(np.float64)
            chosen = _weighed(code, weight[unit], len(items))
            above = chosen > len(rows) * chance
            if not above.any():
                return 0.0
            return float(binomial_surprise(chosen[above], chance[above], n=len(rows)).max())

        return measure


def _numbers(column: Column) -> Numbers:
    return column.values.cast(pl.Float64).to_numpy()


def _number_measure(reference: Column, current: Column, n_units: int) -> Measure:
    there, here = _numbers(reference), _numbers(current)
    support, code = np.unique(np.concatenate([there, here]), return_inverse=True)
    usual = np.bincount(code[: len(there)], minlength=len(support)).astype(np.float64)
    code = code[len(there) :]

    def measure(rows: Rows) -> float:
        weight = np.bincount(rows, minlength=n_units).astype(np.float64)
        now = _weighed(code, weight[current.unit], len(support))
        return wasserstein_of_counts(support, usual, now)

    return measure


def _code_measure(
    reference: Rows,
    current: Rows,
    unit: Rows,
    n_units: int,
    distance: Callable[[Numbers, Numbers], float],
    *,
    n_codes: int,
) -> Measure:
    usual = np.bincount(reference, minlength=n_codes).astype(np.float64)

    def measure(rows: Rows) -> float:
        weight = np.bincount(rows, minlength=n_units).astype(np.float64)
        now = _weighed(current, weight[unit], n_codes)
        either = (usual > 0) | (now > 0)
        return distance(usual[either], now[either])

    return measure


def _weighed(code: Rows, weight: Numbers, n_codes: int) -> Numbers:
    return np.asarray(np.bincount(code, weights=weight, minlength=n_codes), np.float64)


def _codes(values: pl.Series, place: Mapping[str, int], *, unknown: int | None = None) -> Rows:
    """Numbers of labels; the others get `unknown`, one after the last by default."""
    other = len(place) if unknown is None else unknown
    mapped = values.cast(pl.String).replace_strict(
        list(place), list(place.values()), default=other, return_dtype=pl.Int64
    )
    return mapped.to_numpy()


def _unit_means(column: Column, n_units: int) -> Numbers:
    n = np.bincount(column.unit, minlength=n_units)
    total = np.bincount(column.unit, weights=_numbers(column), minlength=n_units)
    means: Numbers = np.divide(total, n, out=np.full(n_units, np.nan), where=n > 0)
    return means


def _unit_shares(column: Column, place: Mapping[str, int], n_units: int) -> Numbers:
    """`(n_units, n_labels)`; NaN for units without any value."""
    width = len(place) + 1  # labels that the reference lacks are in the last
    code = _codes(column.values, place)
    counts = np.bincount(column.unit * width + code, minlength=n_units * width).reshape(n_units, width)
    total = counts.sum(axis=1, keepdims=True)
    shares: Numbers = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return shares[:, : len(place)]


def _logs(column: Column) -> Column:
    return Column(column.unit, column.values.log1p())


def _with_popularity(column: Column, counts: pl.DataFrame) -> Column:
    known = column.values.to_frame().join(counts, on=schema.ITEM_ID, how="left", maintain_order="left")
    return Column(column.unit, known.select(pl.col("events").fill_null(0).log1p()).to_series())


def _item_pairs(window: Window) -> pl.DataFrame:
    column = window.columns[schema.ITEM_ID]
    return pl.DataFrame({"unit": column.unit, schema.ITEM_ID: column.values}).unique(maintain_order=True)


def _item_counts(window: Window) -> pl.DataFrame:
    if schema.ITEM_ID not in window.columns:
        columns = {schema.ITEM_ID: pl.String, "units": pl.UInt32, "events": pl.UInt32}
        return pl.DataFrame(schema=columns)
    column = window.columns[schema.ITEM_ID]
    table = pl.DataFrame({"unit": column.unit, schema.ITEM_ID: column.values})
    counts = table.group_by(schema.ITEM_ID).agg(
        pl.col("unit").n_unique().alias("units"), pl.len().alias("events")
    )
    return counts.sort(schema.ITEM_ID)
