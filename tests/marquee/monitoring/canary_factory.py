"""Observations whose verdict can be read off their numbers."""

from datetime import UTC, datetime, timedelta

from marquee.monitoring.canary import start
from marquee.monitoring.canary_config import CanaryConfig
from marquee.monitoring.canary_counts import Arm, Arms, Histogram, Observation
from marquee.monitoring.canary_state import CanaryState

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
BOUNDS = (0.005, 0.01, 0.02, 0.04)


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


def arm(
    requests: float, *, errors: float = 0, empty: float = 0, degraded: float = 0, slow: float = 0.002
) -> Arm:
    """Nine tenths take 5 to 10 ms, a share `slow` of the answered 20 to 40, the others 10 to 20."""
    answered = requests - errors
    late = slow * answered
    counts = (0.0, 0.9 * answered, 0.1 * answered - late, late, 0.0)
    return Arm(
        requests=requests,
        errors=errors,
        empty=empty,
        degraded=degraded,
        seconds=Histogram(bounds=BOUNDS, counts=counts),
    )


GOOD_CHAMPION = arm(90_000, errors=90)
GOOD = arm(10_000, errors=10)
BAD = arm(10_000, errors=300)


def seen(canary: Arm, champion: Arm = GOOD_CHAMPION, *, recent: Arm | None = None) -> Observation:
    """Both windows alike, unless the recent canary is another."""
    whole = Arms(since=NOW, until=NOW + minutes(30), champion=champion, canary=canary)
    lately = whole if recent is None else whole.model_copy(update={"canary": recent})
    return Observation(is_ready=True, whole=whole, recent=lately)


def at_step(number: int, config: CanaryConfig | None = None, **values: object) -> CanaryState:
    """A rollout whose step is in force since NOW."""
    state = start("old", "new", now=NOW, config=config)
    return state.model_copy(update={"step": number, "step_since": NOW, **values})
