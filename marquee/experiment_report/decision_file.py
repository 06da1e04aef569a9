"""`decision.json`: what was decided, from which inputs and numbers; and how to decide it again."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from marquee.errors import ContractError
from marquee.experiment_report.analysis import (
    NO_LOOK,
    ExperimentResult,
    ReportConfig,
    TreatmentResult,
    success_config,
)
from marquee.experiment_report.sources import EventLog, ExposureLog
from marquee.experiments.comparison import Comparison
from marquee.experiments.decision import Decision, decide
from marquee.experiments.guardrails import GuardrailLook, judged
from marquee.experiments.sequential import look
from marquee.experiments.srm import SampleRatio

VERSION: Final = 1
_WIDE: Final = {"low": -math.inf, "high": math.inf, "lift_low": -math.inf, "lift_high": math.inf}


def decision_values(
    result: ExperimentResult,
    log: ExposureLog,
    events: EventLog,
    *,
    config: ReportConfig,
    experiments_sha256: str | None = None,
) -> dict[str, Any]:
    """The decision as JSON may hold it: what is infinite or undefined becomes null."""
    values = {
        "version": VERSION,
        "experiment": result.name,
        "control": result.control,
        "until": result.until.isoformat(),
        "inputs": {
            "exposures": log.files,
            "events": {"origin": events.origin, "content_id": events.content_id},
            "experiments_sha256": experiments_sha256,
        },
        "config": config.model_dump(mode="json"),
        "steps": list(result.steps),
        "sample_ratio": asdict(result.ratio),
        "treatments": {name: _treatment(found) for name, found in result.treatments.items()},
        "notes": list(result.notes),
    }
    plain: dict[str, Any] = _plain(values)
    return plain


def replay(values: Mapping[str, Any]) -> dict[str, Decision]:
    """Decide again by variant, from the statistics and thresholds of a decision.json alone.

    Raises:
        ContractError: the values are none of a decision.json of this version.
    """
    try:
        if values["version"] != VERSION:
            raise ContractError(
                f"version = {values['version']!r} of the decision is unknown.",
                remedy=f"Replay it with the release that wrote it; this one reads version {VERSION}.",
            )
        config = ReportConfig.model_validate(values["config"])
        ratio = _read(SampleRatio, values["sample_ratio"])
        threshold = config.decision.srm_threshold
        ratio = SampleRatio(**(asdict(ratio) | {"is_mismatch": ratio.p_value < threshold}))
        return {
            name: _decided(each, ratio, config, n_treatments=len(values["treatments"]))
            for name, each in values["treatments"].items()
        }
    except (KeyError, TypeError, ValueError) as err:
        raise ContractError(
            f"this is no decision of an experiment: {err!r}.",
            remedy="Give a decision.json as it was written.",
        ) from err


def read_decision(path: Path) -> dict[str, Any]:
    """The values of a decision.json.

    Raises:
        ContractError: the file can't be read or is no JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise ContractError(f"{path} can't be read: {err}.", remedy="Give a decision.json.") from err
    if not isinstance(values, dict):
        raise ContractError(f"{path} is no JSON object.", remedy="Give a decision.json.")
    return values


def _treatment(found: TreatmentResult) -> dict[str, Any]:
    return {
        "action": found.decision.action,
        "reasons": list(found.decision.reasons),
        "comparisons": {name: asdict(each) for name, each in found.comparisons.items()},
        "looks": {name: asdict(each) for name, each in found.looks.items()},
        "guardrails": [asdict(each) for each in found.guardrails],
        "history": [asdict(each) | {"at": each.at.isoformat()} for each in found.history],
    }


def _decided(
    values: Mapping[str, Any], ratio: SampleRatio, config: ReportConfig, *, n_treatments: int
) -> Decision:
    sequential = success_config(config, n_treatments)
    compared = {name: _read(Comparison, each) for name, each in values["comparisons"].items()}
    success = {
        name: look(compared[name], sequential) if name in compared else NO_LOOK
        for name in config.decision.success
    }
    guardrails = [judged(_read(GuardrailLook, each)) for each in values["guardrails"]]
    smaller = [min(each.n_control, each.n_treatment) for name, each in compared.items() if name in success]
    return decide(ratio, success, guardrails, config=config.decision, n_users=min(smaller, default=0))


def _read(kind: type[Any], values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of that kind
    """A frozen dataclass from its plain values; null was infinite or undefined."""
    names = [each.name for each in fields(kind)]
    return kind(**{n: _WIDE.get(n, math.nan) if values[n] is None else values[n] for n in names})


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
