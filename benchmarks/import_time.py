"""Seconds that our imports take in a fresh interpreter, and how many modules they load.

Prints the median and range of the runs, one line of JSON each, with the machine named. The promise for
`import marquee` is at most 0.5 s. The door to Feast is what `marquee features` waits for; beside it stands
Feast as it comes, whose classes typeguard rewrites at import (marquee/adapters/feast_import.py). The
interpreter's own start is measured apart and not counted.
"""

import json
import platform
import statistics
import subprocess
import sys

RUNS = {"import marquee": 11, "import marquee.adapters.feast": 3, "import feast": 3}
"""How often each is measured."""
PROGRAM = """
import sys, time
before = len(sys.modules)
start = time.perf_counter()
{statement}
print(time.perf_counter() - start, len(sys.modules) - before)
"""


def measure(statement: str) -> tuple[float, int]:
    """One fresh interpreter: seconds, modules loaded."""
    command = [sys.executable, "-c", PROGRAM.format(statement=statement)]
    seconds, modules = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), int(modules)


def main() -> None:
    """Measure and print; the first run of each, which may compile bytecode, is left out."""
    for statement, runs in RUNS.items():
        measure(statement)
        results = [measure(statement) for _ in range(runs)]
        seconds = [result[0] for result in results]
        report = {
            "what": statement,
            "median_seconds": round(statistics.median(seconds), 4),
            "range_seconds": [round(min(seconds), 4), round(max(seconds), 4)],
            "modules": results[0][1],
            "runs": runs,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
        }
        print(json.dumps(report))


if __name__ == "__main__":
    main()
