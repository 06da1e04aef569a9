"""Several models on the same slices: who is served better than by a baseline, and who is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marquee.evaluation.ranking_metrics import QueryValues
from marquee.evaluation.significance import BootstrapConfig, Interval, bootstrap_means, interval_of
from marquee.evaluation.slices import Slicing


@dataclass(frozen=True)
class ModelSlice:
    """One metric of several models on one slice; both mappings are empty where the slice is."""

    slicing: str
    slice: str
    metric: str
    n_queries: int
    models: Mapping[str, Interval]
    """Means by model."""
    differences: Mapping[str, Interval]
    """The subject's mean minus that of each reference, paired by query."""

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "slicing": self.slicing,
            "slice": self.slice,
            "metric": self.metric,
            "n_queries": self.n_queries,
            "models": {name: found.to_dict() for name, found in self.models.items()},
            "differences": {name: found.to_dict() for name, found in self.differences.items()},
        }


def slice_models(
    values: Mapping[str, QueryValues],
    slicing: Slicing,
    *,
    metric: str,
    subject: str,
    seed: int,
    config: BootstrapConfig | None = None,
) -> list[ModelSlice]:
    """Means of all models on each slice, and the subject's difference from every other model.

    Args:
        values: of the metric by model, each `(n_queries,)`, the subject among them.
        slicing: of the same queries.
        metric: how the values are called.
        subject: the model that the others are held against.
        seed: of the bootstrap; all models of a slice see the same draws.
        config: of the intervals.

    Raises:
        ValueError: the slicing covers another number of queries, or there is no such subject.
    """
    if subject not in values:
        raise ValueError(f"{subject!r} is none of the models {sorted(values)}.")
    if len(slicing) != len(values[subject]):
        raise ValueError(f"{slicing.name} covers {len(slicing)} queries, the metric {len(values[subject])}.")
    others = [name for name in values if name != subject]
    columns = np.column_stack([*values.values(), *(values[subject] - values[name] for name in others)])
    rows = []
    for label in slicing.labels:
        members = columns[slicing.members(label)]
        found = _intervals(members, seed=seed, config=config)
        rows.append(
            ModelSlice(
                slicing.name,
                label,
                metric,
                len(members),
                dict(zip(values, found, strict=False)),
                dict(zip(others, found[len(values) :], strict=False)),
            )
        )
    return rows


def _intervals(columns: NDArray[np.float64], *, seed: int, config: BootstrapConfig | None) -> list[Interval]:
    """The interval of each column's mean; none where there is no row."""
    if not len(columns):
        return []
    resampled = bootstrap_means(columns, seed=seed, config=config)
    return [
        interval_of(float(np.mean(np.ascontiguousarray(values))), drawn, config=config)
        for values, drawn in zip(columns.T, resampled.T, strict=True)
    ]
