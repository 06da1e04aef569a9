"""Two variants of an experiment's tables, as the arms that the statistics take."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.experiment_report.outcomes import METRICS, PAST_EVENTS
from marquee.experiment_report.steps import STEP
from marquee.experiments.comparison import Arm, Comparison, compare_steps
from marquee.experiments.guardrails import Durations

MIN_IN_STEP: Final = 2
"""Users that a variance takes: a step with fewer in an arm is left out."""


def compare_metric(users: pl.DataFrame, name: str, variants: tuple[str, str]) -> Comparison | None:
    """One metric of two variants (control, treatment), step by step; None where no step has it."""
    metric = METRICS[name]
    whole = users.with_columns(pl.col(schema.USER_ID).rank("dense").cast(pl.Int64).alias("user"))
    steps = []
    for rows in whole.partition_by(STEP, maintain_order=True):
        arms = [rows.filter(pl.col(schema.VARIANT) == variant) for variant in variants]
        if any(len(arm) < MIN_IN_STEP for arm in arms):
            continue
        if metric.base is not None and any(arm[metric.base].sum() == 0 for arm in arms):
            continue
        steps.append((_arm(arms[0], metric.total, metric.base), _arm(arms[1], metric.total, metric.base)))
    return compare_steps(steps) if steps else None


def _arm(rows: pl.DataFrame, total: str, base: str | None, *, covariate: bool = True) -> Arm:
    return Arm(
        rows[total].cast(pl.Float64).to_numpy(),
        None if base is None else rows[base].cast(pl.Float64).to_numpy(),
        rows[PAST_EVENTS].to_numpy() if covariate else None,
        rows["user"].to_numpy(),
    )


def compare_share(rows: pl.DataFrame, column: str, variants: tuple[str, str]) -> Comparison | None:
    """A share of requests, by user and step."""
    sums = (
        rows.group_by("user", STEP, schema.VARIANT)
        .agg(pl.col(column).sum().alias("hits"), pl.len().alias("asked"))
        .sort("user", STEP)
    )
    steps = []
    for part in sums.partition_by(STEP, maintain_order=True):
        arms = [part.filter(pl.col(schema.VARIANT) == variant) for variant in variants]
        if all(len(arm) >= MIN_IN_STEP for arm in arms):
            made = [_arm(arm, "hits", "asked", covariate=False) for arm in arms]
            steps.append((made[0], made[1]))
    return compare_steps(steps) if steps else None


def durations(arms: Sequence[pl.DataFrame], column: str) -> tuple[Durations, Durations]:
    """A column of (control, treatment), of steps that both have.

    The control's requests weigh so that its mix of steps is the treatment's.
    """
    pairs = ((arms[0], arms[1]), (arms[1], arms[0]))
    control, treatment = (
        arm.filter(pl.col(STEP).is_in(other[STEP].unique().to_list())) for arm, other in pairs
    )
    counts = [dict(arm.group_by(STEP).len().iter_rows()) for arm in (control, treatment)]
    weight = {step: counts[1][step] / n for step, n in counts[0].items()}
    weights: NDArray[np.float64] = np.array([weight[step] for step in control[STEP]], np.float64)
    return (
        Durations(control[column].to_numpy(), control["user"].to_numpy(), weights),
        Durations(treatment[column].to_numpy(), treatment["user"].to_numpy()),
    )
