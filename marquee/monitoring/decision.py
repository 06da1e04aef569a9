"""A drift decision as a document: all that it was made from, so that it can be made again."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from marquee.errors import ConfigError
from marquee.monitoring.calibration import Null, z_of
from marquee.monitoring.distances import Numbers
from marquee.monitoring.drift_config import DriftPolicyConfig
from marquee.monitoring.drift_policy import (
    POLICY_VERSION,
    DriftState,
    Outcome,
    decide,
)
from marquee.monitoring.evidence import Observation
from marquee.monitoring.omnibus import OMNIBUS, together
from marquee.monitoring.signals import QUALITY, SIGNALS, SOURCE_MIX, SURPRISE, in_logs


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SignalFacts(_Document):
    """Of one signal; None where it was not measured."""

    raw: float | None = None
    """A distance, or a test's value; none of all kinds together."""
    statistic: float | None = None
    """In logs, but for NDCG's."""
    usual: float | None = None
    """Mean of the statistic over windows of held-out users."""
    deviation: float | None = None


class WindowFacts(_Document):
    """The window, and what it was measured against."""

    window_id: str
    ended_at_us: int
    bundle_id: str
    users: int
    """That were measured: at most a fifth of the pool, drawn where there were more."""
    users_in_window: int
    reference_users: int
    pool: int
    learned_events: int = 0
    """That the model which serves learned from; 0 where it is not known."""
    known_events: int = 0
    """Up to the window's end, counted likewise."""
    learned_users: int = 0
    """Whose events these were; likewise."""
    known_users: int = 0
    inputs: dict[str, str] = {}
    """Names and ids of what was read."""
    seed: int = 0


class QualityFacts(_Document):
    """What the data gate said."""

    verdict: str = "pass"
    words: tuple[str, ...] = ()


class Decision(_Document):
    """A decision with everything that it follows from."""

    version: int = 1
    policy_version: str = POLICY_VERSION
    window: WindowFacts
    quality: QualityFacts = QualityFacts()
    signals: dict[str, SignalFacts]
    """By name, and of all kinds together by `OMNIBUS`."""
    z: dict[str, float | None]
    surprise: float | None
    source_distance: float | None
    policy: DriftPolicyConfig
    state_before: DriftState
    outcome: Outcome
    state_after: DriftState
    notes: tuple[str, ...] = ()

    @property
    def observation(self) -> Observation:
        """What the policy is asked, its z's computed anew."""
        return _observation(self.window, self.quality, self.signals, self.source_distance)

    def to_json(self) -> bytes:
        """Canonical: equal decisions, equal bytes."""
        return (json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            ConfigError: the file is missing, torn, or of another release.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            cause = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
            raise ConfigError(
                f"{path} holds no drift decision: {cause}.",
                remedy="Name a decision.json of `marquee monitor drift`.",
            ) from error


@dataclass(frozen=True)
class Replayed:
    """A decision that was made again."""

    outcome: Outcome
    is_same: bool
    """Whether verdict, reason and state are those on record."""


def decide_on(
    window: WindowFacts,
    *,
    raw: Numbers | None,
    null: Null | None,
    source_distance: float | None = None,
    quality: QualityFacts | None = None,
    state: DriftState,
    policy: DriftPolicyConfig | None = None,
    notes: tuple[str, ...] = (),
) -> Decision:
    """Make a decision and its record.

    Args:
        window: what was looked at.
        raw: `(15,)` statistics of the window before logs; None where too little was there to measure.
        null: what they measure without drift; likewise.
        source_distance: Jensen-Shannon of the source mix.
        quality: what the data gate said.
        state: of the windows before.
        policy: thresholds.
        notes: what a reader should know of the measurement.
    """
    policy, quality = policy or DriftPolicyConfig(), quality or QualityFacts()
    signals = _signals(raw, null)
    distance = _number(source_distance)
    observation = _observation(window, quality, signals, distance)
    outcome, after = decide(state, observation, policy)
    return Decision(
        window=window, quality=quality, signals=signals, z=observation.z, surprise=observation.surprise,
        source_distance=distance, policy=policy, state_before=state, outcome=outcome, state_after=after,
        notes=notes,
    )  # fmt: skip


def replay(decision: Decision) -> Replayed:
    """Make a decision again, from its inputs alone."""
    outcome, after = decide(decision.state_before, decision.observation, decision.policy)
    return Replayed(outcome, (outcome, after) == (decision.outcome, decision.state_after))


def read_state(path: Path) -> DriftState:
    """What an earlier decision left; a new state where there is no file.

    Raises:
        ConfigError: the file is torn, or of another release.
    """
    try:
        return DriftState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return DriftState()
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"{path} holds no state of the drift policy.",
            remedy="Name another file, or remove it to begin anew.",
        ) from error


def as_markdown(decision: Decision) -> str:
    """For people: the verdict, its reason, and each signal."""
    window = decision.window
    lines = [
        f"**{decision.outcome.verdict}**: {decision.outcome.reason}",
        "",
        f"Window {window.window_id}: {window.users} of {window.users_in_window} users measured against"
        f" {window.reference_users}, calibrated with {window.pool} held-out ones."
        + (f" Bundle {window.bundle_id}." if window.bundle_id else ""),
        "",
        *_growth_lines(decision),
        *(f"- data gate: {words}" for words in decision.quality.words),
        *(f"- {note}" for note in decision.notes),
        "",
        "| signal | measured | usual | z |",
        "| --- | ---: | ---: | ---: |",
        *(_row(name, facts, decision.z[name]) for name, facts in decision.signals.items()),
        "",
        f"z above {decision.policy.threshold:g} speaks; measured and usual are logs, but for {QUALITY}.",
        "",
    ]
    return "\n".join(lines)


def _growth_lines(decision: Decision) -> list[str]:
    growth, limit = decision.observation.growth, decision.policy.refresh_growth
    if growth is None:
        return []
    asked = "nothing is refreshed for it" if limit is None else f"a refresh is due at {limit:.1%}"
    return [f"- data grown by {growth:.1%} since the model learned: {asked}"]


def _row(name: str, facts: SignalFacts, z: float | None) -> str:
    cells = (f"{value:.2f}" if value is not None else "–" for value in (facts.statistic, facts.usual, z))
    return f"| {name} | {' | '.join(cells)} |"


def _signals(raw: Numbers | None, null: Null | None) -> dict[str, SignalFacts]:
    if raw is None:
        return {name: SignalFacts() for name in (*SIGNALS, OMNIBUS)}
    logs = in_logs(raw)
    absent = np.full(len(raw), np.nan)
    mean, deviation = (absent, absent) if null is None else (null.mean, null.deviation)
    found = {
        name: SignalFacts(raw=_number(a), statistic=_number(b), usual=_number(c), deviation=_number(d))
        for name, a, b, c, d in zip(SIGNALS, raw, logs, mean, deviation, strict=True)
    }
    return {**found, OMNIBUS: _omnibus(logs, null)}


def _omnibus(logs: Numbers, null: Null | None) -> SignalFacts:
    if null is None:
        return SignalFacts()
    z = null.z(logs)
    usual, deviation = null.omnibus(~np.isnan(z))
    statistic = float(together(z[None])[0])
    return SignalFacts(statistic=statistic, usual=_number(usual), deviation=_number(deviation))


def _observation(
    window: WindowFacts,
    quality: QualityFacts,
    signals: Mapping[str, SignalFacts],
    source_distance: float | None,
) -> Observation:
    statistic, usual, deviation = (
        np.array([np.nan if (value := getattr(each, fact)) is None else value for each in signals.values()])
        for fact in ("statistic", "usual", "deviation")
    )
    z = z_of(statistic, usual, deviation)
    return Observation(
        window_id=window.window_id,
        ended_at_us=window.ended_at_us,
        bundle_id=window.bundle_id,
        users=window.users,
        pool=window.pool,
        learned_events=window.learned_events,
        known_events=window.known_events,
        learned_users=window.learned_users,
        known_users=window.known_users,
        z={name: _number(value) for name, value in zip(signals, z, strict=True)},
        surprise=signals[SURPRISE].raw,
        source_distance=source_distance if signals[SOURCE_MIX].raw is not None else None,
        quality="block" if quality.verdict == "block" else "warn" if quality.verdict == "warn" else "pass",
    )


def _number(value: float | None) -> float | None:
    """JSON holds neither NaN nor infinity; what is beyond all bounds is as good as very large."""
    if value is None or math.isnan(value):
        return None
    return float(np.clip(value, -1e9, 1e9))
