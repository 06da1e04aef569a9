"""For whom a number holds: queries divided by history, age, gender and share of new items."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from marquee.data.interactions import Ragged
from marquee.evaluation.ranking_metrics import QueryValues
from marquee.evaluation.significance import BootstrapConfig, bootstrap_means, interval_of

UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Slicing:
    """One way to divide the queries: query `i` belongs to `labels[codes[i]]`.

    `codes` is `(n_queries,) int64`, each a position in `labels`; a slice may be empty.
    """

    name: str
    labels: tuple[str, ...]
    codes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.codes)

    def members(self, label: str) -> NDArray[np.bool_]:
        """Which queries belong to the slice, `(n_queries,) bool`."""
        is_member: NDArray[np.bool_] = self.codes == self.labels.index(label)
        return is_member


@dataclass(frozen=True)
class SliceRow:
    """A metric on one slice; mean and bounds are None where the slice is empty."""

    slicing: str
    slice: str
    metric: str
    n_queries: int
    mean: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, str | int | float | None]:
        """As plain values for JSON."""
        return asdict(self)


def by_history_length(lengths: NDArray[np.integer]) -> Slicing:
    """By events known before the query, `(n_queries,)`."""
    labels = ("0", "1-4", "5-19", "20-49", "50+")
    return Slicing("history_length", labels, np.digitize(lengths, [1, 5, 20, 50]).astype(np.int64))


def by_age_band(ages: NDArray[np.floating]) -> Slicing:
    """By age in years, `(n_queries,)`; NaN is unknown."""
    labels = ("under 18", "18-24", "25-34", "35-44", "45-54", "55+", UNKNOWN)
    bands = np.digitize(ages, [18, 25, 35, 45, 55])
    return Slicing("age_band", labels, np.where(np.isnan(ages), len(labels) - 1, bands).astype(np.int64))


def by_gender(genders: Sequence[str | None]) -> Slicing:
    """By gender as the source writes it; None is unknown."""
    known = sorted({gender for gender in genders if gender is not None} - {UNKNOWN})
    labels = (*known, UNKNOWN)
    codes = [labels.index(UNKNOWN if gender is None else gender) for gender in genders]
    return Slicing("gender", labels, np.array(codes, dtype=np.int64))


def by_new_item_share(targets: Ragged, is_new_item: NDArray[np.bool_]) -> Slicing:
    """By the share of the query's relevant items that are new, `is_new_item` being `(n_items,) bool`.

    What counts as new is the caller's: usually an item without an event before the cut.
    Every query must have a target.
    """
    n_new = np.bincount(targets.row_of_value, is_new_item[targets.values], minlength=len(targets))
    share = n_new / targets.lengths
    codes = np.where(share == 0, 0, np.where(share < 0.5, 1, 2))
    return Slicing("new_item_share", ("none", "below half", "half or more"), codes.astype(np.int64))


def slice_table(
    values: Mapping[str, QueryValues],
    slicings: Sequence[Slicing],
    *,
    seed: int,
    config: BootstrapConfig | None = None,
) -> list[SliceRow]:
    """Mean and interval of each metric on each slice, in the order of slicings, slices, metrics.

    Raises:
        ValueError: a slicing that covers another number of queries than the metrics.
    """
    columns = np.column_stack(list(values.values()))
    for slicing in slicings:
        if len(slicing) != len(columns):
            raise ValueError(f"{slicing.name} covers {len(slicing)} queries, the metrics {len(columns)}.")
    return [
        row
        for slicing in slicings
        for label in slicing.labels
        for row in _rows(
            slicing.name,
            label,
            tuple(values),
            columns=columns[slicing.members(label)],
            seed=seed,
            config=config,
        )
    ]


def _rows(
    slicing: str,
    label: str,
    metrics: tuple[str, ...],
    *,
    columns: NDArray[np.float64],
    seed: int,
    config: BootstrapConfig | None,
) -> list[SliceRow]:
    if len(columns) == 0:
        return [SliceRow(slicing, label, metric, 0, None, None, None) for metric in metrics]
    resampled = bootstrap_means(columns, seed=seed, config=config)
    rows = []
    for column, metric in enumerate(metrics):
        interval = interval_of(float(columns[:, column].mean()), resampled[:, column], config=config)
        rows.append(
            SliceRow(slicing, label, metric, len(columns), interval.estimate, interval.low, interval.high)
        )
    return rows
