"""The verdict on a canary: goes on, goes up, goes back or waits. A pure function, so it can be replayed.

    state, decision = decide(state, observation, now=now)

How sure a verdict is. A guardrail is called broken by a one-sided bound at α = .001, and two such checks in a
row roll back; a step is left upward only when every guardrail is proven to be kept at α = .05. In between the
canary stays where it is, until the rollout's time is up.

Type of error. α is that of one look at one guardrail; looks once a minute at counts that grow are far from
independent. Over a whole rollout benchmarks/canary.py measures, in 200 runs: equal arms falsely rolled back
0 % (95 % bound 1.5 %; 2.5 % with α = .05 and one failed check), +2 pp errors and 1.5 × p99 promoted 0 %. A
canary just at a limit mostly stays at its step until the time is up; if it gets further, a proof erred.

Both arms are compared over the same minutes, since the step began and over the last few by themselves. In the
last step the champion has no requests. What it did in the step before met another load, so that margins are
wider there and the last minutes are not judged by themselves, but for what is critical.

Source: one-sided non-inferiority with margins, Wellek, Testing Statistical Hypotheses of Equivalence and
Noninferiority, 2010; bounds: `marquee.monitoring.canary_bounds`.
"""

from datetime import datetime, timedelta

from marquee.monitoring.canary_checks import Check, checks, critical
from marquee.monitoring.canary_config import CanaryConfig
from marquee.monitoring.canary_counts import Arm, Arms, Observation
from marquee.monitoring.canary_state import CanaryState, Decision, DecisionRecord, Phase


def start(champion: str, canary: str, *, now: datetime, config: CanaryConfig | None = None) -> CanaryState:
    """A rollout that begins; the cluster has yet to get the canary.

    Args:
        champion: bundle id of the arm that has all the requests.
        canary: bundle id of the other.
        now: the present, with a zone.
        config: kept in the state until the end; None for the defaults.
    """
    state = CanaryState(champion=champion, canary=canary, started_at=now, config=config or CanaryConfig())
    return state.noted("start", f"canary {canary} beside champion {champion}", at=now)


def decide(state: CanaryState, observation: Observation, *, now: datetime) -> tuple[CanaryState, Decision]:
    """The verdict on a step whose weight is in force.

    `promote` is to the next step, or after the last one to champion: the state that is returned says which.

    Args:
        state: a rollout that is stepping.
        observation: what was seen up to now.
        now: the present, with a zone.

    Raises:
        ValueError: the rollout is over, or the cluster does not have the step's weight yet.
    """
    if state.phase != "stepping" or state.step_since is None:
        raise ValueError(f"nothing to decide: phase {state.phase}, step since {state.step_since}")
    state = state.model_copy(update={"checks": state.checks + 1})
    if now - state.started_at > timedelta(hours=state.config.max_hours):
        words = f"not promoted within {state.config.max_hours:g} h of the start"
        return _ended(state, "rolling_back", Decision(verdict="roll_back", reason=words), now)
    if lack := _lack(state, observation):
        return postpone(state, lack, now=now)
    return _judged(state.model_copy(update={"missing_since": None}), observation, now)


def record_of(
    before: CanaryState, observation: Observation, after: CanaryState, decision: Decision, *, now: datetime
) -> DecisionRecord:
    """All that a verdict was made of."""
    state = before.model_copy(update={"log": ()})
    return DecisionRecord(
        number=after.checks, at=now, state=state, observation=observation, decision=decision
    )


def replay(record: DecisionRecord) -> Decision:
    """The verdict that a record's inputs lead to now; equals the record's own unless the rules changed."""
    return decide(record.state, record.observation, now=record.at)[1]


def _lack(state: CanaryState, observation: Observation) -> str:
    """Why nothing can be said, empty where something can."""
    if not observation.is_ready:
        return "the canary is not ready"
    if state.current.percent == 0:
        return ""
    if observation.whole is None:
        return observation.missing or "metrics are missing"
    if state.current.percent == 100:
        return "" if state.reference is not None else "the champion was never measured beside the canary"
    windows = (observation.whole, observation.recent)
    return next((lack for arms in windows if arms is not None if (lack := _silent(state, arms))), "")


def _silent(state: CanaryState, arms: Arms) -> str:
    """Which arm answered nothing though the other's requests say that some were due."""
    percent, unseen = state.current.percent, state.config.unseen_requests
    pairs = (
        ("canary", arms.canary, arms.champion.requests * percent / (100 - percent)),
        ("champion", arms.champion, arms.canary.requests * (100 - percent) / percent),
    )
    for name, arm, due in pairs:
        if arm.requests == 0 and due >= unseen:
            return f"the {name} answered none of about {due:.0f} requests that were due"
    return ""


def postpone(state: CanaryState, lack: str, *, now: datetime) -> tuple[CanaryState, Decision]:
    """The verdict where nothing can be said or done: to wait, and after some time to go back.

    Args:
        state: a rollout that is stepping or promoting.
        lack: what is missing, in words.
        now: the present, with a zone.
    """
    since = state.missing_since or now
    state = state.model_copy(update={"missing_since": since})
    waited, patience = (now - since).total_seconds() / 60, state.config.missing_minutes
    if waited >= patience:
        words = f"{lack}, for {waited:.0f} min: what is not measured is not healthy"
        return _ended(state, "rolling_back", Decision(verdict="roll_back", reason=words), now)
    words = f"{lack}, for {waited:.0f} of {patience:g} min"
    return _stayed(state, Decision(verdict="hold", reason=words), now)


def _judged(state: CanaryState, observation: Observation, now: datetime) -> tuple[CanaryState, Decision]:
    """The verdict where all that is needed was measured."""
    whole, recent = observation.whole, observation.recent
    found = _checks(state, whole) if whole is not None and state.current.percent else ()
    lately = _checks(state, recent) if recent is not None and 0 < state.current.percent < 100 else ()
    seen = tuple(check.words for check in found)
    arms = [each.canary for each in (whole, recent) if each is not None]
    for arm in arms:
        if state.current.percent and (words := critical(arm, state.config)):
            return _ended(
                state, "rolling_back", Decision(verdict="roll_back", reason=words, checks=seen), now
            )
    broken = [each.words for each in found if each.standing == "broken"]
    broken += [f"lately {each.words}" for each in lately if each.standing == "broken"]
    if broken:
        return _failed(state, "; ".join(broken), seen, now)
    state = state.model_copy(
        update={
            "failed_checks": 0,
            "last_failed_at": None,
            "last_good_at": now,
            "last_good": observation,
        }
    )
    if waiting := _waiting(state, whole, now):
        return _stayed(state, Decision(verdict="continue", reason=waiting, checks=seen), now)
    if unsure := [each.words for each in found if each.standing != "kept"]:
        words = f"not proven yet: {'; '.join(unsure)}"
        return _stayed(state, Decision(verdict="hold", reason=words, checks=seen), now)
    return _promoted(state, whole, seen, now)


def _checks(state: CanaryState, arms: Arms) -> tuple[Check, ...]:
    config = state.config.for_baking() if state.current.percent == 100 else state.config
    return checks(_champion(state, arms), arms.canary, config)


def _champion(state: CanaryState, arms: Arms) -> Arm:
    """What the canary is compared with."""
    if state.current.percent == 100 and state.reference is not None:
        return state.reference
    return arms.champion


def _failed(
    state: CanaryState, broken: str, seen: tuple[str, ...], now: datetime
) -> tuple[CanaryState, Decision]:
    last, gap = state.last_failed_at, timedelta(seconds=state.config.check_gap_seconds)
    if last is None or now - last >= gap:
        state = state.model_copy(update={"failed_checks": state.failed_checks + 1, "last_failed_at": now})
    needed = state.config.failed_checks
    words = f"failed check {state.failed_checks} of {needed}: {broken}"
    if state.failed_checks >= needed:
        return _ended(state, "rolling_back", Decision(verdict="roll_back", reason=words, checks=seen), now)
    return _stayed(state, Decision(verdict="hold", reason=words, checks=seen), now)


def _waiting(state: CanaryState, whole: Arms | None, now: datetime) -> str:
    """What the step's minimum still lacks, in words."""
    step, since = state.current, state.step_since or now
    minutes = (now - since).total_seconds() / 60
    if minutes < step.minutes:
        return f"{max(minutes, 0):.1f} of {step.minutes:g} min at {step.percent} %"
    if whole is None or not step.percent:
        return ""
    fewest = min(_champion(state, whole).requests, whole.canary.requests)
    if fewest < step.requests:
        return f"{fewest:.0f} of {step.requests} requests an arm at {step.percent} %"
    return ""


def _promoted(
    state: CanaryState, whole: Arms | None, seen: tuple[str, ...], now: datetime
) -> tuple[CanaryState, Decision]:
    step = state.current
    if step.percent == 100:
        words = f"every guardrail was kept for {step.minutes:g} min at 100 %: champion"
        return _ended(state, "promoting", Decision(verdict="promote", reason=words, checks=seen), now)
    following = state.config.steps[state.step + 1]
    words = f"every guardrail is kept at {step.percent} %: to {following.percent} %"
    decision = Decision(verdict="promote", reason=words, checks=seen)
    if whole is not None and step.percent:
        state = state.model_copy(update={"reference": whole.champion})
    return state.noted("promote", words, at=now).moved_to(state.step + 1), decision


def _stayed(state: CanaryState, decision: Decision, now: datetime) -> tuple[CanaryState, Decision]:
    return state.noted(decision.verdict, decision.reason, at=now), decision


def _ended(
    state: CanaryState, phase: Phase, decision: Decision, now: datetime
) -> tuple[CanaryState, Decision]:
    state = state.noted(decision.verdict, decision.reason, at=now)
    return state.model_copy(update={"phase": phase}), decision
