"""One decision from many looks: whether the experiment counts, and what to do with the treatment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from marquee.experiments.guardrails import DEFAULTS, Guardrail, GuardrailLook
from marquee.experiments.sequential import Look, SequentialConfig
from marquee.experiments.srm import THRESHOLD, SampleRatio

Action = Literal["invalid", "stop", "ship", "continue"]


class DecisionConfig(BaseModel):
    """What is asked of a treatment. Set before the first look."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    success: tuple[str, ...] = Field(default=("ctr",), min_length=1)
    """Metrics of which one must get better and none worse; they share alpha."""
    guardrails: tuple[Guardrail, ...] = DEFAULTS
    """What may not get worse by more than its limit; they share an alpha of their own."""
    sequential: SequentialConfig = SequentialConfig()
    srm_threshold: float = Field(default=THRESHOLD, gt=0, lt=1)
    planned_users: int | None = Field(default=None, ge=2)
    """Users in each arm at which no gain is needed any more: what is harmless may be shipped."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why, in words."""

    action: Action
    reasons: tuple[str, ...]


def decide(
    ratio: SampleRatio,
    success: Mapping[str, Look],
    guardrails: Sequence[GuardrailLook],
    *,
    config: DecisionConfig,
    n_users: int,
) -> Decision:
    """The first that applies: invalid, stop, ship, continue. Pure: the same numbers, the same answer.

    Args:
        ratio: of all arms.
        success: looks by metric, at their part of alpha.
        guardrails: those that could be measured; a guardrail without a look keeps from shipping.
        config: what was asked.
        n_users: of the smaller arm.

    Raises:
        ValueError: a success metric has no look.
    """
    if missing := [name for name in config.success if name not in success]:
        raise ValueError(f"success metrics without a look: {', '.join(missing)}.")
    if ratio.is_mismatch:
        return Decision("invalid", (_mismatch(ratio, config.srm_threshold),))
    if reasons := _harms(success, guardrails):
        return Decision("stop", reasons)
    waits = _waits(guardrails, config)
    if gains := [
        f"{name} is better: {_bounds(found)}" for name, found in success.items() if _is(found, "better")
    ]:
        return (
            Decision("continue", (*gains, *waits)) if waits else Decision("ship", (*gains, _all_kept(config)))
        )
    is_all_there = config.planned_users is not None and n_users >= config.planned_users
    if is_all_there and not waits and all(_is(found, "harmless") for found in success.values()):
        harmless = [f"{name} is harmless: {_bounds(found)}" for name, found in success.items()]
        return Decision("ship", (f"the planned {config.planned_users:,} users are there", *harmless))
    return Decision("continue", (*_open(success, config), *waits))


def _is(found: Look, verdict: str) -> bool:
    return found.verdict == verdict


def _mismatch(ratio: SampleRatio, threshold: float) -> str:
    arms = ", ".join(
        f"{name} {ratio.observed[name]:,} instead of {ratio.expected[name]:,.1f}" for name in ratio.observed
    )
    return f"the arms did not get their users (p = {ratio.p_value:.2g} < {threshold:g}): {arms}"


def _harms(success: Mapping[str, Look], guardrails: Sequence[GuardrailLook]) -> tuple[str, ...]:
    broken = [
        f"{each.metric} breaks its guardrail: {each.estimate:.4g}, surely above {each.low:.4g},"
        f" the limit is {each.limit:g}"
        for each in guardrails
        if each.status == "broken"
    ]
    worse = [f"{name} is worse: {_bounds(found)}" for name, found in success.items() if _is(found, "worse")]
    return (*broken, *worse)


def _waits(guardrails: Sequence[GuardrailLook], config: DecisionConfig) -> tuple[str, ...]:
    """Why it may not be shipped yet."""
    looks = {each.metric: each for each in guardrails}
    waits = []
    for asked in config.guardrails:
        found = looks.get(asked.metric)
        if found is None:
            waits.append(f"{asked.metric} was not measured")
        elif found.status == "too_early":
            waits.append(f"{asked.metric} is too early to judge")
        elif found.status != "kept":
            waits.append(
                f"{asked.metric} is not yet surely within its limit: {found.estimate:.4g},"
                f" below {found.high:.4g}, the limit is {found.limit:g}"
            )
    return tuple(waits)


def _open(success: Mapping[str, Look], config: DecisionConfig) -> tuple[str, ...]:
    words = {
        "too_early": f"too early: fewer than {config.sequential.min_users} users in an arm, or no event",
        "undecided": "undecided",
        "harmless": "harmless so far",
    }
    return tuple(
        f"{name} is {words[found.verdict]}" + ("" if _is(found, "too_early") else f": {_bounds(found)}")
        for name, found in success.items()
    )


def _all_kept(config: DecisionConfig) -> str:
    if not config.guardrails:
        return "there are no guardrails"
    return f"all guardrails are kept: {', '.join(each.metric for each in config.guardrails)}"


def _bounds(found: Look) -> str:
    return f"lift {found.lift_low:+.2%} to {found.lift_high:+.2%}"
