"""What `benchmarks.serving` found, held to what was promised and put in words."""

import statistics
from collections.abc import Callable
from typing import Any, Final

PROMISES: Final[tuple[tuple[str, float, str, Callable[[dict[str, Any]], float]], ...]] = (
    ("home, CPU a request", 4.0, "ms", lambda report: report["loads"]["home"]["cpu_ms"]),
    ("home, p50", 6.0, "ms", lambda report: report["loads"]["home"]["p50"]),
    ("home, p99", 25.0, "ms", lambda report: report["loads"]["home"]["p99"]),
    ("similar, p50", 2.0, "ms", lambda report: report["loads"]["similar"]["p50"]),
    ("trending, p50", 2.0, "ms", lambda report: report["loads"]["trending"]["p50"]),
    ("popular, p50", 2.0, "ms", lambda report: report["loads"]["popular"]["p50"]),
    ("the framework's share of CPU", 15.0, "%", lambda report: 100 * report["framework"]["share"]),
    ("start to ready", 5.0, "s", lambda report: statistics.median(report["ready_s"])),
    (
        "requests that failed",
        0.0,
        "",
        lambda report: float(sum(each["errors"] for each in report["loads"].values())),
    ),
)
"""What, at most how much, the unit, and where it stands."""
LOADS: Final = "| load | requests | errors | degraded | rps | p50 | p95 | p99 | largest | CPU, ms | busy |"


def promises(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Each promise with what was measured."""
    found = []
    for name, limit, unit, figure in PROMISES:
        value = round(figure(report), 3)
        found.append({"name": name, "at_most": limit, "unit": unit, "measured": value, "met": value <= limit})
    return found


def to_markdown(report: dict[str, Any], machine: str) -> str:
    """The report as tables and sentences."""
    where = "server on one core, clients and Redis on another"
    where = where if report["is_pinned"] else "cores not assigned"
    lines = [
        "# The server: MovieLens-100k over HTTP",
        "",
        f"{report['measured_at']}, {machine}. Users' rows in {report['store']}, {where}; lists of 12; Poisson"
        f" arrivals at {report['rate']} requests/s where no clients are named, latency in ms from when a"
        " request was due.",
        "",
        *_promises(report),
        "",
        LOADS,
        "| --- |" + " ---: |" * (LOADS.count("|") - 2),
        *(_load(name, figures) for name, figures in report["loads"].items()),
        "",
        *_framework(report),
        "",
        *_inside(report),
        "",
        f"Process start to ready, s: {', '.join(f'{each:g}' for each in report['ready_s'])}.",
    ]
    return "\n".join(lines) + "\n"


def _promises(report: dict[str, Any]) -> list[str]:
    return [
        f"- {each['name']} ≤ {each['at_most']:g} {each['unit']}".rstrip()
        + f": {each['measured']:g}, {'kept' if each['met'] else 'NOT KEPT'}"
        for each in report["promises"]
    ]


def _load(name: str, figures: dict[str, Any]) -> str:
    counts = [f"{figures[key]:,}" for key in ("requests", "errors", "degraded")]
    times = [f"{figures[key]:.2f}" for key in ("p50", "p95", "p99", "max", "cpu_ms")]
    cells = [name, *counts, f"{figures['rps']:g}", *times, f"{100 * figures['server_busy']:.0f} %"]
    return f"| {' | '.join(cells)} |"


def _framework(report: dict[str, Any]) -> list[str]:
    found = report["framework"]
    rows = [
        f"| {name} | {found[name]:.2f} | {statistics.median(each['p50'] for each in turns):.2f} |"
        for name, turns in report["turns"].items()
    ]
    return [
        "The framework (HTTP, JSON, the protocol's checks, KServe) is what a server costs whose engine says"
        f" the same again: {100 * found['share']:.1f} % of the whole,"
        f" {100 * found['share without fast path']:.1f} % without the fast path,"
        f" which saves {found['fast path saves, ms']:.2f} ms. Home, in turns, medians:",
        "",
        "| server | CPU, ms | p50, ms |",
        "| --- | ---: | ---: |",
        *rows,
    ]


def _inside(report: dict[str, Any]) -> list[str]:
    found = report["inside_us"]
    names = next(iter(found.values()))
    return [
        "The engine without HTTP, CPU µs a request; what the whole has above its parts is the way between"
        " threads, and the log's writing:",
        "",
        f"| part | {' | '.join(found)} |",
        "| --- |" + " ---: |" * len(found),
        *(f"| {name} | {' | '.join(f'{each[name]:.0f}' for each in found.values())} |" for name in names),
    ]
