"""Surges: which items draw far more users now than their share of the traffic, since when, and how surely.

For each window length an item's distinct users are held against the share of the traffic that it had in the
three weeks before, times the traffic now. What is decided at a moment depends on the events before it, and
on nothing else: not on their order, not on repeats, not on when the last look was.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from marquee.candidates.traffic import TrafficConfig, is_seasonal_better, seasonal
from marquee.candidates.window_users import distinct_users, user_item_pairs
from marquee.data.interactions import Interactions
from marquee.features.context import DAY_US, HOUR_US
from marquee.features.surprise import gamma_poisson_surprise, smoothed_share

Numbers = NDArray[np.float64]

OUT: Final = -1
"""Instead of the step since which an item surges, where it does not."""


class SurgeConfig(BaseModel):
    """When a title surges, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_hours: tuple[int, ...] = Field(default=(6, 24), min_length=1)
    """Lengths of the windows that end now; the most surprising one counts."""
    baseline_days: int = Field(default=21, ge=1)
    """Before a window, whose shares are usual."""
    least_baseline_days: float = Field(default=7, gt=0)
    """Before events reach so far back from a window, nothing surges."""
    step_minutes: Literal[10, 15, 20, 30, 60] = 60
    """Between the moments, on the clock, at which surges begin and end."""
    replay_hours: int = Field(default=96, ge=1)
    """How far back the past is gone through to know since when an item surges."""
    prior: float = Field(default=0.5, gt=0)
    """Users that every item is taken to have had in the baseline beside those seen."""
    shape: float = Field(default=8.0, gt=0)
    """Of the gamma distribution of rates: how much crowds come together."""
    enter: float = Field(default=4.6, gt=0)
    """A surge begins above this surprise, in decimals …"""
    min_users: int = Field(default=5, ge=1)
    """… and from so many users of the same window on."""
    leave: float = Field(default=2.5, ge=0)
    """It ends below this surprise."""
    half_life_hours: float = Field(default=12, gt=0)
    """After so long a surge counts half, so that the newest comes first."""
    max_share: float = Field(default=0.2, gt=0, le=1)
    """Of a list's places that surging items may take; one at least."""
    expected_total: Literal["own", "auto"] = "own"
    """The traffic that shares are taken of: the window's own, or where the back-test says so the seasonal
    forecast made before it."""
    traffic: TrafficConfig = TrafficConfig()
    """Of that forecast."""

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.leave >= self.enter:
            raise ValueError(f"leave {self.leave} must be below enter {self.enter}")
        if min(self.window_hours) < 1 or max(self.window_hours) >= 24 * self.baseline_days:
            raise ValueError(f"window_hours {self.window_hours} must be from 1 to below the baseline's")
        return self

    @property
    def steps_per_hour(self) -> int:
        """Moments of an hour."""
        return 60 // self.step_minutes

    @property
    def look_back_hours(self) -> int:
        """How far back from a moment the events reach that decide what surges at it."""
        weeks = 2 * self.traffic.least_weeks if self.expected_total == "auto" else 0
        return self.replay_hours + 24 * (self.baseline_days + 7 * weeks) + max(self.window_hours)

    def step_before(self, time_us: int) -> int:
        """The last moment on the clock that is not after this one, UTC microseconds."""
        step_us = HOUR_US // self.steps_per_hour
        return time_us // step_us * step_us

    def ends_us(self, until_us: int, n_steps: int) -> NDArray[np.int64]:
        """The last moments up to `until_us`, ascending."""
        step_us = HOUR_US // self.steps_per_hour
        return self.step_before(until_us) - step_us * np.arange(n_steps, dtype=np.int64)[::-1]


@dataclass(frozen=True, eq=False)
class Level:
    """One window length: what was seen and what was to be expected, `(n_rows, n_steps)`."""

    hours: int
    users: NDArray[np.int32]
    expected: Numbers
    surprise: Numbers


@dataclass(frozen=True, eq=False)
class Surge:
    """An item that surges."""

    item_index: int
    surprise: float
    """In decimals, of the window that surprises most."""
    users: int
    """Of that window."""
    expected: float
    """Users that were to be expected in it."""
    hours: int
    """That it is long."""
    since_us: int
    """The moment at which the surge was noticed, UTC microseconds."""
    score: float
    """The surprise, less as the surge grows old."""


@dataclass(frozen=True, eq=False)
class SurgeScorer:
    """Goes through the last moments of a past."""

    choices: Interactions
    """Events by which users chose items; those not before a moment do not count at it."""
    until_us: int
    config: SurgeConfig

    @cached_property
    def as_of_us(self) -> int:
        """The moment on the clock that surges are of."""
        return self.config.step_before(self.until_us)

    @cached_property
    def _n_steps(self) -> int:
        return self.config.replay_hours * self.config.steps_per_hour + 1

    @cached_property
    def _first_us(self) -> int:
        times = self.choices.timestamp_us
        return int(times.min()) if len(times) else self.as_of_us

    @cached_property
    def hot(self) -> NDArray[np.int64]:
        """Indexes of the items that had enough users for a surge in some window, ascending."""
        ends_us = self.config.ends_us(self.until_us, self._n_steps)
        widest = max(self.config.window_hours) * HOUR_US
        users = distinct_users(self.choices, ends_us, widest)
        return np.flatnonzero((users >= self.config.min_users).any(axis=1))

    def level(self, hours: int, rows: NDArray[np.integer], n_steps: int) -> Level:
        """Surprise of some items in windows of one length at the last moments."""
        config = self.config
        length, past = hours * config.steps_per_hour, 24 * config.baseline_days * config.steps_per_hour
        ends_us = config.ends_us(self.until_us, n_steps + past)
        users = distinct_users(self.choices, ends_us, hours * HOUR_US, items=rows)
        pairs = user_item_pairs(self.choices, ends_us, hours * HOUR_US)
        base, base_total = (usual_users(each, length, past) for each in (users, pairs))
        share = smoothed_share(base, base_total, len(self.choices.items), prior=config.prior)
        now = users[:, past:]
        expected = share * np.maximum(self._totals(hours, pairs)[past:], 1.0)
        surprise = gamma_poisson_surprise(now, expected, shape=config.shape)
        begins_us = ends_us[past:] - hours * HOUR_US
        surprise[:, begins_us - self._first_us < config.least_baseline_days * DAY_US] = 0.0
        return Level(hours, now, expected, surprise)

    def _totals(self, hours: int, pairs: NDArray[np.int32]) -> Numbers:
        """The traffic that shares are taken of, at the moments of `pairs`."""
        if self.config.expected_total == "own":
            return pairs.astype(np.float64)
        weeks = -(-(self.as_of_us - self._first_us) // (7 * DAY_US))
        n_steps = max(len(pairs), 7 * 24 * weeks * self.config.steps_per_hour)
        longer = user_item_pairs(self.choices, self.config.ends_us(self.until_us, n_steps), hours * HOUR_US)
        return expected_totals(longer, hours=hours, config=self.config)[-len(pairs) :]

    def surges(self) -> list[Surge]:
        """Those of the last moment, the highest score first."""
        rows = self.hot
        if not len(rows):
            return []
        levels = [self.level(hours, rows, self._n_steps) for hours in self.config.window_hours]
        since = follow(levels, self.config)[:, -1]
        last = np.stack([level.surprise[:, -1] for level in levels])
        ends_us = self.config.ends_us(self.until_us, self._n_steps)
        found = []
        for row in np.flatnonzero(since != OUT).tolist():
            level = levels[int(last[:, row].argmax())]
            since_us, surprise = int(ends_us[since[row]]), float(level.surprise[row, -1])
            age_hours = (self.as_of_us - since_us) / HOUR_US
            found.append(
                Surge(
                    item_index=int(rows[row]),
                    surprise=surprise,
                    users=int(level.users[row, -1]),
                    expected=float(level.expected[row, -1]),
                    hours=level.hours,
                    since_us=since_us,
                    score=surprise * 0.5 ** (age_hours / self.config.half_life_hours),
                )
            )
        return sorted(found, key=lambda surge: (-surge.score, surge.item_index))


def usual_users(users: NDArray[np.integer], length: int, past: int) -> Numbers:
    """Users of the windows of a baseline: as many as a row of windows without gaps or overlaps would hold.

    Args:
        users: of windows whose ends follow each other by one step, `(…, n_steps)`.
        length: steps that a window is long; the baseline ends where the window begins.
        past: steps that the baseline is long.

    Returns:
        Means over all windows inside each baseline, times past ÷ length, `(…, n_steps - past)`; the ends
        that have a whole baseline, but that its first window may lie before the first step.
    """
    sums = np.cumsum(users, axis=-1, dtype=np.float64)
    newest = np.arange(past, users.shape[-1]) - length
    n_windows = past - length + 1
    before = newest - n_windows
    earlier = np.where(before >= 0, sums[..., np.maximum(before, 0)], 0.0)
    return np.asarray((sums[..., newest] - earlier) * (past / length / n_windows), np.float64)


def expected_totals(pairs: NDArray[np.integer], *, hours: int, config: SurgeConfig) -> Numbers:
    """The traffic of each window that shares are taken of: the seasonal forecast where it has done better.

    Args:
        pairs: the windows' own traffic, at each step from the first week on.
        hours: that a window is long.
        config: the knobs.
    """
    own = np.asarray(pairs, np.float64)
    lead = hours * config.steps_per_hour
    forecast = seasonal(own, lead=lead, steps_per_hour=config.steps_per_hour, config=config.traffic)
    believed = is_seasonal_better(own, forecast, lead=lead, config=config.traffic)
    return np.where(believed, forecast, own)


def follow(levels: list[Level], config: SurgeConfig) -> NDArray[np.int64]:
    """Since which step each item surges, `(n_rows, n_steps) int64`, `OUT` where it does not.

    A surge begins where any window surprises by more than `enter` with enough users, and lasts until all
    surprise by less than `leave`.
    """
    surprise = np.max([level.surprise for level in levels], axis=0)
    begins = np.any(
        [(level.surprise > config.enter) & (level.users >= config.min_users) for level in levels], axis=0
    )
    since = np.full(surprise.shape, OUT, np.int64)
    now = np.full(len(surprise), OUT, np.int64)
    for step in range(surprise.shape[1]):
        now = np.where(surprise[:, step] < config.leave, OUT, now)
        now = np.where((now == OUT) & begins[:, step], step, now)
        since[:, step] = now
    return since
