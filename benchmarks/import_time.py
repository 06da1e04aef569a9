"""Seconds that `import marquee` takes in a fresh interpreter, and how many modules it loads.

Prints the median and range of the runs as one line of JSON, with the machine named. The promise is
at most 0.5 s. The interpreter's own start is measured apart and not counted.
"""

import json
import platform
import statistics
import subprocess
import sys

RUNS = 11
PROGRAM = """
import sys, time
before = len(sys.modules)
start = time.perf_counter()
import marquee
print(time.perf_counter() - start, len(sys.modules) - before)
"""


def measure() -> tuple[float, int]:
    """One fresh interpreter: seconds, modules loaded."""
    command = [sys.executable, "-c", PROGRAM]
    seconds, modules = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), int(modules)


def main() -> None:
    """Measure and print; the first run, which may compile bytecode, is left out."""
    measure()
    results = [measure() for _ in range(RUNS)]
    seconds = [result[0] for result in results]
    report = {
        "what": "import marquee",
        "median_seconds": round(statistics.median(seconds), 4),
        "range_seconds": [round(min(seconds), 4), round(max(seconds), 4)],
        "modules": results[0][1],
        "runs": RUNS,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
