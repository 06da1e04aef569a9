"""What a look at the cluster makes of a rollout's state, and what is to be done next."""

from datetime import datetime
from typing import Literal, NamedTuple

from marquee.adapters.deployment import DeploymentStatus
from marquee.monitoring.canary_state import CanaryState, Phase


class Act(NamedTuple):
    """What the cluster, or who has to know, lacks."""

    kind: Literal["set", "promote", "drop", "crown"]
    percent: int = 0


def reconcile(
    state: CanaryState, status: DeploymentStatus, *, now: datetime
) -> tuple[CanaryState, Act | None]:
    """The state after a look at the cluster, and what is to be done next; pure.

    The cluster is right: a canary that somebody promoted, dropped, replaced or gave another weight is so,
    whatever the record says.
    """
    if state.is_over:
        return state, None
    if status.stable == state.canary:
        if state.phase != "promoting":
            state = turned(state, "promoting", "the cluster has it as champion already", now)
        return state, Act("crown")
    if status.canary != state.canary:
        return _without_canary(state, status, now)
    if status.stable != state.champion and state.phase != "rolling_back":
        words = f"the champion is {status.stable} by now, not {state.champion}: nothing to compare with"
        state = turned(state, "rolling_back", words, now)
    if state.phase == "stepping":
        return _weighed(state, status, now)
    return state, Act("promote" if state.phase == "promoting" else "drop")


def _weighed(state: CanaryState, status: DeploymentStatus, now: datetime) -> tuple[CanaryState, Act | None]:
    """The same, where both arms are as they should be."""
    wanted = state.current.percent
    if state.step_since is None:
        if status.percent == wanted:
            return state.model_copy(update={"step_since": now}), None
        return state, Act("set", wanted)
    if status.percent == wanted:
        return state, None
    steps = [step.percent for step in state.config.steps]
    nearest = max(number for number, percent in enumerate(steps) if percent <= status.percent)
    words = f"somebody set {status.percent} % in place of {wanted} %: step {steps[nearest]} % begins anew"
    return _weighed(state.noted("observed", words, at=now).moved_to(nearest), status, now)


def _without_canary(
    state: CanaryState, status: DeploymentStatus, now: datetime
) -> tuple[CanaryState, Act | None]:
    """The canary is not in the cluster: not yet, as was asked for, or by somebody else's doing."""
    is_new = state.phase == "stepping" and state.step_since is None and state.step == state.checks == 0
    if is_new and status.canary is None and status.stable == state.champion:
        return state, Act("set", 0)
    if state.phase == "rolling_back" and status.canary is None:
        return turned(state, "rolled_back", "the canary is gone", now, verdict="done"), None
    found = "it is gone" if status.canary is None else f"{status.canary} is in its place"
    words = f"somebody changed the canary: {found}, beside {status.stable}"
    return turned(state, "rolled_back", words, now), None


def turned(
    state: CanaryState,
    phase: Phase,
    words: str,
    now: datetime,
    *,
    verdict: Literal["observed", "abort", "done"] = "observed",
) -> CanaryState:
    """The state in another phase, with the reason in its log."""
    return state.noted(verdict, words, at=now).model_copy(update={"phase": phase})
