"""Replays of the real order of events, by seed, and what all seeds together say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from marquee import schema
from marquee.config import TrainingConfig
from marquee.data.datasets.synthetic.load import SYNTHETIC
from marquee.evaluation.ratio import ratio
from marquee.evaluation.significance import BootstrapConfig, bootstrap_means, interval_of
from marquee.monitoring.window import NDCG
from marquee.replay.config import DENSE, QUICK
from marquee.replay.run import Replay

TIMER: Final = "timer:7d"
DRIFT: Final = "drift"
POLICIES: Final = ("never", TIMER, "every-window", "drift:alarms", DRIFT)
SHOCKS: Final = (
    ("null_column@3+2", "genre_surge@6", "broken_model@11"),
    ("scale@2+2", "influx@5", "broken_model@10"),
    ("genre_surge@3", "influx@7", "null_column@11+2"),
)
"""Taken in turn, a layout a seed."""
RESAMPLES: Final = BootstrapConfig(resamples=2_000)


@dataclass(frozen=True, eq=False)
class Seeded:
    """A replay of one seed."""

    seed: int
    data: str
    """Which data it walked: of equal data a user is the same user."""
    shocks: tuple[str, ...]
    found: Replay


def recipe(dataset: str, seed: int) -> TrainingConfig:
    """The replay's usual training; of the generator each seed has data of its own."""
    size = {"dataset": {"synthetic": DENSE["dataset"]["synthetic"] | {"seed": seed}}}
    values = QUICK | (size if dataset == SYNTHETIC else {}) | {"seed": seed}
    return TrainingConfig.from_values(values, where="the benchmark's recipe")


def data_of(dataset: str, seed: int) -> str:
    """A name for what a seed of a data set walks."""
    return f"{dataset} {seed}" if dataset == SYNTHETIC else dataset


def as_values(replays: Sequence[Seeded]) -> dict[str, Any]:
    """Each seed and all of them, plain values for JSON."""
    return {
        "seeds": [_of_seed(each) for each in replays],
        "together": [_together(replays, against) for against in (TIMER, "never")],
        "trained": {
            name: sum(_policy(each, name)["retrains"] for each in replays) for name in (TIMER, DRIFT)
        },
    }


def _of_seed(one: Seeded) -> dict[str, Any]:
    values = one.found.values
    steps = [
        {"policy": walk.policy, "window": step.window, "users": step.users, "ndcg": round(step.ndcg, 4),
         "verdict": step.verdict, "training": step.training, "reason": step.reason}
        for walk in one.found.walks
        for step in walk.steps
    ]  # fmt: skip
    return {
        "seed": one.seed, "shocks": list(one.shocks), "policies": values["policies"],
        "differences": values["differences"], "training_cpu_s": one.found.compute["policies"], "steps": steps,
    }  # fmt: skip


def _policy(one: Seeded, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in one.found.values["policies"] if each["policy"] == name)
    return found


def _together(replays: Sequence[Seeded], against: str) -> dict[str, Any]:
    """The mean difference over all users of all windows of all seeds; drawn anew are people.

    Of one data set the seeds have people in common, who are no new evidence: all windows and seeds of a
    person are drawn together. Source: Cameron, Gelbach, Miller (2008), Bootstrap-Based Improvements for
    Inference with Clustered Errors (the pairs cluster bootstrap).
    """
    people = pl.concat([_differences(each, against) for each in replays])
    units = people.group_by("data", schema.USER_ID).agg(pl.col("difference").sum(), pl.len().alias("n"))
    columns = units.sort("data", schema.USER_ID).select("difference", "n").to_numpy().astype(np.float64)
    means = bootstrap_means(columns, seed=0, config=RESAMPLES)
    estimate = float(columns[:, 0].sum() / columns[:, 1].sum())
    interval = interval_of(estimate, ratio(means[:, 0], means[:, 1]), config=RESAMPLES)
    return {"policy": DRIFT, "against": against, "people": len(units), "ndcg": interval.to_dict()}


def _differences(one: Seeded, against: str) -> pl.DataFrame:
    """`data, user_id, difference`: a row a user of a window."""
    new, old = (
        next(walk.quality for walk in one.found.walks if walk.policy == name) for name in (DRIFT, against)
    )
    paired = new.join(old, on=["window", schema.USER_ID], suffix="_old", validate="1:1")
    return paired.select(
        pl.lit(one.data).alias("data"),
        schema.USER_ID,
        (pl.col(NDCG) - pl.col(f"{NDCG}_old")).cast(pl.Float64).alias("difference"),
    )
