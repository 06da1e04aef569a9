"""Rules that look while users come in, on three kinds of outcomes: part of `benchmarks.experiments`."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from marquee.experiments.sequential import half_width, tau2_of_horizon
from marquee.experiments.spending import planned_bounds

USERS = 20_000
LOOKS = 60
DAYS = 14
FIRST = 200
CHUNK = 50
ALPHA = 0.05
Numbers = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float32]]


def clicks(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """One user in twenty clicks."""
    return (rng.random(shape, np.float32) < 0.05).astype(np.float32)


def minutes(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Two users in five watch nothing, the others log-normally long."""
    watched = np.exp(rng.standard_normal(shape, np.float32) + np.float32(3))
    return watched * (rng.random(shape, np.float32) >= 0.4)


def ndcg(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Three lists in five without a hit, the others evenly from 0 to 1."""
    return rng.random(shape, np.float32) * (rng.random(shape, np.float32) >= 0.6)


METRICS: Final[dict[str, tuple[Draw, tuple[float, ...]]]] = {
    "CTR": (clicks, (0.1, 0.2)),
    "watch minutes": (minutes, (0.05, 0.1)),
    "NDCG": (ndcg, (0.05, 0.1)),
}
"""What a user's outcome is drawn from, and which gains power is measured at."""


@dataclass(frozen=True, eq=False)
class Peeks:
    """What is seen at each look, `(n_runs, n_looks)`; one look more often than daily, then the days."""

    users: NDArray[np.int64]
    control: Numbers
    difference: Numbers
    variance: Numbers
    spread: float
    """Variance of one user's outcome."""


def peeks(draw: Draw, gain: float, *, runs: int, seed: int) -> Peeks:
    """Means and variances of arms as users come in; a gain multiplies outcomes, or clicks' probability."""
    rng = np.random.default_rng(seed)
    often = np.unique(np.geomspace(FIRST, USERS, LOOKS).astype(np.int64))
    at = np.unique(np.concatenate([often, USERS * np.arange(1, DAYS + 1) // DAYS]))
    control, difference, variance = (np.empty((runs, len(at))) for _ in range(3))
    spread = 0.0
    for first in range(0, runs, CHUNK):
        rows = slice(first, min(first + CHUNK, runs))
        shape = (rows.stop - rows.start, USERS)
        moments = []
        for factor in (1.0, 1.0 + gain):
            values = draw(rng, shape)
            if draw is clicks:  # a gain of clicks is more clickers, not more of each
                more = np.float32(0.05 * (factor - 1) / 0.95)
                values = np.maximum(values, rng.random(shape, np.float32) < more)
            else:
                values = values * np.float32(factor)
            sums = np.cumsum(values, axis=1, dtype=np.float64)[:, at - 1]
            squares = np.cumsum(values * values, axis=1, dtype=np.float64)[:, at - 1]
            moments.append((sums / at, (squares - sums**2 / at) / (at - 1) / at))
        (mean, left), (other, right) = moments
        control[rows], difference[rows], variance[rows] = mean, other - mean, left + right
        spread = float((left[:, -1] * USERS).mean())
    return Peeks(at, control, difference, variance, spread)


def rules(seen: Peeks) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Whether each rule rejects at each look, and at which of them it looks."""
    z = np.abs(seen.difference) / np.sqrt(seen.variance)
    often = np.isin(seen.users, np.unique(np.geomspace(FIRST, USERS, LOOKS).astype(np.int64)))
    daily = np.isin(seen.users, USERS * np.arange(1, DAYS + 1) // DAYS)
    end = seen.users == USERS
    bounds = np.full(len(seen.users), np.inf)
    bounds[daily] = planned_bounds([day / DAYS for day in range(1, DAYS + 1)], alpha=ALPHA)
    normal = float(stats.norm.isf(ALPHA / 2))
    found = {
        "one test at the end": (z > normal, end),
        f"t-test at {LOOKS} looks": (z > normal, often),
        f"t-test at {DAYS} days": (z > normal, daily),
        f"Bonferroni over {LOOKS}": (z > stats.norm.isf(ALPHA / 2 / LOOKS), often),
        f"O'Brien-Fleming, {DAYS} days": (z > bounds, daily),
    }
    for share in (0.05, 0.25):
        # Tau from the control as it is seen, as the report has it.
        tau2 = (share * seen.control) ** 2
        width = np.sqrt(
            2 * seen.variance * (seen.variance + tau2) / tau2
            * (math.log(1 / ALPHA) + 0.5 * np.log1p(tau2 / seen.variance))
        )  # fmt: skip
        found[f"always valid, tau {share:.0%}"] = (np.abs(seen.difference) > width, often)
    tau2 = tau2_of_horizon(seen.spread, 5_000)
    found["always valid, t_opt 5,000"] = (
        np.abs(seen.difference) > np.asarray(half_width(seen.variance, tau2)),
        often,
    )
    return found


def sequential(share: float) -> list[dict[str, Any]]:
    """Type I and power of each rule, metric by metric."""
    rows = []
    for metric, (draw, gains) in METRICS.items():
        runs = {gain: max(20, int((800 if gain == 0 else 300) * share)) for gain in (0.0, *gains)}
        by_gain = {gain: rules(peeks(draw, gain, runs=n, seed=17)) for gain, n in runs.items()}
        for rule in by_gain[0.0]:
            row: dict[str, Any] = {"metric": metric, "rule": rule}
            for gain, found in by_gain.items():
                rejected, looks = found[rule]
                hits = rejected[:, looks]
                row["type_i" if gain == 0 else f"power +{gain:.0%}"] = round(
                    float(hits.any(axis=1).mean()), 4
                )
            hits = by_gain[gains[-1]][rule][0][:, by_gain[gains[-1]][rule][1]]
            users = peek_users()[by_gain[gains[-1]][rule][1]]
            stops = users[hits.argmax(axis=1)][hits.any(axis=1)]
            row["median_stop"] = int(np.median(stops)) if len(stops) else None
            rows.append(row)
    return rows


def peek_users() -> NDArray[np.int64]:
    """Users per arm at each look of `peeks`."""
    often = np.geomspace(FIRST, USERS, LOOKS).astype(np.int64)
    return np.unique(np.concatenate([often, USERS * np.arange(1, DAYS + 1) // DAYS]))
