"""When sessions of a synthetic data set begin, whose they are, on which device and where."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee.data.datasets.synthetic.config import SyntheticConfig
from marquee.data.datasets.synthetic.world import LOCATIONS, World

SECOND_US: Final = 1_000_000
HOUR_US: Final = 3_600 * SECOND_US
DAY_US: Final = 24 * HOUR_US
DEVICES: Final = ("tv", "phone", "tablet", "desktop")

# Sessions by hour of the day (UTC; everybody lives in one time zone) and by weekday from Monday.
_HOUR_WEIGHT: Final = np.array(
    [4, 2, 1, 1, 1, 1, 2, 3, 4, 4, 4, 5, 6, 6, 5, 5, 6, 8, 11, 15, 18, 17, 13, 8.0]
)
_WEEKDAY_WEIGHT: Final = np.array([0.9, 0.85, 0.9, 0.95, 1.15, 1.4, 1.3])
_EVENING_HOURS: Final = (18, 23)
_DEVICE_SHARE_EVENING: Final = (0.6, 0.2, 0.1, 0.1)
_DEVICE_SHARE_DAY: Final = (0.2, 0.45, 0.1, 0.25)
_AWAY_SHARE: Final = 0.05  # of the sessions, held away from home


@dataclass(frozen=True, eq=False)
class Sessions:
    """Sessions as aligned arrays, sorted by start."""

    user: NDArray[np.int64]
    start_us: NDArray[np.int64]  # since the start of the data set
    device: NDArray[np.int64]  # position in DEVICES
    location: NDArray[np.int64]  # position in LOCATIONS


class SessionClock:
    """When sessions begin: the inverse of their cumulative intensity by hour."""

    def __init__(self, config: SyntheticConfig) -> None:
        weekdays = (np.arange(config.days) + config.start.weekday()) % 7
        intensity = (_WEEKDAY_WEIGHT[weekdays][:, None] * _HOUR_WEIGHT[None, :]).ravel()
        self._share = np.concatenate([[0.0], np.cumsum(intensity) / intensity.sum()])
        self._hour = np.arange(len(self._share), dtype=np.float64)

    def start_us(self, quantile: NDArray[np.float64]) -> NDArray[np.int64]:
        """Microseconds after the start at which these quantiles of all sessions begin."""
        return np.asarray(np.interp(quantile, self._share, self._hour) * HOUR_US).astype(np.int64)


def draw_sessions(
    world: World, clock: SessionClock, n: int, *, quantiles: tuple[float, float], rng: np.random.Generator
) -> Sessions:
    """`n` sessions that begin between two quantiles of all sessions, by users who have joined by then."""
    start_us = np.sort(clock.start_us(rng.uniform(*quantiles, size=n)))
    # Users stand in the order in which they join, so those who are there are a prefix.
    n_joined = np.searchsorted(world.joined_day, start_us / DAY_US, side="right")
    total = world.cumulative_activity[np.maximum(n_joined, 1) - 1]
    user = np.searchsorted(world.cumulative_activity, rng.random(n) * total, side="right")
    hour = (start_us // HOUR_US) % 24
    is_evening = (hour >= _EVENING_HOURS[0]) & (hour <= _EVENING_HOURS[1])
    evening_device = rng.choice(len(DEVICES), size=n, p=_DEVICE_SHARE_EVENING)
    day_device = rng.choice(len(DEVICES), size=n, p=_DEVICE_SHARE_DAY)
    away = rng.integers(len(LOCATIONS), size=n)
    return Sessions(
        user=user,
        start_us=start_us,
        device=np.where(is_evening, evening_device, day_device),
        location=np.where(rng.random(n) < _AWAY_SHARE, away, world.home[user]),
    )
