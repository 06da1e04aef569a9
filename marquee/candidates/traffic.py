"""Forecasts of the traffic of a window from what came before it, and which of them to believe."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Numbers = NDArray[np.float64]

HOURS_OF_WEEK: Final = 168


class TrafficConfig(BaseModel):
    """Knobs of the seasonal forecast, and of when it is believed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level_half_life_hours: float = Field(default=72, gt=0)
    """A window counts half in the level after this time."""
    least_weeks: int = Field(default=2, ge=1)
    """Before so many have been seen there is no seasonal forecast."""
    least_gain: float = Field(default=0.1, ge=0, lt=1)
    """Share of the naive forecast's error that the seasonal one must save in the back-test."""
    most_error: float = Field(default=0.25, gt=0)
    """Of the mean traffic: a forecast that errs by more is no level to expect, even if others err more."""


def naive(totals: NDArray[np.number], *, lead: int) -> Numbers:
    """The traffic of the last window that was over when this one began; NaN where there was none.

    Args:
        totals: traffic of windows whose ends follow each other by one step, `(n_steps,)`.
        lead: steps that a window is long: so many back is the newest that may be known.
    """
    return np.concatenate([np.full(min(lead, len(totals)), np.nan), totals[: max(len(totals) - lead, 0)]])


def hour_of_week(totals: NDArray[np.number], *, lead: int, steps_per_hour: int) -> Numbers:
    """The mean of the same hours of all weeks before; NaN where there is none."""
    return _seasonal(totals, lead, HOURS_OF_WEEK * steps_per_hour, decay=None)[0]


def seasonal(totals: NDArray[np.number], *, lead: int, steps_per_hour: int, config: TrafficConfig) -> Numbers:
    """The hour-of-week mean times how busy it has been lately against it; NaN in the first weeks.

    Args:
        totals: as for `naive`.
        lead: likewise.
        steps_per_hour: of the steps.
        config: the knobs.

    Source: a multiplicative level on fixed seasonal indexes, Holt-Winters without trend (Winters 1960,
    "Forecasting Sales by Exponentially Weighted Moving Averages"); both levels are smoothed apart and then
    divided, so that empty hours do no harm.
    """
    decay = 0.5 ** (1 / (config.level_half_life_hours * steps_per_hour))
    period = HOURS_OF_WEEK * steps_per_hour
    mean, level = _seasonal(totals, lead, period, decay=decay)
    forecast = mean * level
    forecast[: config.least_weeks * period + lead] = np.nan
    return forecast


def _seasonal(
    totals: NDArray[np.number], lead: int, period: int, *, decay: float | None
) -> tuple[Numbers, Numbers]:
    """Of each step the mean of its place in the week, and the level against such means: of the past alone."""
    n, usual_now, now = len(totals), 0.0, 0.0
    total, count = np.zeros(period), np.zeros(period)
    mean, level = np.full(n, np.nan), np.ones(n)
    for step in range(lead, n):
        known = step - lead
        place = known % period
        total[place] += totals[known]
        count[place] += 1
        if decay is not None:
            now = decay * now + float(totals[known])
            usual_now = decay * usual_now + total[place] / count[place]
            level[step] = now / usual_now if usual_now > 0 else 1.0
        if count[step % period]:
            mean[step] = total[step % period] / count[step % period]
    return mean, level


def back_test(totals: NDArray[np.number], forecast: Numbers, *, where: NDArray[np.bool_]) -> float:
    """Mean absolute error over these steps, NaN without any."""
    return float(np.abs(forecast - totals)[where].mean()) if where.any() else float("nan")


def is_seasonal_better(
    totals: NDArray[np.number], forecast: Numbers, *, lead: int, config: TrafficConfig
) -> NDArray[np.bool_]:
    """At each step whether the seasonal forecast did well, and better than the naive one, up to then.

    A rolling origin: each forecast was made when its window began, and counts once that window is over.

    Args:
        totals: as for `naive`.
        forecast: the seasonal one.
        lead: as for `naive`.
        config: how well it must do.
    """
    persistence = naive(totals, lead=lead)
    both = np.isfinite(forecast) & np.isfinite(persistence)
    sums = [
        np.where(both, each, 0.0).cumsum()
        for each in (np.abs(forecast - totals), np.abs(persistence - totals), totals)
    ]
    seasonal_error, naive_error, seen = (
        np.concatenate([np.zeros(lead), each])[: len(totals)] for each in sums
    )
    return np.asarray(
        np.isfinite(forecast)
        & (seen > 0)
        & (seasonal_error < (1 - config.least_gain) * naive_error)
        & (seasonal_error < config.most_error * seen)
    )
