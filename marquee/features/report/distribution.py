"""What the values of one feature are like, and beside them those of the last build."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee.features.report.bins import Bins, Floats, bins_of
from marquee.features.report.config import ReportConfig
from marquee.features.report.drift import Drift, number_drift, text_drift

Kind = Literal["number", "text", "list"]
QUANTILES: Final = (0.01, 0.25, 0.5, 0.75, 0.99)
_OWN_SHARE: Final = 0.9
"""A text of which more than this share of values is distinct is drawn by its lengths."""
_OWN_MINIMUM: Final = 50


@dataclass(frozen=True, eq=False)
class Histogram:
    """Numbers in bars; `before` are those of the last build."""

    bins: Bins
    counts: NDArray[np.int64]
    before: NDArray[np.int64] | None
    of: str = ""
    """What is counted where it is not the value itself, as "length"."""


@dataclass(frozen=True)
class Bars:
    """The most frequent texts, then all others together."""

    labels: tuple[str, ...]
    counts: tuple[int, ...]
    before: tuple[int, ...] | None
    n_others: int
    """Distinct texts that share the last bar; 0 where there is none."""


@dataclass(frozen=True)
class Summary:
    """Moments and quantiles of finite numbers."""

    mean: float
    std: float
    low: float
    high: float
    quantiles: tuple[float, ...]
    """At `QUANTILES`."""


@dataclass(frozen=True, eq=False)
class Values:
    """A series of values, described."""

    kind: Kind
    n: int
    """Known values; for numbers finite ones."""
    n_distinct: int
    n_zero: int
    """Zeros, empty texts or empty lists."""
    summary: Summary | None
    """Of numbers, and of the lengths of lists."""
    picture: Histogram | Bars | None
    drift: Drift | None


@dataclass(frozen=True, eq=False)
class Feature:
    """One feature of a view, as it is online."""

    name: str
    dtype: str
    n_rows: int
    n_null: int
    n_not_finite: int
    """NaN or infinite; of a list its elements."""
    values: Values
    elements: Values | None
    """What is in the lists."""
    newest: datetime | None
    """Time of the newest row that knows it."""
    null_share_before: float | None
    is_new: bool
    """Whether a last build exists that did not have it."""

    @property
    def null_share(self) -> float | None:
        """Share of rows without it."""
        return self.n_null / self.n_rows if self.n_rows else None


def describe_feature(
    name: str,
    now: pl.DataFrame,
    *,
    time_column: str,
    before: pl.DataFrame | None,
    passed: float = 0.0,
    config: ReportConfig,
) -> Feature:
    """Describe a column.

    Args:
        name: of the column.
        now: rows of this build, with the column.
        time_column: when each row was known.
        before: rows of the last build; without the column where that did not have it.
        passed: what to add to the last build's numbers before drift is measured: a time's own progress.
        config: bins and thresholds.
    """
    column = now[name]
    past = before[name] if before is not None and name in before.columns else None
    if past is not None and _kind(past.dtype) != _kind(column.dtype):
        past = None
    elements, loose = _elements(column, past, passed, config)
    n_not_finite = loose if elements else _n_not_finite(column)
    return Feature(
        name=name,
        dtype=str(column.dtype),
        n_rows=len(column),
        n_null=column.null_count(),
        n_not_finite=n_not_finite,
        values=_values(column, past, passed, config),
        elements=elements,
        newest=now.filter(pl.col(name).is_not_null())[time_column].max(),  # type: ignore[arg-type]  # times
        null_share_before=past.null_count() / len(past) if past is not None and len(past) else None,
        is_new=before is not None and past is None,
    )


def _kind(dtype: pl.DataType) -> Kind:
    if isinstance(dtype, pl.List):
        return "list"
    return "number" if dtype.is_numeric() or dtype == pl.Boolean else "text"


def _values(column: pl.Series, past: pl.Series | None, passed: float, config: ReportConfig) -> Values:
    kind = _kind(column.dtype)
    known, known_past = column.drop_nulls(), past.drop_nulls() if past is not None else None
    if kind == "text":
        past_texts = known_past.cast(pl.String) if known_past is not None else None
        return _texts(known.cast(pl.String), past_texts, config)
    if kind == "list":
        past_lengths = known_past.list.len() if known_past is not None else None
        return _numbers(known.list.len(), past_lengths, config=config, kind="list")
    return _numbers(known, known_past, config=config, kind="number", passed=passed)


def _elements(
    column: pl.Series, past: pl.Series | None, passed: float, config: ReportConfig
) -> tuple[Values | None, int]:
    """What is in the lists, and how many elements are no finite number."""
    if _kind(column.dtype) != "list":
        return None, 0
    inside = column.drop_nulls().explode(empty_as_null=False)
    inside_past = past.drop_nulls().explode(empty_as_null=False) if past is not None else None
    return _values(inside, inside_past, passed, config), _n_not_finite(inside)


def _n_not_finite(column: pl.Series) -> int:
    return int((~column.is_finite()).sum()) if column.dtype.is_float() else 0


def _numbers(
    column: pl.Series, past: pl.Series | None, *, config: ReportConfig, kind: Kind, passed: float = 0.0
) -> Values:
    now, before = _finite(column), _finite(past) if past is not None else np.empty(0)
    if len(now) == 0:
        return Values(kind, 0, 0, 0, None, None, None)
    bins = bins_of(np.concatenate([now, before]), n_bins=config.n_bins)
    counts_before = bins.count(before) if len(before) else None
    return Values(
        kind=kind,
        n=len(now),
        n_distinct=len(np.unique(now)),
        n_zero=int((now == 0).sum()),
        summary=_summary(now),
        picture=Histogram(bins, bins.count(now), counts_before, "length" if kind == "list" else ""),
        drift=number_drift(before + passed, now, config) if len(before) else None,
    )


def _finite(column: pl.Series) -> Floats:
    values = column.cast(pl.Float64).to_numpy()
    return np.asarray(values[np.isfinite(values)], np.float64)


def _summary(values: Floats) -> Summary:
    with np.errstate(over="ignore"):  # squares beyond float64 leave the deviation infinite, which is said
        return Summary(
            mean=float(np.mean(values)),
            std=float(np.std(values)),
            low=float(values.min()),
            high=float(values.max()),
            quantiles=tuple(float(value) for value in np.quantile(values, QUANTILES, method="inverted_cdf")),
        )


def _texts(known: pl.Series, past: pl.Series | None, config: ReportConfig) -> Values:
    past = past if past is not None and len(past) else None
    n_distinct = known.n_unique()
    described = (len(known), n_distinct, int((known == "").sum()))
    if not len(known):
        return Values("text", *described, None, None, None)
    if n_distinct > max(_OWN_MINIMUM, _OWN_SHARE * len(known)):
        past_lengths = past.str.len_chars() if past is not None else None
        lengths = _numbers(known.str.len_chars(), past_lengths, config=config, kind="list")
        return Values("text", *described, None, lengths.picture, lengths.drift)
    drift = text_drift(past, known, config) if past is not None else None
    return Values("text", *described, None, _bars(known, past, config), drift)


def _bars(known: pl.Series, past: pl.Series | None, config: ReportConfig) -> Bars:
    table = (
        pl.DataFrame({"text": known}).group_by("text").len().sort(["len", "text"], descending=[True, False])
    )
    top = table.head(config.n_categories)
    labels, counts = top["text"].to_list(), top["len"].to_list()
    n_others = len(table) - len(top)
    before = None
    if past is not None:
        found = dict(pl.DataFrame({"text": past}).group_by("text").len().iter_rows())
        before = [found.get(label, 0) for label in labels]
        if n_others:
            before.append(len(past) - sum(before))
    if n_others:
        counts.append(len(known) - sum(counts))
    return Bars(tuple(labels), tuple(counts), tuple(before) if before is not None else None, n_others)
