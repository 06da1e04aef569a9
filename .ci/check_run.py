"""Check what `make run` left behind, and print the bundle's id.

The metrics file must have the promised shape, name finite metrics for a two-stage model and at least
one baseline, and the bundle must be where `bundle.txt` says, with an id in its manifest.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

KEYS = ("dataset", "protocol", "k", "models", "gate", "seconds", "peak_rss_mb")


def metrics_complaints(metrics: dict[str, Any]) -> list[str]:
    """What is wrong with a metrics file, nothing if it is as promised."""
    complaints = [f"key {key!r} is missing" for key in KEYS if key not in metrics]
    models = metrics.get("models", {})
    if len(models) < 2:
        complaints.append(f"models: a model and a baseline are expected, found {sorted(models)}")
    complaints += [
        f"models.{name}.{metric} is {value!r}, not a finite number"
        for name, values in models.items()
        for metric, value in values.items()
        if not isinstance(value, int | float) or not math.isfinite(value)
    ]
    complaints += [f"{key} is empty" for key in ("gate", "seconds") if not metrics.get(key)]
    return complaints


def bundle_id(run: Path) -> str:
    """The id in the manifest of the bundle that a run points at.

    Raises:
        ValueError: the pointer or the manifest is missing, or the id is empty.
    """
    pointer = run / "bundle.txt"
    if not pointer.is_file():
        raise ValueError(f"{pointer} is missing")
    bundle = Path(pointer.read_text(encoding="utf-8").strip())
    manifest = bundle / "manifest.json"
    if not manifest.is_file():
        raise ValueError(f"{pointer} points at {bundle}, which holds no manifest.json")
    identity = json.loads(manifest.read_text(encoding="utf-8")).get("bundle_id")
    if not identity:
        raise ValueError(f"{manifest} has no bundle_id")
    return str(identity)


def main() -> int:
    """Print the bundle id on standard output, complaints on standard error."""
    run = Path(sys.argv[1])
    try:
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        complaints = metrics_complaints(metrics)
        identity = bundle_id(run)
    except (OSError, ValueError) as err:
        complaints, identity = [str(err)], ""
    for line in complaints:
        print(f"{run}: {line}", file=sys.stderr)
    print(identity)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
