"""When drift is answered by a training: a pure function of what was seen and what is remembered.

Tier 0 is the data gate: it blocks, and never asks for a training. Tier A is the quality of the lists on
labels that have come in since, tier B what goes in and out of the model, tier C a surge of single items,
which the trending surface answers. An alarm needs some of the last windows, A speaking in one and B in
another being as good as one of them in both, or evidence of several kinds in one, or all kinds together over
one or two; it acts once, waits out a cooldown, and ends only after calm windows. Whatever the tiers say, a
model that has too little of the data behind it is refreshed: trained anew without an alarm. The constants are
judgement, settled by replay.
"""

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from marquee.monitoring.drift_config import DECLINE, Cause, DriftPolicyConfig
from marquee.monitoring.evidence import (
    Observation,
    collapsed,
    gathered,
    is_beyond_doubt,
    is_worse,
    loud_inputs,
)
from marquee.monitoring.omnibus import OMNIBUS
from marquee.monitoring.signals import QUALITY

POLICY_VERSION: Final = "5"
"""Changes with the rules below, so that a decision says which of them it was made by."""
Verdict = Literal[
    "none", "watch", "surge", "report", "refresh", "retrain", "insufficient", "blocked", "stale"
]
_DAY_US: Final = 24 * 3_600_000_000
_WEEK_US: Final = 7 * _DAY_US


class Outcome(BaseModel):
    """What is to be done, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    """Of policy, window and bundle: one training at most is started for one key."""
    verdict: Verdict
    reason: str
    tier: Literal["", "0", "A", "B", "C"] = ""
    """Which one speaks; a refresh may go with a surge, or with none."""

    @property
    def retrain(self) -> bool:
        """Whether a training is asked for: by an alarm, or as a refresh."""
        return self.verdict in {"retrain", "refresh"}

    @property
    def cause(self) -> Cause:
        """Of that training."""
        if self.verdict == "refresh":
            return "refresh"
        return DECLINE if self.tier == "A" else "drift"


class DriftState(BaseModel):
    """What is remembered from window to window."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    bundle_id: str = ""
    window_us: int = -1
    """End of the last window that was decided on."""
    quality_votes: tuple[bool, ...] = ()
    input_votes: tuple[bool, ...] = ()
    omnibus: float | None = None
    """z of all kinds of evidence together in the last window; None where that was not judged."""
    gathered: float | None = None
    """That, or with the window before if the two say more."""
    quality_alarm: bool = False
    input_alarm: bool = False
    calm: int = 0
    cooldown_left: int = 0
    """Windows in which nothing is ordered, this one not counted."""
    cooldown_until_us: int = 0
    ordered_us: tuple[int, ...] = ()
    """Ends of the windows that asked for a training, of the last seven days."""
    pending: Literal["", "alarm", "refresh"] = ""
    """Why the newest of them was asked for, until a model is promoted."""
    last: Outcome | None = None


def decision_key(observation: Observation) -> str:
    """The idempotency key of a window's decision."""
    return f"{POLICY_VERSION}-{observation.window_id}-{observation.bundle_id or 'unknown'}"


def decide(
    state: DriftState, observation: Observation, config: DriftPolicyConfig | None = None
) -> tuple[Outcome, DriftState]:
    """What a window calls for, and what to remember of it.

    Asked again about the last window it answers the same and changes nothing; an older one changes nothing.
    """
    config = config or DriftPolicyConfig()
    key = decision_key(observation)
    if state.last is not None and state.last.key == key:
        return state.last, state
    if observation.ended_at_us <= state.window_us and observation.bundle_id == state.bundle_id:
        return Outcome(
            key=key, verdict="stale", reason="A window that ends as late was decided on already."
        ), state
    state = _entered(state, observation, config)
    if observation.quality == "block":
        why = "The data gate found a broken feed: mend it, then look again."
        outcome = Outcome(key=key, verdict="blocked", tier="0", reason=why)
        return outcome, _left(_interrupted(state), observation, config, outcome)
    if few := _too_few(observation, config):
        state = _interrupted(state)
        outcome = Outcome(key=key, verdict="insufficient", reason=few)
    else:
        state = _voted(state, observation, config)
        outcome = _judged(state, observation, config, key)
    outcome = _refreshed(outcome, state, observation, config)
    return outcome, _left(state, observation, config, outcome)


def _entered(state: DriftState, observation: Observation, config: DriftPolicyConfig) -> DriftState:
    """A promotion begins everything anew, and a cooldown; not so a refresh, which answers no alarm."""
    week = tuple(each for each in state.ordered_us if each > observation.ended_at_us - _WEEK_US)
    state = state.model_copy(update={"ordered_us": week})
    if not state.bundle_id or observation.bundle_id == state.bundle_id:
        return state.model_copy(update={"bundle_id": observation.bundle_id})
    if state.pending == "refresh":
        update = {"bundle_id": observation.bundle_id, "cooldown_left": 0, "pending": ""}
        return state.model_copy(update=update)
    fresh = DriftState(bundle_id=observation.bundle_id, ordered_us=week, last=state.last)
    return fresh.model_copy(update=_cooldown(observation, config))


def _cooldown(observation: Observation, config: DriftPolicyConfig) -> Mapping[str, int]:
    until = observation.ended_at_us + _hours_us(config)
    return {"cooldown_left": config.cooldown_windows, "cooldown_until_us": until}


def _hours_us(config: DriftPolicyConfig) -> int:
    return round(config.cooldown_hours * _DAY_US / 24)


def _too_few(observation: Observation, config: DriftPolicyConfig) -> str:
    if observation.pool < config.min_pool:  # first: a small pool is why few users are measured
        return f"{observation.pool} held-out users are too few to calibrate: {config.min_pool} are needed."
    if observation.users < config.users_to_test:
        return f"{observation.users} users are too few: {config.users_to_test} are needed."
    return ""


def _interrupted(state: DriftState) -> DriftState:
    """After a window that nobody could judge, the one before it is not the last any more."""
    return state.model_copy(update={"omnibus": None, "gathered": None})


def _voted(state: DriftState, observation: Observation, config: DriftPolicyConfig) -> DriftState:
    quality_speaks = is_worse(observation, config)
    quality = (*state.quality_votes, quality_speaks)[-config.of_windows :]
    both = gathered(state.omnibus, observation.z.get(OMNIBUS))
    is_spread = both is not None and both > config.omnibus
    inputs = (*state.input_votes, is_spread or bool(loud_inputs(observation, config)))[-config.of_windows :]
    highest = max((z for z in observation.z.values() if z is not None), default=0.0)
    calm = state.calm + 1 if highest < config.calm_below else 0
    ended = calm >= config.calm_windows
    together = _votes(quality, inputs) >= config.votes or is_spread or is_beyond_doubt(observation, config)
    return state.model_copy(
        update={
            "quality_votes": quality,
            "input_votes": inputs,
            "omnibus": observation.z.get(OMNIBUS),
            "gathered": both,
            "calm": calm,
            "quality_alarm": collapsed(observation, config)
            or (together and (quality_speaks or sum(quality) >= config.votes))
            or (state.quality_alarm and not ended),
            "input_alarm": (together and (inputs[-1] or sum(inputs) >= config.votes))
            or (state.input_alarm and not ended),
        }
    )


def _votes(quality: tuple[bool, ...], inputs: tuple[bool, ...]) -> int:
    """Of the last windows, those in which either tier spoke."""
    return sum(a or b for a, b in zip(quality, inputs, strict=True))


def _judged(state: DriftState, observation: Observation, config: DriftPolicyConfig, key: str) -> Outcome:
    quality_z = observation.z.get(QUALITY)
    loud = list(loud_inputs(observation, config))
    if state.gathered is not None and state.gathered > config.omnibus:
        loud.append(f"all kinds together z = {state.gathered:.1f}")
    worse = [f"{QUALITY} z = {quality_z:.1f}"] if quality_z is not None else []
    spoken = [*(worse if is_worse(observation, config) else []), *loud]
    if state.quality_alarm or state.input_alarm:
        tier: Literal["A", "B"] = "A" if state.quality_alarm else "B"
        heard = [*worse, *loud] if tier == "A" else loud
        why = "; ".join(heard) or "an alarm of the windows before has not ended"
        votes = _votes(state.quality_votes, state.input_votes)
        why = f"{why} ({votes} of the last {config.of_windows} windows)"
        if tier == "B" and quality_z is not None and quality_z < -config.threshold:
            return Outcome(key=key, verdict="report", tier=tier, reason=f"{why}; yet the lists got better.")
        hold = _hold(state, observation, config)
        if hold:
            return Outcome(key=key, verdict="report", tier=tier, reason=f"{why}; {hold}.")
        return Outcome(key=key, verdict="retrain", tier=tier, reason=f"{why}.")
    if observation.surprise is not None and observation.surprise > config.surge:
        reason = f"Users came to one item as happens once in 10^{observation.surprise:.1f} windows."
        reason += f" Besides: {'; '.join(spoken)}." if spoken else ""
        return Outcome(key=key, verdict="surge", tier="C", reason=reason)
    if spoken:
        return Outcome(key=key, verdict="watch", reason=f"{'; '.join(spoken)}, in this window only.")
    return Outcome(key=key, verdict="none", reason="No signal speaks.")


def _hold(state: DriftState, observation: Observation, config: DriftPolicyConfig) -> str:
    """Why nothing is ordered though there is an alarm; empty where nothing holds."""
    if observation.users < config.users_to_act:
        return f"{observation.users} users are too few to act on: {config.users_to_act} are needed"
    # Lists that collapsed can't wait: a cooldown is for a model that has yet to show what it does.
    must_wait = not collapsed(observation, config)
    if must_wait and state.cooldown_left:
        return f"the cooldown lasts {state.cooldown_left} more windows, this one included"
    if must_wait and observation.ended_at_us < state.cooldown_until_us:
        return (
            f"the cooldown lasts {(state.cooldown_until_us - observation.ended_at_us) / _DAY_US * 24:.1f} h"
        )
    if len(state.ordered_us) >= config.weekly_cap:
        return f"{len(state.ordered_us)} trainings in seven days are all that is allowed"
    return ""


def _refreshed(
    outcome: Outcome, state: DriftState, observation: Observation, config: DriftPolicyConfig
) -> Outcome:
    """The outcome, or a training instead where the data has outgrown the model.

    An alarm that is held back is then answered: a promotion's cooldown waits for something new to learn from.
    Lists that got worse in this window need no second one: a training that is due anyway would replace what
    made them, and nobody would hear of it. A training that led to no promotion is not repeated at once, and
    the week's cap holds.
    """
    growth, limit = observation.growth, config.refresh_growth
    if outcome.retrain or growth is None or limit is None or growth < limit:
        return outcome
    rested_us = max(state.ordered_us, default=-_WEEK_US) + _hours_us(config)
    has_failed = bool(state.pending and state.cooldown_left)
    if has_failed or observation.ended_at_us < rested_us or len(state.ordered_us) >= config.weekly_cap:
        return outcome
    reason = f"The data has grown by {growth:.0%} since the model learned. {outcome.reason}"
    is_enough = outcome.verdict != "insufficient" and observation.users >= config.users_to_act
    if is_enough and is_worse(observation, config):
        return outcome.model_copy(update={"verdict": "retrain", "reason": reason, "tier": "A"})
    verdict: Verdict = "retrain" if outcome.verdict == "report" else "refresh"
    return outcome.model_copy(update={"verdict": verdict, "reason": reason})


def _left(
    state: DriftState, observation: Observation, config: DriftPolicyConfig, outcome: Outcome
) -> DriftState:
    """The state after a window."""
    update: dict[str, object] = {
        "last": outcome,
        "window_us": max(state.window_us, observation.ended_at_us),
        "cooldown_left": max(state.cooldown_left - 1, 0),
    }
    if outcome.retrain:
        update["ordered_us"] = (*state.ordered_us, observation.ended_at_us)
        if observation.bundle_id:  # its promotion will be seen; until then it counts as one that failed
            update["cooldown_left"] = config.cooldown_after_failure
            update["pending"] = "refresh" if outcome.verdict == "refresh" else "alarm"
        else:
            reset = DriftState().model_dump(
                include={
                    "quality_votes",
                    "input_votes",
                    "omnibus",
                    "gathered",
                    "quality_alarm",
                    "input_alarm",
                    "calm",
                }
            )
            update |= {**reset, **_cooldown(observation, config)}
    return state.model_copy(update=update)
