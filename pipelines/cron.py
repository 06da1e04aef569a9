"""Cron expressions as Kubeflow reads them: six fields, seconds first.

The backend takes five fields, too, and reads them as if the last one were missing: `0 3 * * *`, which
is three o'clock to everybody else, is minute 3 of every hour there. So five are refused here.
"""

import calendar
import re
from dataclasses import dataclass
from typing import Final

from marquee.errors import ConfigError

_MONTHS: Final = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS: Final = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_PART: Final = re.compile(r"(?P<low>[a-z]+|\d+)(?:-(?P<high>[a-z]+|\d+))?(?:/(?P<step>\d+))?")
_ANY: Final = re.compile(r"[*?](?:/(?P<step>\d+))?")
_EXAMPLE: Final = '"0 0 3 * * *" is three o\'clock each day, "0 30 2 * * 1" half past two each Monday (UTC).'


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: dict[str, int]


_FIELDS: Final = (
    _Field("seconds", 0, 59, {}),
    _Field("minutes", 0, 59, {}),
    _Field("hours", 0, 23, {}),
    _Field("day of the month", 1, 31, {}),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _DAYS),
)


def check_cron(text: str) -> str:
    """The expression with single spaces, if Kubeflow can read it and it ever fires.

    Args:
        text: seconds, minutes, hours, day of the month, month, day of the week (0 is Sunday).

    Raises:
        ConfigError: it has other fields, or one is out of range.
    """
    parts = text.split()
    if len(parts) == 5:
        meant = f"0 {' '.join(parts)}"
        raise _refused(text, "has five fields: seconds come first, and are missing", f'Say "{meant}".')
    if len(parts) != len(_FIELDS):
        raise _refused(text, f"has {len(parts)} fields instead of six", _EXAMPLE)
    values = [_values(part, field, text) for part, field in zip(parts, _FIELDS, strict=True)]
    days, months = values[3], values[4]
    # 2024 is a leap year: the 29th of February comes round, the 30th never does.
    is_any_weekday = parts[5][0] in "*?"
    if is_any_weekday and not any(
        day <= calendar.monthrange(2024, month)[1] for day in days for month in months
    ):
        raise _refused(text, "names a day that none of its months has", _EXAMPLE)
    return " ".join(parts)


def _values(part: str, field: _Field, text: str) -> set[int]:
    """What a field stands for."""
    found: set[int] = set()
    for piece in part.lower().split(","):
        if match := _ANY.fullmatch(piece):
            low, high, step = field.low, field.high, match["step"] or "1"
        elif match := _PART.fullmatch(piece):
            low = _number(match["low"], field, text)
            # "5/15" is 5, 20, 35 …: a step without an end goes on to the last.
            high = (
                _number(match["high"], field, text) if match["high"] else field.high if match["step"] else low
            )
            step = match["step"] or "1"
        else:
            raise _refused(text, f"has {piece!r} for {field.name}", _EXAMPLE)
        if low > high or int(step) == 0:
            raise _refused(text, f"has {piece!r} for {field.name}, which is never", _EXAMPLE)
        found.update(range(low, high + 1, int(step)))
    return found


def _number(word: str, field: _Field, text: str) -> int:
    number = int(word) if word.isdigit() else field.names.get(word, -1)
    if not field.low <= number <= field.high:
        allowed = f"{field.low} to {field.high}" + (f" or {', '.join(field.names)}" if field.names else "")
        raise _refused(text, f"has {word!r} for {field.name}, which is {allowed}", _EXAMPLE)
    return number


def _refused(text: str, why: str, remedy: str) -> ConfigError:
    return ConfigError(f"--cron = {text!r} {why}.", remedy=remedy)
