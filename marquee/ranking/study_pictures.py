"""Pictures of a search as HTML with inline SVG: no script, nothing fetched.

`study_section` goes into a report; `study_page` is a page of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from markupsafe import Markup

from marquee.features.report.html import environment
from marquee.ranking.search import SearchResult, Trial
from marquee.ranking.search_space import BOOSTER, SearchSpace

_TEMPLATES: Final = Path(__file__).with_name("templates")
_LEFT: Final = 46.0
_TOP: Final = 10.0


@dataclass(frozen=True)
class Dot:
    """One trial."""

    x: float
    y: float
    is_pruned: bool
    is_best: bool
    title: str


@dataclass(frozen=True)
class Tick:
    """A label at an axis."""

    place: float
    text: str


@dataclass(frozen=True)
class Plot:
    """Dots over two axes, inside a frame of `width` × `height` units."""

    title: str
    dots: tuple[Dot, ...]
    path: str
    """The line of the best value so far; empty where there is none."""
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: float
    height: float

    @property
    def left(self) -> float:
        """Where the frame begins."""
        return _LEFT

    @property
    def top(self) -> float:
        """Likewise."""
        return _TOP


@dataclass(frozen=True)
class Bar:
    """One knob's importance."""

    label: str
    y: float
    width: float
    text: str


def study_page(result: SearchResult, space: SearchSpace, *, title: str) -> str:
    """A page of its own, complete in one file."""
    section = Markup(study_section(result, space))  # noqa: S704 - rendered and escaped by our own template
    return environment(_TEMPLATES).get_template("study_page.html").render(title=title, section=section)


def study_section(result: SearchResult, space: SearchSpace) -> str:
    """History, importances and slices; takes its colours from the page where that has some."""
    shown = [trial for trial in result.trials if np.isfinite(trial.value)]
    limits = _value_limits(shown)
    return (
        environment(_TEMPLATES)
        .get_template("study.html")
        .render(
            result=result,
            n_pruned=sum(trial.is_pruned for trial in result.trials),
            history=_history(shown, limits, result.best_trial),
            bars=_bars(result.importances),
            slices=[
                _slice(shown, name, limits, result.best_trial, is_log=_is_log(space, name))
                for name in result.best_trial.point
                if name != BOOSTER and len({trial.point.get(name) for trial in shown} - {None}) > 1
            ],
        )
    )


def _is_log(space: SearchSpace, name: str) -> bool:
    booster, _, knob = name.partition(".")
    return getattr(space.of(booster).get(knob), "scale", "linear") == "log"


def _value_limits(trials: Sequence[Trial]) -> tuple[float, float]:
    """The values that are drawn: very bad trials lie on the lower edge, so that the good ones part."""
    values = np.array([trial.value for trial in trials])
    low, high = float(np.quantile(values, 0.1)), float(values.max())
    margin = max((high - low) * 0.08, 1e-4)
    return low - margin, high + margin


def _history(trials: Sequence[Trial], limits: tuple[float, float], best: Trial) -> Plot:
    width, height = 600.0, 180.0
    span = (-0.5, max(trial.number for trial in trials) + 0.5)
    dots = [_dot(trial, float(trial.number), span, limits, (width, height), best) for trial in trials]
    path, highest = "", -np.inf
    for trial, dot in zip(trials, dots, strict=True):
        if not trial.is_pruned and trial.value > highest:
            highest = trial.value
            path += f"V{dot.y:.1f}" if path else f"M{dot.x:.1f} {dot.y:.1f}"
        path += f"H{dot.x:.1f}" if path else ""
    ticks = sorted({int(number) for number in np.linspace(0, max(trial.number for trial in trials), 6)})
    return Plot(
        "Trials in their order, and the best so far",
        tuple(dots),
        path,
        tuple(Tick(_place(number, span, width), str(number)) for number in ticks),
        _y_ticks(limits, height),
        width,
        height,
    )


def _slice(
    trials: Sequence[Trial], name: str, limits: tuple[float, float], best: Trial, *, is_log: bool
) -> Plot:
    """Value against one knob, over the trials that have it."""
    width, height = 240.0, 130.0
    own = [trial for trial in trials if name in trial.point]
    scaled = [_scaled(trial.point[name], is_log=is_log) for trial in own]
    margin = (max(scaled) - min(scaled)) * 0.05
    span = (min(scaled) - margin, max(scaled) + margin)
    dots = tuple(
        _dot(trial, x, span, limits, (width, height), best) for trial, x in zip(own, scaled, strict=True)
    )
    ends = np.linspace(min(scaled), max(scaled), 3)
    ticks = [Tick(_place(x, span, width), f"{np.exp(x) if is_log else x:.3g}") for x in ends]
    return Plot(name.partition(".")[2], dots, "", tuple(ticks), _y_ticks(limits, height), width, height)


def _scaled(value: float | str, *, is_log: bool) -> float:
    return float(np.log(float(value))) if is_log else float(value)


def _dot(
    trial: Trial,
    x: float,
    span: tuple[float, float],
    limits: tuple[float, float],
    size: tuple[float, float],
    best: Trial,
) -> Dot:
    y = size[1] - _place(float(np.clip(trial.value, *limits)), limits, size[1], start=0) + _TOP
    knobs = ", ".join(f"{name} {_shown(value)}" for name, value in trial.point.items())
    fate = "given up at" if trial.is_pruned else "reached"
    title = f"trial {trial.number} {fate} {trial.value:.4f}: {knobs}"
    return Dot(_place(x, span, size[0]), y, trial.is_pruned, trial.number == best.number, title)


def _shown(value: float | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _place(value: float, span: tuple[float, float], size: float, *, start: float = _LEFT) -> float:
    return start + (value - span[0]) / (span[1] - span[0]) * size


def _y_ticks(limits: tuple[float, float], height: float) -> tuple[Tick, ...]:
    values = np.linspace(*limits, 5)[1:-1]
    return tuple(
        Tick(height - _place(float(value), limits, height, start=0) + _TOP, f"{value:.3f}")
        for value in values
    )


def _bars(importances: Mapping[str, float]) -> tuple[Bar, ...]:
    peak = max(importances.values(), default=0.0) or 1.0
    ordered = sorted(importances.items(), key=lambda entry: -entry[1])
    return tuple(
        Bar(name.partition(".")[2], 8.0 + 22 * at, share / peak * 380, f"{share:.0%}")
        for at, (name, share) in enumerate(ordered)
    )
