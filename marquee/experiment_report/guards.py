"""Guardrails, measured from the requests of an experiment."""

from typing import Final

import polars as pl

from marquee import schema
from marquee.errors import ConfigError
from marquee.experiment_report.arms import MIN_IN_STEP, compare_share, durations
from marquee.experiments.decision import DecisionConfig
from marquee.experiments.guardrails import (
    Guardrail,
    GuardrailLook,
    check_increase,
    check_never,
    check_quantile_ratio,
)
from marquee.experiments.sequential import SequentialConfig

GUARDED: Final = {"degraded": "is_degraded", "empty": "is_empty"}
"""Shares of requests by guardrail."""


def guardrail_looks(
    requests: pl.DataFrame, variants: tuple[str, str], asked: DecisionConfig, *, n_treatments: int
) -> tuple[GuardrailLook, ...]:
    """A look at each guardrail that the logs say something about; all share one alpha.

    Raises:
        ConfigError: a guardrail that nothing in the exposure log measures.
    """
    rows = requests.with_columns(pl.col(schema.USER_ID).rank("dense").cast(pl.Int64).alias("user"))
    statistical = [each for each in asked.guardrails if each.kind != "never"]
    n_claims = len(statistical) * n_treatments
    looks = (_guard(each, rows, variants, asked.sequential, n_claims) for each in asked.guardrails)
    return tuple(found for found in looks if found is not None)


def _guard(
    guardrail: Guardrail,
    rows: pl.DataFrame,
    variants: tuple[str, str],
    sequential: SequentialConfig,
    n_claims: int,
) -> GuardrailLook | None:
    """One look; None where the logs do not say."""
    arms = [rows.filter(pl.col(schema.VARIANT) == variant) for variant in variants]
    if any(arm["user"].n_unique() < MIN_IN_STEP for arm in arms):
        return None
    if guardrail.kind == "never" and guardrail.metric in rows.columns:
        if rows[guardrail.metric].is_null().all():
            return None
        return check_never(guardrail, *(int(arm[guardrail.metric].sum()) for arm in arms))
    if guardrail.kind == "quantile_ratio" and guardrail.metric in rows.columns:
        took = durations(arms, guardrail.metric)
        return check_quantile_ratio(
            guardrail,
            *took,
            alpha=sequential.alpha,
            n_guardrails=n_claims,
            min_users=sequential.min_users,
        )
    if guardrail.kind == "increase" and guardrail.metric in GUARDED:
        compared = compare_share(rows, GUARDED[guardrail.metric], variants)
        if compared is None:
            return None
        return check_increase(
            guardrail, compared, alpha=sequential.alpha, n_guardrails=n_claims, min_users=sequential.min_users
        )
    raise ConfigError(
        f"guardrails: {guardrail.metric!r} can't be measured as {guardrail.kind!r} from the exposure log.",
        remedy="Use latency_ms (quantile_ratio), degraded and empty (increase), policy_violations (never).",
    )
