"""A replay as one page: no script, nothing fetched; what comes from data is escaped."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment

from marquee.evaluation import report as evaluation_report
from marquee.evaluation.report import pictures
from marquee.evaluation.report.measured import Bounds
from marquee.features import report as features_report
from marquee.features.report.html import environment
from marquee.replay.picture import picture
from marquee.replay.walk import Walk

_TEMPLATES: Final = Path(__file__).with_name("templates")
_PICTURES: Final = Path(evaluation_report.__file__).with_name("templates")
_STYLE: Final = Path(features_report.__file__).with_name("templates")


def render_replay(values: Mapping[str, Any], compute: Mapping[str, Any], walks: Sequence[Walk]) -> str:
    """The page of a replay.

    Args:
        values: what `replay.json` holds.
        compute: what `compute.json` holds.
        walks: of each policy.
    """
    days = [_day(step.start_us) for step in walks[0].steps]
    shocks = [
        (each["kind"], each["start"], 1 if each["kind"] == "broken_model" else each["windows"])
        for each in values["shocks"]
    ]
    rows = {
        # "drift+14d − 7d": beside a picture there is no room for more.
        f"{each['policy']} − {each['against']}".replace("timer:", ""): Bounds(**each["ndcg"])
        for each in values["differences"]
    }
    return (
        _environment()
        .get_template("replay.html")
        .render(
            values=values,
            compute=compute,
            walks=walks,
            days=days,
            chart=picture(walks, shocks, days),
            compared=pictures.forest(rows, is_difference=True) if rows else None,
            count=len(days),
        )
    )


@cache
def _environment() -> Environment:
    pages = environment(_TEMPLATES, _PICTURES, _STYLE)
    pages.filters |= {
        "decimal": lambda value: "–" if value is None else f"{value:.4f}".replace("-", "−"),
        "share": lambda value: "–" if value is None else f"{value:.1%}",
        "whole": lambda value: "–" if value is None else f"{value:,}",
        "cpu": lambda value: f"{value:,.0f}",
        "day": _day,
    }
    return pages


def _day(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us / 1e6, UTC):%Y-%m-%d}"
