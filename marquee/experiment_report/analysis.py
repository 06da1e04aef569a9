"""From the tables of an experiment to its statistics and decisions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from marquee import schema
from marquee.errors import ConfigError, NotEnoughDataError
from marquee.experiment_report.arms import compare_metric
from marquee.experiment_report.guards import guardrail_looks
from marquee.experiment_report.outcomes import METRICS, ExperimentTables, experiment_tables
from marquee.experiment_report.sources import EventLog, ExposureLog
from marquee.experiment_report.steps import STEP, Ramp, Shares, find_steps
from marquee.experiments.comparison import Comparison
from marquee.experiments.decision import Decision, DecisionConfig, decide
from marquee.experiments.guardrails import (
    GuardrailLook,
    split,
)
from marquee.experiments.sequential import Look, SequentialConfig, look
from marquee.experiments.srm import Allotment, SampleRatio, sample_ratio

CONTROL: Final = "control"


class ReportConfig(BaseModel):
    """How an experiment is read. Set before the first look; the decision's thresholds are among it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_hours: float = Field(default=24, gt=0)
    """For how long after an exposure an event is credited to it; younger exposures wait."""
    covariate_days: float = Field(default=28, ge=0)
    """How far before a user's first request the events of the covariate begin."""
    control: str = ""
    """The variant to compare the others with; empty: the one called control, else the first by name."""
    n_looks: int = Field(default=14, ge=0, le=200)
    """Moments at which the first success metric is looked at again, for the picture."""
    decision: DecisionConfig = DecisionConfig()

    @property
    def window(self) -> timedelta:
        """As a duration."""
        return timedelta(hours=self.window_hours)

    @property
    def covariate(self) -> timedelta:
        """As a duration."""
        return timedelta(days=self.covariate_days)


@dataclass(frozen=True, slots=True)
class PastLook:
    """What the first success metric said at an earlier moment."""

    at: datetime
    n_users: int
    lift: float
    look: Look


@dataclass(frozen=True)
class TreatmentResult:
    """One treatment against the control."""

    comparisons: dict[str, Comparison]
    """By metric; those that could not be measured are missing. Likewise the looks."""
    looks: dict[str, Look]
    guardrails: tuple[GuardrailLook, ...]
    history: tuple[PastLook, ...]
    decision: Decision


@dataclass(frozen=True)
class ExperimentResult:
    """All that was found."""

    name: str
    control: str
    until: datetime
    ratio: SampleRatio
    steps: tuple[Shares, ...]
    treatments: dict[str, TreatmentResult]
    notes: tuple[str, ...]


def analyse(
    name: str,
    log: ExposureLog,
    events: EventLog,
    *,
    until: datetime,
    config: ReportConfig,
    configured: Mapping[str, float] | None = None,
) -> ExperimentResult:
    """Judge an experiment by what was logged up to a moment. The same logs give the same result.

    Args:
        name: of the experiment, as it was logged.
        log: what was shown.
        events: what people did.
        until: up to when both are complete.
        config: how to read them.
        configured: shares by variant of the file of experiments.

    Raises:
        NotEnoughDataError: nobody met the experiment, or only one variant of it.
        ConfigError: the control or a success metric does not exist.
    """
    own = log.assignments.filter(pl.col(schema.EXPERIMENT) == name)
    if own.is_empty():
        known = ", ".join(sorted(log.assignments[schema.EXPERIMENT].unique())) or "none"
        raise NotEnoughDataError(
            f"nobody met the experiment {name!r}; logged are: {known}.",
            remedy="Give the name of one of them.",
        )
    ramp = find_steps(own, configured=configured)
    control = _control(ramp, config)
    _require_metrics(config)
    tables = experiment_tables(
        log, events, ramp.assignments, until=until, window=config.window, covariate=config.covariate
    )
    treatments = sorted({variant for shares in ramp.steps for variant in shares} - {control})
    if not treatments:
        raise NotEnoughDataError(
            f"of {name!r} only the variant {control!r} was met.", remedy="Wait, or check its weights."
        )
    ratio = _ratio(tables, ramp, config)
    pasts = _pasts(log, events, ramp, until=until, config=config)
    judged = {
        each: _judge(tables, ratio, (control, each), config=config, n=len(treatments), pasts=pasts)
        for each in treatments
    }
    notes = _notes(log, events, tables, ramp, configured)
    return ExperimentResult(name, control, until, ratio, ramp.steps, judged, notes)


def success_config(config: ReportConfig, n_treatments: int) -> SequentialConfig:
    """How success metrics are looked at: each claim at its part of alpha."""
    asked = config.decision
    claims = len(asked.success) * n_treatments
    return asked.sequential.model_copy(update={"alpha": split(asked.sequential.alpha, claims)})


def _control(ramp: Ramp, config: ReportConfig) -> str:
    variants = sorted({variant for shares in ramp.steps for variant in shares})
    control = config.control or (CONTROL if CONTROL in variants else variants[0])
    if control not in variants:
        raise ConfigError(
            f"control = {control!r} is no variant of the experiment.",
            remedy=f"Use one of: {', '.join(variants)}.",
        )
    return control


def _require_metrics(config: ReportConfig) -> None:
    if unknown := [name for name in config.decision.success if name not in METRICS]:
        raise ConfigError(
            f"success = {unknown[0]!r} is no metric.", remedy=f"Use some of: {', '.join(METRICS)}."
        )


def _ratio(tables: ExperimentTables, ramp: Ramp, config: ReportConfig) -> SampleRatio:
    counts = tables.arrivals.group_by(STEP, schema.VARIANT).len().iter_rows()
    users: dict[int, dict[str, int]] = {}
    for step, variant, n in counts:
        users.setdefault(step, {})[variant] = n
    allotments = [Allotment(users.get(step, {}), shares) for step, shares in enumerate(ramp.steps)]
    return sample_ratio(allotments, threshold=config.decision.srm_threshold)


def _judge(
    tables: ExperimentTables,
    ratio: SampleRatio,
    variants: tuple[str, str],
    *,
    config: ReportConfig,
    n: int,
    pasts: Sequence[tuple[datetime, pl.DataFrame]],
) -> TreatmentResult:
    asked = config.decision
    compared = {name: compare_metric(tables.users, name, variants) for name in METRICS}
    comparisons = {name: found for name, found in compared.items() if found is not None}
    sequential = success_config(config, n)
    looks = {name: look(found, sequential) for name, found in comparisons.items()}
    success = {name: looks.get(name, NO_LOOK) for name in asked.success}
    guardrails = guardrail_looks(tables.requests, variants, asked, n_treatments=n)
    smaller = [
        min(found.n_control, found.n_treatment) for name, found in comparisons.items() if name in success
    ]
    decision = decide(ratio, success, guardrails, config=asked, n_users=min(smaller, default=0))
    history = _history(pasts, asked.success[0], variants, sequential)
    return TreatmentResult(comparisons, looks, guardrails, history, decision)


NO_LOOK: Final = Look(math.nan, -math.inf, math.inf, -math.inf, math.inf, 0.0, "too_early")
"""Of a metric that can't be measured yet."""


def _pasts(
    log: ExposureLog, events: EventLog, ramp: Ramp, *, until: datetime, config: ReportConfig
) -> list[tuple[datetime, pl.DataFrame]]:
    """The users' sums as they stood at earlier moments, evenly from the first mature request on."""
    begin = ramp.assignments[schema.TIMESTAMP].min()
    assert isinstance(begin, datetime)  # noqa: S101 - a column of times that is not empty
    span = until - (begin + config.window)
    if config.n_looks == 0 or span <= timedelta(0):
        return []
    moments = [
        begin + config.window + span * (number + 1) / config.n_looks for number in range(config.n_looks)
    ]
    return [
        (
            moment,
            experiment_tables(
                log, events, ramp.assignments, until=moment, window=config.window, covariate=config.covariate
            ).users,
        )
        for moment in moments
    ]


def _history(
    pasts: Sequence[tuple[datetime, pl.DataFrame]],
    metric: str,
    variants: tuple[str, str],
    sequential: SequentialConfig,
) -> tuple[PastLook, ...]:
    found = []
    for moment, users in pasts:
        compared = compare_metric(users, metric, variants)
        if compared is not None and math.isfinite(compared.lift):
            n_users = min(compared.n_control, compared.n_treatment)
            found.append(PastLook(moment, n_users, compared.lift, look(compared, sequential)))
    return tuple(found)


def _notes(
    log: ExposureLog,
    events: EventLog,
    tables: ExperimentTables,
    ramp: Ramp,
    configured: Mapping[str, float] | None,
) -> tuple[str, ...]:
    """What a reader should know of the data."""
    newest = ramp.steps[-1]
    differs = configured is not None and any(
        abs(newest.get(variant, 0.0) - share) > 1e-6 for variant, share in configured.items()
    )
    found = {
        f"{tables.n_crossed:,} users met two variants within a step and are left out": tables.n_crossed,
        f"{log.n_rejected:,} lines of the exposure log could not be read": log.n_rejected,
        f"{events.n_quarantined:,} rows of events break the contract": events.n_quarantined,
        "the file of experiments has other shares than the log: those of the log were expected": differs,
        f"the shares changed: {len(ramp.steps)} steps, compared one by one": len(ramp.steps) > 1,
        "the log has answers only: failed requests are not in it": True,
    }
    return tuple(text for text, applies in found.items() if applies)
