"""Made traffic for two arms of a rollout: counts of a minute, as a metrics store would give them."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
from scipy.special import ndtr

from marquee.monitoring.canary_counts import Arm, Arms, Histogram

BUCKETS_S = tuple(ms / 1e3 for ms in (0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100, 250))
"""Of the server's marquee_request_seconds."""
SCORES = (-8.0, -4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Of the server's marquee_score."""
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Behaviour:
    """How a bundle answers."""

    errors: float = 0.001
    empty: float = 0.002
    degraded: float = 0.01
    median_s: float = 0.006
    spread: float = 0.5
    """Standard deviation of the logarithm of seconds."""
    slow_factor: float = 1.0
    """All times are so many times as long."""
    score_mean: float = 1.0
    score_sd: float = 1.0

    def with_tail(self, ratio: float) -> "Behaviour":
        """With another 99th percentile and the same median: only the slow ones are slower."""
        return replace(self, spread=self.spread + float(np.log(ratio)) / 2.3263)


CHAMPION = Behaviour()


@dataclass
class Traffic:
    """Requests of both arms, minute by minute, at a weight that may change between them.

    Latencies are lognormal. Load moves both arms together (an AR(1) walk of their logarithm, sd .1), each
    arm by itself besides (sd .03 a minute); every ten hours or so an incident of three minutes raises both
    arms' errors by 1 pp.
    """

    canary: Behaviour
    rng: np.random.Generator
    began: datetime
    rps: float = 50.0
    champion: Behaviour = CHAMPION
    load: float = 0.0
    incident_minutes: int = 0
    sums: list[np.ndarray] = field(default_factory=lambda: [np.zeros((2, _WIDTH))])
    """Up to the end of each minute: champion and canary by requests, errors, empty, degraded, the buckets."""

    def pass_minute(self, percent: int) -> int:
        """What happens in the next minute; the requests that met the canary."""
        self.load = 0.9 * self.load + float(self.rng.normal(0, 0.1 * np.sqrt(1 - 0.81)))
        if self.incident_minutes == 0 and self.rng.random() < 1 / 600:
            self.incident_minutes = 3
        incident = 0.01 if self.incident_minutes else 0.0
        self.incident_minutes = max(0, self.incident_minutes - 1)
        n = int(self.rng.poisson(60 * self.rps))
        to_canary = int(self.rng.binomial(n, percent / 100))
        arms = [
            self._arm(self.champion, n - to_canary, incident),
            self._arm(self.canary, to_canary, incident),
        ]
        self.sums.append(self.sums[-1] + np.array(arms))
        return to_canary

    def _arm(self, how: Behaviour, n: int, incident: float) -> np.ndarray:
        rng = self.rng
        errors = int(rng.binomial(n, min(1.0, how.errors + incident)))
        answered = n - errors
        degraded, empty, _ = rng.multinomial(
            answered, [how.degraded, how.empty, 1 - how.degraded - how.empty]
        )
        median = how.slow_factor * how.median_s * np.exp(self.load + rng.normal(0, 0.03))
        seconds = _spread(rng, answered, np.log(np.array(BUCKETS_S) / median) / how.spread)
        scores = _spread(rng, answered, (np.array(SCORES) - how.score_mean) / how.score_sd)
        return np.concatenate([[n, errors, empty, degraded], seconds, scores])

    def between(self, since: datetime, until: datetime) -> Arms | None:
        """The sum of whole minutes; None where there are none."""
        first, end = ((moment - self.began) // MINUTE for moment in (since, until))
        if first >= end:
            return None
        champion, canary = self.sums[end] - self.sums[first]
        return Arms(since=since, until=until, champion=_as_arm(champion), canary=_as_arm(canary))


_FACTS = 4
_TIMES = _FACTS + len(BUCKETS_S) + 1
_WIDTH = _TIMES + len(SCORES) + 1


def _spread(rng: np.random.Generator, n: int, z: np.ndarray) -> np.ndarray:
    return rng.multinomial(n, np.diff(np.concatenate([[0.0], ndtr(z), [1.0]])))


def _as_arm(counts: np.ndarray) -> Arm:
    requests, errors, empty, degraded = counts[:_FACTS].tolist()
    return Arm(
        requests=requests,
        errors=errors,
        empty=empty,
        degraded=degraded,
        seconds=Histogram(bounds=BUCKETS_S, counts=tuple(counts[_FACTS:_TIMES].tolist())),
        scores=Histogram(bounds=SCORES, counts=tuple(counts[_TIMES:].tolist())),
    )
