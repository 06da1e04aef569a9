"""Ways to score how much more than usual an item is chosen now; those of others beside ours.

Each is asked with windows of one or more lengths that all end at the same hours, and answers per item and
hour; higher is more. What is expected is a share of the traffic, but where it says otherwise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from scipy import signal, special

from marquee.candidates.surges import Level, SurgeConfig, expected_totals, usual_users
from marquee.candidates.traffic import TrafficConfig
from marquee.candidates.window_users import distinct_users, user_item_pairs
from marquee.data.interactions import Interactions
from marquee.features.context import HOUR_US
from marquee.features.surprise import gamma_poisson_surprise, smoothed_share

CONFIG: Final = SurgeConfig()
EWMA_DAYS: Final = 3
WINS: Final = TrafficConfig(least_gain=0, most_error=1e9)
"""The forecast is believed wherever it beats the naive one."""
PAST: Final = 24 * CONFIG.baseline_days


@dataclass(frozen=True, eq=False)
class Counts:
    """Users of some items at every hour, and the traffic, in windows of one length."""

    hours: int
    users: np.ndarray  # (n_rows, n_hours)
    pairs: np.ndarray  # (n_hours,)
    n_items: int

    @classmethod
    def of(cls, choices: Interactions, ends_us: np.ndarray, hours: int) -> Self:
        """Of all items."""
        width = hours * HOUR_US
        users = distinct_users(choices, ends_us, width)
        return cls(hours, users, user_item_pairs(choices, ends_us, width), len(choices.items))

    def with_more(self, row: int, arrived: np.ndarray) -> Self:
        """One item alone, with new users more: as many as `arrived` in each hour."""
        so_far = np.concatenate([np.zeros(self.hours, np.int64), np.cumsum(arrived)])
        more = so_far[self.hours :] - so_far[: -self.hours]
        return type(self)(self.hours, self.users[[row]] + more, self.pairs + more, self.n_items)

    @property
    def now(self) -> np.ndarray:
        """The users in the hours that have a baseline."""
        return self.users[:, PAST:]

    def usual(self) -> np.ndarray:
        """Of the baseline, as many windows as it holds."""
        return usual_users(self.users, self.hours, PAST)

    def _totals(self, believe: TrafficConfig) -> np.ndarray:
        config = CONFIG.model_copy(update={"expected_total": "auto", "traffic": believe})
        return expected_totals(self.pairs, hours=self.hours, config=config)

    def expected(self, *, believe: TrafficConfig | None = None) -> np.ndarray:
        """The item's share in the baseline, of the traffic now or, where it is believed, of its forecast."""
        base_total = usual_users(self.pairs, self.hours, PAST)
        share = smoothed_share(self.usual(), base_total, self.n_items, prior=CONFIG.prior)
        total = self.pairs if believe is None else self._totals(believe)
        return share * np.maximum(total[PAST:], 1.0)


Windows = Mapping[int, Counts]
Scorer = Callable[[Windows], np.ndarray]


def gamma_poisson(hours: int, *, believe: TrafficConfig | None = None) -> Scorer:
    """Ours, of one window length."""
    return lambda windows: gamma_poisson_surprise(
        windows[hours].now, windows[hours].expected(believe=believe), shape=CONFIG.shape
    )


def ours(*, believe: TrafficConfig | None = None) -> Scorer:
    """The most surprising of the lengths that have enough users, as the library has it."""

    def score(windows: Windows) -> np.ndarray:
        each = [
            np.where(window.now >= CONFIG.min_users, gamma_poisson(hours, believe=believe)(windows), 0.0)
            for hours, window in windows.items()
        ]
        return np.max(each, axis=0)

    return score


def levels(windows: Windows, *, believe: TrafficConfig | None = None) -> list[Level]:
    """What the library follows."""
    return [
        Level(hours, window.now, window.now, gamma_poisson(hours, believe=believe)(windows))
        for hours, window in windows.items()
    ]


def poisson(windows: Windows) -> np.ndarray:
    """Decimals of the Poisson tail."""
    now, expected = windows[6].now, windows[6].expected()
    tail = special.gammainc(np.maximum(now, 1), expected)
    return np.where(now > 0, -np.log10(np.maximum(tail, 1e-300)), 0.0)


def ratio(windows: Windows) -> np.ndarray:
    """Observed to expected, each plus one."""
    return (windows[6].now + 1) / (windows[6].expected() + 1)


def raw_count(windows: Windows) -> np.ndarray:
    """Users now."""
    return windows[6].now.astype(np.float64)


def raw_rate(windows: Windows) -> np.ndarray:
    """Poisson decimals against the item's own rate in the baseline, whatever the traffic."""
    expected = (windows[6].usual() + CONFIG.prior) * windows[6].hours / PAST
    now = windows[6].now
    tail = special.gammainc(np.maximum(now, 1), expected)
    return np.where(now > 0, -np.log10(np.maximum(tail, 1e-300)), 0.0)


def ewma_z(windows: Windows) -> np.ndarray:
    """Deviations from an exponentially weighted mean of the item's own counts before the window."""
    users, lag = windows[6].users.astype(np.float64), windows[6].hours
    decay = 0.5 ** (1 / (24 * EWMA_DAYS))
    weights = ([1 - decay], [1, -decay])
    mean = signal.lfilter(*weights, users, axis=1)
    variance = signal.lfilter(*weights, users**2, axis=1) - mean**2
    place = slice(PAST - lag, users.shape[1] - lag)
    return (users[:, PAST:] - mean[:, place]) / np.sqrt(np.maximum(variance[:, place], 0) + 1)


SCORERS: Final[dict[str, Scorer]] = {
    "gamma-Poisson, 6 h and 24 h, from 5 users": ours(),
    "the same, of the forecast traffic": ours(believe=WINS),
    "gamma-Poisson, 6 h": gamma_poisson(6),
    "gamma-Poisson, 24 h": gamma_poisson(24),
    "gamma-Poisson, 6 h, of the forecast traffic": gamma_poisson(6, believe=WINS),
    "Poisson, 6 h": poisson,
    "ratio, 6 h": ratio,
    "raw Poisson rate, 6 h": raw_rate,
    "EWMA z, 6 h": ewma_z,
    "raw count, 6 h": raw_count,
}
