"""When a replay trains anew."""

import re
from dataclasses import dataclass
from typing import Final, Literal, Self

from marquee.errors import ConfigError
from marquee.features.context import DAY_US
from marquee.monitoring.drift_config import DriftPolicyConfig

Kind = Literal["never", "timer", "drift", "every-window"]
_TIMER: Final = re.compile(r"timer:([1-9]\d{0,3})([dw])")
_DRIFT: Final = re.compile(r"drift(?::(alarms|[1-9]\d{0,3}%))?(?:\+(timer:.*))?")
ALARMS: Final = "alarms"
USUAL: Final = ("never", "timer:7d", "drift", "every-window")
_REMEDY: Final = (
    "Use never, timer:7d (any days or weeks), drift, drift:20% (refreshed at another growth), drift:alarms"
    " (never refreshed), any of these three +timer:14d, or every-window."
)


@dataclass(frozen=True)
class Policy:
    """What asks for a training at the end of a window."""

    name: str
    kind: Kind
    every_us: int = 0
    """The age at which a model is trained anew anyway; 0 for any."""
    refresh: str = ""
    """When drift's policy refreshes: a growth such as 20%, `ALARMS` for never, empty for the configured."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Read what a person typed.

        Raises:
            ConfigError: it names no policy.
        """
        if found := _TIMER.fullmatch(text):
            return cls(text, "timer", _microseconds(found))
        if text == "never":
            return cls(text, "never")
        if text == "every-window":
            return cls(text, "every-window")
        if found := _DRIFT.fullmatch(text):
            timer = _TIMER.fullmatch(found[2]) if found[2] else None
            if timer or not found[2]:
                return cls(text, "drift", _microseconds(timer) if timer else 0, found[1] or "")
        raise ConfigError(f"--policy = {text!r} is no policy.", remedy=_REMEDY)

    @property
    def folder(self) -> str:
        """A name for its files."""
        return self.name.replace(":", "-").replace("%", "")

    def wants(self, *, now_us: int, trained_us: int, drift: bool) -> bool:
        """Whether a training is asked for.

        Args:
            now_us: end of the window, UTC microseconds.
            trained_us: when the last training was begun, whatever became of it.
            drift: whether the drift policy asks for it.
        """
        is_due = self.every_us > 0 and now_us - trained_us >= self.every_us
        return self.kind == "every-window" or is_due or (self.kind == "drift" and drift)

    def of_drift(self, configured: DriftPolicyConfig) -> DriftPolicyConfig:
        """The drift policy with this one's growth instead of the configured."""
        if not self.refresh:
            return configured
        growth = None if self.refresh == ALARMS else int(self.refresh.removesuffix("%")) / 100
        return configured.model_copy(update={"refresh_growth": growth})


def _microseconds(timer: re.Match[str]) -> int:
    return int(timer[1]) * (7 if timer[2] == "w" else 1) * DAY_US


def policies_of(texts: tuple[str, ...]) -> tuple[Policy, ...]:
    """Read several, each once.

    Raises:
        ConfigError: one is none, or is named twice.
    """
    found = tuple(Policy.of(text) for text in texts)
    if len({each.name for each in found}) < len(found):
        raise ConfigError(f"--policy names one twice: {', '.join(texts)}.", remedy="Name each once.")
    return found
