"""Numbers, shares, times and spans as people read them."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from marquee.features.report.notes import MomentUnit

Format = Callable[[float], str]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS: Final = ((1e12, "tn"), (1e9, "bn"), (1e6, "M"), (1e3, "k"))
_US_PER: Final[dict[MomentUnit, float]] = {"us": 1.0, "day": 86_400e6}
NO_BREAK: Final = "\N{NO-BREAK SPACE}"
MINUS: Final = "\N{MINUS SIGN}"


def number(value: float) -> str:
    """Three or four digits with a magnitude: 1995, 12.3 k, −0.025, 1.2e+18."""
    if not math.isfinite(value):
        return "–"
    if value < 0:
        return f"{MINUS}{number(-value)}"
    if value >= 1e15 or 0 < value < 1e-4:
        return f"{value:.2g}"
    if value < 1e4:
        return f"{value:.0f}" if value == round(value) else f"{value:.3g}" if value < 100 else f"{value:.1f}"
    size, name = next(step for step in _STEPS if value >= step[0])
    return f"{value / size:.3g}{NO_BREAK}{name}"


def count(value: int) -> str:
    """A count in full, in groups of three."""
    return f"{value:,}"


def share(value: float | None) -> str:
    """A share as per cent; what rounds to none or all without being it says so."""
    if value is None:
        return "–"
    if 0 < value < 0.001:
        return f"<{NO_BREAK}0.1{NO_BREAK}%"
    if 0.999 < value < 1:
        return f">{NO_BREAK}99.9{NO_BREAK}%"
    digits = 0 if value in (0, 1) or 0.1 <= value <= 0.9 else 1
    return f"{value * 100:.{digits}f}{NO_BREAK}%"


def moment(value: datetime | None) -> str:
    """A UTC time to the minute."""
    return "–" if value is None else f"{value:%Y-%m-%d %H:%M}"


def date_format(unit: MomentUnit) -> Format:
    """Numbers since 1970 as dates; as numbers beyond the calendar."""

    def shown(value: float) -> str:
        try:
            return f"{_EPOCH + timedelta(microseconds=value * _US_PER[unit]):%Y-%m-%d}"
        except (OverflowError, ValueError):
            return number(value)

    return shown


def span_format(unit: MomentUnit) -> Format:
    """Differences of such numbers as spans."""
    return lambda value: hours(value * _US_PER[unit] / 3_600e6)


def hours(value: float | None) -> str:
    """Hours as minutes, hours, days or years."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) < 1:
        return f"{value * 60:.0f}{NO_BREAK}min"
    if abs(value) < 72:
        return f"{value:.3g}{NO_BREAK}h"
    if abs(value) < 24 * 730:
        return f"{value / 24:,.0f}{NO_BREAK}days"
    return f"{value / 24 / 365.25:,.1f}{NO_BREAK}years"
