"""Where the marks of a picture go; `templates/evaluation.svg` draws them.

All pictures are 360 units wide, so that text keeps its size on a telephone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from marquee.evaluation.report.measured import Bounds, ModelSlice, ScoreBin

WIDTH: Final = 360.0
_LABEL: Final = 116.0
_RIGHT: Final = WIDTH - 60
_ROW: Final = 22.0
_BASE: Final = 150.0
_TOP: Final = 14.0
_LABEL_LENGTH: Final = 16


@dataclass(frozen=True)
class Whisker:
    """A dot on a line from low to high, of one series."""

    y: float
    x: float
    low_x: float
    high_x: float
    series: int


@dataclass(frozen=True)
class Row:
    """A label and its whiskers; `value` is written at the right."""

    label: str
    y: float
    value: str
    title: str
    whiskers: tuple[Whisker, ...]


@dataclass(frozen=True)
class Tick:
    """A label at an axis."""

    place: float
    text: str


@dataclass(frozen=True)
class Forest:
    """Rows of intervals over one axis."""

    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    zero_x: float | None
    height: float
    left: float = _LABEL
    right: float = _RIGHT


@dataclass(frozen=True)
class Bar:
    """A bar with its label at the left and its number at the right."""

    label: str
    y: float
    width: float
    text: str
    title: str


@dataclass(frozen=True)
class Bars:
    """One bar a row."""

    rows: tuple[Bar, ...]
    height: float
    left: float


@dataclass(frozen=True)
class Column:
    """An upright bar, with a whisker where it has an interval."""

    x: float
    y: float
    width: float
    height: float
    title: str
    low_y: float | None = None
    high_y: float | None = None


@dataclass(frozen=True)
class Columns:
    """Upright bars over a common base, with a line of steps to compare with."""

    columns: tuple[Column, ...]
    outline: str
    peak: str
    ticks: tuple[Tick, ...]
    base: float = _BASE
    height: float = _BASE + 22


@dataclass(frozen=True)
class Line:
    """One model's curve."""

    name: str
    path: str
    dots: tuple[tuple[float, float, str], ...]
    label_y: float
    is_first: bool


@dataclass(frozen=True)
class Curves:
    """Curves over a common axis, named at their ends."""

    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    height: float
    left: float
    right: float
    base: float


def short(name: str, length: int = _LABEL_LENGTH) -> str:
    """A name as it fits beside a picture."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def decimal(value: float | None, *, sign: bool = False) -> str:
    """Four digits after the point, as tables of metrics have them."""
    if value is None:
        return "–"
    return f"{value:+.4f}".replace("-", "−") if sign else f"{value:.4f}".replace("-", "−")


def interval(bounds: Bounds, *, sign: bool = False) -> str:
    """Low and high in words; nothing where they are unknown."""
    if bounds.low is None or bounds.high is None:
        return ""
    return f"{decimal(bounds.low, sign=sign)} to {decimal(bounds.high, sign=sign)}"


def forest(measured: Mapping[str, Bounds], *, is_difference: bool = False) -> Forest:
    """One interval a row, in the order given; an axis of differences holds zero."""
    rows = [(name, (bounds,)) for name, bounds in measured.items() if bounds.estimate is not None]
    return _forest(rows, counts={}, is_difference=is_difference)


def slice_forest(slices: Sequence[ModelSlice], series: Sequence[str]) -> Forest:
    """One row a slice that has queries, in it one interval for each of the series."""
    filled = [each for each in slices if each.n_queries]
    rows = [(each.slice, tuple(each.models.get(name, Bounds()) for name in series)) for each in filled]
    return _forest(rows, counts={each.slice: each.n_queries for each in filled}, is_difference=False)


def _forest(
    rows: Sequence[tuple[str, tuple[Bounds, ...]]], *, counts: Mapping[str, int], is_difference: bool
) -> Forest:
    ends = [end for _, found in rows for each in found for end in _ends(each)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    if not is_difference and ends and min(ends) > 0.5 * high:
        low = min(ends) - 0.1 * (high - min(ends))  # a bundle of close values would be a line
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return _LABEL + (value - low) / span * (_RIGHT - _LABEL)

    made = []
    y = 14.0
    for label, found in rows:
        height = max(_ROW, 9.0 * len(found) + 8)
        middle = y + (height - _ROW) / 2
        first = middle - 4.5 * (len(found) - 1)
        whiskers = tuple(
            Whisker(
                first + 9 * series,
                at(each.estimate),
                at(each.estimate if each.low is None else each.low),
                at(each.estimate if each.high is None else each.high),
                series,
            )
            for series, each in enumerate(found)
            if each.estimate is not None
        )
        numbers = "; ".join(
            f"{decimal(each.estimate, sign=is_difference)} ({interval(each, sign=is_difference)})"
            for each in found
        )
        value = f"n {counts[label]:,}" if counts else decimal(found[0].estimate, sign=is_difference)
        made.append(Row(short(label), middle, value, f"{label}: {numbers}", whiskers))
        y += height
    ticks = tuple(Tick(at(value), f"{value:.3g}") for value in _round_values(low, high))
    is_zero_inside = is_difference and bool(ends)
    return Forest(tuple(made), ticks, at(0.0) if is_zero_inside else None, y + 12)


def bars(values: Mapping[str, float], texts: Mapping[str, str], *, left: float = 168.0) -> Bars:
    """One bar a value, in the order given; `texts` are written at their ends."""
    peak = max(values.values(), default=0.0) or 1.0
    room = WIDTH - left - 58
    rows = tuple(
        Bar(
            short(name, 27),
            4.0 + 19 * row,
            max(value, 0.0) / peak * room,
            texts[name],
            f"{name}: {texts[name]}",
        )
        for row, (name, value) in enumerate(values.items())
    )
    return Bars(rows, 8.0 + 19 * len(rows), left)


def reliability_columns(bins: Sequence[ScoreBin]) -> Columns:
    """The share consumed by bin of scores, with its interval."""
    rates = [each.rate for each in bins]
    peak = max((end for rate in rates for end in _ends(rate)), default=0.0) or 1.0
    columns = []
    for number, (each, (x, width)) in enumerate(zip(bins, _places(len(bins)), strict=True)):
        rate = each.rate.estimate or 0.0
        title = (
            f"bin {number + 1}, scores {each.low:.3g} to {each.high:.3g}: {each.n_consumed:,} of {each.n:,}"
            f" consumed, {rate:.2%}"
        )
        columns.append(
            Column(
                x, _up(rate, peak), width, _BASE - _up(rate, peak), title,
                None if each.rate.low is None else _up(each.rate.low, peak),
                None if each.rate.high is None else _up(each.rate.high, peak),
            )
        )  # fmt: skip
    ticks = tuple(
        Tick(column.x + column.width / 2, str(number)) for number, column in enumerate(columns, start=1)
    )
    return Columns(tuple(columns), "", f"{peak:.1%}", ticks)


def share_columns(
    shares: Sequence[float | None], compared: Sequence[float | None], *, peak: float
) -> Columns:
    """Shares by decile as bars, others as steps over them; `peak` is the share at the top."""
    columns = []
    steps = ""
    for number, (x, width) in enumerate(_places(len(shares))):
        share, other = shares[number] or 0.0, (compared[number] if number < len(compared) else None) or 0.0
        title = f"decile {number + 1}: {share:.1%} of the lists, {other:.1%} of what was chosen"
        columns.append(Column(x, _up(share, peak), width, _BASE - _up(share, peak), title))
        left = x - 1
        steps += f"{'V' if steps else f'M{left:.1f} {_BASE}V'}{_up(other, peak):.1f}H{x + width + 1:.1f}"
    ticks = tuple(
        Tick(column.x + column.width / 2, str(number)) for number, column in enumerate(columns, start=1)
    )
    return Columns(tuple(columns), f"{steps}V{_BASE}" if steps else "", f"{peak:.0%}", ticks)


def recall_curves(recall: Mapping[str, Mapping[str, float]], *, first: str) -> Curves:
    """Recall by number of candidates, by magnitude; `first` is the curve that stands out."""
    points = {
        name: sorted(
            (int(label.partition("@")[2]), value) for label, value in found.items() if _has_cut(label)
        )
        for name, found in recall.items()
    }
    points = {name: found for name, found in points.items() if found}
    cuts = sorted({cut for found in points.values() for cut, _ in found})
    left, right, base, top = 34.0, WIDTH - 96, 190.0, 12.0
    low, high = math.log(cuts[0] if cuts else 1), math.log(cuts[-1] if cuts else 2)
    peak = max((value for found in points.values() for _, value in found), default=0.0) or 1.0

    def x(cut: int) -> float:
        return left + (math.log(cut) - low) / ((high - low) or 1.0) * (right - left)

    def y(value: float) -> float:
        return base - value / peak * (base - top)

    ends = pushed_apart({name: y(found[-1][1]) for name, found in points.items()}, gap=12.0)
    lines = tuple(
        Line(
            name,
            "M" + "L".join(f"{x(cut):.1f} {y(value):.1f}" for cut, value in found),
            tuple((x(cut), y(value), f"{name}: {value:.4f} of first {cut}") for cut, value in found),
            ends[name],
            name == first,
        )
        for name, found in points.items()
    )
    y_ticks = tuple(Tick(y(value), f"{value:.2g}") for value in _round_values(0.0, peak))
    height = max(base, *ends.values(), 0.0) + 24
    return Curves(lines, tuple(Tick(x(cut), str(cut)) for cut in cuts), y_ticks, height, left, right, base)


def _has_cut(label: str) -> bool:
    cut = label.partition("@")[2]
    return cut.isdecimal() and int(cut) > 0


def _ends(bounds: Bounds) -> list[float]:
    return [end for end in (bounds.low, bounds.estimate, bounds.high) if end is not None]


def _places(n: int) -> list[tuple[float, float]]:
    """Left edge and width of each of `n` upright bars."""
    step = (WIDTH - 16) / max(n, 1)
    return [(8 + number * step + 1, step - 2) for number in range(n)]


def _up(value: float, peak: float) -> float:
    return _BASE - max(min(value / peak, 1.0), 0.0) * (_BASE - _TOP)


def pushed_apart(places: Mapping[str, float], *, gap: float) -> dict[str, float]:
    """The same places, moved down where two are nearer than `gap`."""
    last = -math.inf
    moved = {}
    for name, place in sorted(places.items(), key=lambda entry: entry[1]):
        last = max(place, last + gap)
        moved[name] = last
    return moved


def _round_values(low: float, high: float) -> list[float]:
    """About four round numbers within a range."""
    span = high - low
    if not 1e-300 < span < 1e300:
        return [low]
    size = 10.0 ** math.floor(math.log10(span / 4))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= span / 4)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
