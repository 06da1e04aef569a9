"""This server against that of another checkout: `python -m benchmarks.serving_against --before ../before`.

Hosts differ by a factor of two from day to day, and so figures of two days say little of two commits. Both
servers run here at once, on one core and on one Redis, with one bundle; the same loads meet them in turns.
Prints medians over the turns, and the ratio of each pair of turns.
"""

import argparse
import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks.served import ROOT, end_in_order
from benchmarks.serving import RATE, SURFACES
from benchmarks.serving_stage import stage

FIGURES: Final = ("cpu_ms", "p50", "p99")


def measure(before: Path, seconds: float, turns: int) -> dict[str, tuple[list[dict[str, Any]], ...]]:
    """Figures of each turn by surface: of the server before, and of this one."""
    with stage() as place, ExitStack() as open_servers:
        servers = [
            open_servers.enter_context(place.server(name, root=root))
            for name, root in (("before", before.resolve()), ("now", ROOT))
        ]
        found: dict[str, tuple[list[dict[str, Any]], ...]] = {}
        for turn in range(turns):
            for surface in ("home", *SURFACES):
                words = ("--rate", str(RATE), "--seconds", str(seconds), "--seed", str(turn))
                pairs = list(zip(found.setdefault(surface, ([], [])), servers, strict=True))
                for kept, server in pairs[:: -1 if turn % 2 else 1]:  # whoever is first meets a colder host
                    kept.append(place.load(server, *words, "--surfaces", surface))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="This server against that of another checkout.")
    parser.add_argument("--before", type=Path, required=True, help="a checkout that reads the same bundle")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each load")
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    end_in_order()
    print("| surface | figure | before | now | ratio, each turn |\n| --- | --- | ---: | ---: | --- |")
    for surface, (before, now) in measure(given.before, given.seconds, given.turns).items():
        for figure in FIGURES:
            old, new = ([turn[figure] for turn in each] for each in (before, now))
            ratios = " ".join(f"{b / a:.2f}" for a, b in zip(old, new, strict=True))
            medians = f"{statistics.median(old):.2f} | {statistics.median(new):.2f}"
            print(f"| {surface} | {figure} | {medians} | {ratios} |")


if __name__ == "__main__":
    main()
