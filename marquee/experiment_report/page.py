"""An experiment as one page: no script, nothing fetched; what comes from data is escaped."""

import math
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment

from marquee.evaluation import report as evaluation_report
from marquee.evaluation.report import pictures
from marquee.evaluation.report.measured import Bounds
from marquee.experiment_report.analysis import ExperimentResult, TreatmentResult
from marquee.experiment_report.outcomes import METRICS
from marquee.features import report as features_report
from marquee.features.report.html import environment

_TEMPLATES: Final = Path(__file__).with_name("templates")
_PICTURES: Final = Path(evaluation_report.__file__).with_name("templates")
_STYLE: Final = Path(features_report.__file__).with_name("templates")
"""Pictures are drawn as in the evaluation report; frame and colours are those of the feature report."""

BADGES: Final = {"ship": "passed", "continue": "moderate", "stop": "high", "invalid": "high"}
STATUS_BADGES: Final = {"kept": "passed", "open": "moderate", "too_early": "moderate", "broken": "high"}
_FACTORS: Final = {"quantile_ratio": "×", "increase": "", "never": ""}


def render_experiment(result: ExperimentResult, values: dict[str, Any]) -> str:
    """The page of one experiment.

    Args:
        result: what was found.
        values: what `decision.json` beside it holds.
    """
    return (
        _environment()
        .get_template("experiment.html")
        .render(
            result=result,
            inputs=values["inputs"],
            asked=values["config"],
            metrics=METRICS,
            badges=BADGES,
            status_badges=STATUS_BADGES,
            factors=_FACTORS,
            quantiles={
                each["metric"]: each["quantile"] for each in values["config"]["decision"]["guardrails"]
            },
            users=_users(result),
            pictures={name: _pictures(found) for name, found in result.treatments.items()},
        )
    )


@cache
def _environment() -> Environment:
    pages = environment(_TEMPLATES, _PICTURES, _STYLE)
    pages.filters |= {
        "number": number,
        "percent": percent,
        "count": lambda value: f"{value:,}",
        "expected": lambda value: f"{value:,.1f}",
        "words": lambda name: name.replace("_", " "),
        "share": lambda value: f"{value:.4g}",
        "moment": lambda time: f"{time:%Y-%m-%d %H:%M} UTC",
    }
    return pages


def number(value: float) -> str:
    """Four significant digits; a dash for what is not known."""
    return f"{value:.4g}".replace("-", "−") if math.isfinite(value) else "–"


def percent(value: float) -> str:
    """A relative change with its sign; a dash for what is not known."""
    return f"{value:+.2%}".replace("-", "−") if math.isfinite(value) else "–"


def _users(result: ExperimentResult) -> pictures.Bars:
    """Users by variant."""
    counts = result.ratio.observed
    return pictures.bars(
        {name: float(n) for name, n in counts.items()},
        {name: f"{n:,}" for name, n in counts.items()},
        left=120.0,
    )


def _pictures(found: TreatmentResult) -> dict[str, pictures.Forest | None]:
    """Lifts of all metrics, always valid and for one look, and the first metric's over time."""
    watched = {
        name: _bounds(found.comparisons[name].lift, each.lift_low, each.lift_high)
        for name, each in found.looks.items()
    }
    once = {
        name: _bounds(each.lift, each.lift_interval().low, each.lift_interval().high)
        for name, each in found.comparisons.items()
    }
    history = {
        f"{past.at:%m-%d %H:%M}": _bounds(past.lift, past.look.lift_low, past.look.lift_high)
        for past in found.history
        if math.isfinite(past.look.lift_low)
    }
    drawn = {"watched": watched, "once": once, "history": history}
    return {
        name: pictures.forest(each, is_difference=True)
        if any(b.low is not None for b in each.values())
        else None
        for name, each in drawn.items()
    }


def _bounds(estimate: float, low: float, high: float) -> Bounds:
    """As a picture takes them: what is infinite is not drawn."""
    if not math.isfinite(estimate):
        return Bounds()
    if not (math.isfinite(low) and math.isfinite(high)):
        return Bounds(estimate=estimate)
    return Bounds(estimate=estimate, low=low, high=high)
