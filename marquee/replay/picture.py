"""Where the marks of a replay's picture go; `templates/replay.svg` draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from marquee.evaluation.report.pictures import Tick, pushed_apart
from marquee.replay.walk import Step, Walk

WIDTH: Final = 720.0
LEFT: Final = 44.0
RIGHT: Final = WIDTH - 116
TOP: Final = 22.0
BASE: Final = 232.0
SERIES: Final = 7
"""Colours of lines, in templates/replay.html."""
_GAP: Final = 13.0


@dataclass(frozen=True)
class Dot:
    """A window of a policy."""

    x: float
    y: float
    title: str
    training: str
    """As `Step.training`."""


@dataclass(frozen=True)
class Line:
    """A policy's quality over time."""

    name: str
    path: str
    dots: tuple[Dot, ...]
    label_y: float
    series: int


@dataclass(frozen=True)
class Band:
    """Windows with a shock."""

    x: float
    width: float
    label: str
    label_y: float


@dataclass(frozen=True)
class Picture:
    """NDCG over time, with trainings and shocks."""

    lines: tuple[Line, ...]
    bands: tuple[Band, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: float = WIDTH
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    base: float = BASE
    height: float = BASE + 24


def picture(walks: Sequence[Walk], shocks: Sequence[tuple[str, int, int]], days: Sequence[str]) -> Picture:
    """Draw walks through the same windows.

    Args:
        walks: a line each.
        shocks: name, first window and length of each.
        days: begin of each window, for people.
    """
    n = len(days)
    step = (RIGHT - LEFT) / max(n - 1, 1)
    top = max((each.ndcg for walk in walks for each in walk.steps), default=0.0) or 1.0

    def x(window: float) -> float:
        return LEFT + (window - 1) * step

    def y(value: float) -> float:
        return BASE - value / (top * 1.1) * (BASE - TOP)

    bands = tuple(
        Band(max(x(start - 0.5), LEFT), min(x(start + length - 0.5), RIGHT) - max(x(start - 0.5), LEFT), name,
             TOP - 10 + 11 * (at % 2))
        for at, (name, start, length) in enumerate(shocks)
    )  # fmt: skip
    ends = pushed_apart({walk.policy: y(walk.steps[-1].ndcg) for walk in walks}, gap=_GAP)
    lines = tuple(
        Line(
            walk.policy,
            " ".join(f"{x(each.window):.1f},{y(each.ndcg):.1f}" for each in walk.steps),
            tuple(
                Dot(x(each.window), y(each.ndcg), _title(walk.policy, days[place], each), each.training)
                for place, each in enumerate(walk.steps)
            ),
            ends[walk.policy],
            at % SERIES,
        )
        for at, walk in enumerate(walks)
    )  # fmt: skip
    every = max(1, n // 6)
    x_ticks = tuple(Tick(x(at + 1), days[at]) for at in range(0, n, every))
    y_ticks = tuple(Tick(y(top * share), f"{top * share:.2f}") for share in (0.0, 0.25, 0.5, 0.75, 1.0))
    return Picture(lines, bands, x_ticks, y_ticks)


def _title(policy: str, day: str, step: Step) -> str:
    return f"{policy}, {day}: NDCG {step.ndcg:.4f}" + (f", training {step.training}" if step.training else "")
