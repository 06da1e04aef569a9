"""What one window showed, and what of it speaks: numbers above the thresholds, and of which kind they are."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from marquee.monitoring.drift_config import DriftPolicyConfig
from marquee.monitoring.signals import KINDS, QUALITY, SIGNALS, SOURCE_MIX, SURPRISE, WATCHED


class Observation(BaseModel):
    """What one window showed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_id: str
    ended_at_us: int
    """UTC microseconds."""
    bundle_id: str
    """That served at the end; empty where it is not known, and then an order counts as a promotion."""
    users: int
    """Units that were measured."""
    pool: int
    """Held-out units."""
    z: dict[str, float | None]
    """By signal, and of all kinds together by `OMNIBUS`; None where it was not measured."""
    surprise: float | None = None
    source_distance: float | None = None
    quality: Literal["pass", "warn", "block"] = "pass"
    """Of the data gate."""
    learned_events: int = 0
    """That the model which serves learned from; 0 where it is not known."""
    known_events: int = 0
    """Up to the window's end, counted likewise."""
    learned_users: int = 0
    """Whose events these were; 0 where it is not known."""
    known_users: int = 0

    @property
    def growth(self) -> float | None:
        """New events, or new users if they are more, by those that the model learned from.

        None where it is not known. Newcomers bring few events each, and tell of more tastes than these count.
        """
        if self.learned_events <= 0:
            return None
        of_users = self.known_users / self.learned_users if self.learned_users > 0 else 0.0
        return max(self.known_events / self.learned_events, of_users) - 1


def is_worse(observation: Observation, config: DriftPolicyConfig) -> bool:
    """Whether the lists got worse in this window."""
    quality_z = observation.z.get(QUALITY)
    return quality_z is not None and quality_z > config.threshold


def collapsed(observation: Observation, config: DriftPolicyConfig) -> bool:
    """Whether the lists are so bad that neither a second window nor a cooldown is waited for."""
    quality_z = observation.z.get(QUALITY)
    return quality_z is not None and quality_z > config.at_once


def gathered(before: float | None, now: float | None) -> float | None:
    """The omnibus z of the last two windows as one, or of the newest alone if that is more.

    Two independent z's have a sum of variance two. Source: Stouffer et al. (1949), The American Soldier.
    """
    if now is None or before is None:
        return now
    return max(now, (before + now) / math.sqrt(2))


def is_beyond_doubt(observation: Observation, config: DriftPolicyConfig) -> bool:
    """Whether this window needs no second one: evidence of several kinds speaks, or one very loudly."""
    kinds = set(loud_inputs(observation, config).values())
    return len(kinds) + is_worse(observation, config) >= config.kinds_at_once or any(
        z is not None and z > config.at_once and KINDS[column] != WATCHED
        for z, column in ((observation.z.get(name), column) for name, column in SIGNALS.items())
    )


def loud_inputs(observation: Observation, config: DriftPolicyConfig) -> dict[str, str]:
    """Tier B's signals that speak in this window, the loudest first: in words, with the kind of each."""
    found = [
        (z, name)
        for name in SIGNALS
        if name not in {QUALITY, SURPRISE}
        and (z := observation.z.get(name)) is not None
        and z > config.threshold
    ]
    loud = {f"{name} z = {z:.1f}": KINDS[SIGNALS[name]] for z, name in sorted(found, reverse=True)}
    distance = observation.source_distance
    if (
        distance is not None
        and distance >= config.source_distance
        and observation.users >= config.users_to_act
    ):
        loud[f"source mix at a distance of {distance:.2f}"] = KINDS[SIGNALS[SOURCE_MIX]]
    return loud
