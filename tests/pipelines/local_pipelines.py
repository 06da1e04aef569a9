"""The pipelines on this machine, on the data set that trains in a second."""

import fcntl
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from marquee.run_values import RunValues
from pipelines.run_local import WORK
from tests.small_run import DATASET, RECIPE, Outcome, Place, process_environment, run_process

DATA_STEPS = ("ingest-interactions", "validate-data", "build-features")
TRAINING_STEPS = ("build-training-set", "train-candidates", "tune-ranker", "train-ranker")
AFTER_THE_GATE = ("register-model", "materialize-features", "roll-out-model")
"""In their order."""


def values_of(place: Place, **differences: Any) -> dict[str, Any]:
    """A run's values: the place's data set, and `RECIPE` with other values at its top keys."""
    return {"dataset": DATASET, "source": str(place.root / "source"), "training": RECIPE | differences}


def write_values(place: Place, **differences: Any) -> Path:
    """`values_of` as the file that a user would write."""
    path = place.root / "values.yaml"
    path.write_text(yaml.safe_dump(values_of(place, **differences)), encoding="utf-8")
    return path


def parameters_of(place: Place, **differences: Any) -> dict[str, Any]:
    """The training pipeline's parameters for `values_of`."""
    values = RunValues.from_values(values_of(place, **differences), where="the test")
    return values.parameters(run_id="run-1", reason="manual")


def run_pipeline(
    place: Place, *, command: tuple[str, ...] = ("run",), environment: dict[str, str] | None = None
) -> Outcome:
    """`marquee pipeline run`, or another command, with the place's values, in a process of its own."""
    return run_process(
        ["pipeline", *command, "--values", place.root / "values.yaml"], at=place, environment=environment
    )


def run_local_pipeline(place: Place, name: str, **more: Any) -> Outcome:
    """A pipeline by its name through `run_local`, with the place's data, in a process of its own.

    Its standard output is what the steps returned, as JSON.
    """
    given = {key: values for key, values in parameters_of(place).items() if not key.startswith("tuning_")}
    program = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from marquee.observing import SilentObserver\n"
        "from pipelines.run_local import run_local\n"
        "name, parameters, runs = json.loads(sys.argv[1])\n"
        "with run_local(name, parameters, runs=Path(runs), observer=SilentObserver()) as done:\n"
        "    print(json.dumps({step.name: done.value(step.name) for step in done.steps}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps([name, given | more, str(place.runs)])],
        env=process_environment(place), cwd=place.root, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr)


def executed(log: str) -> list[str]:
    """The steps whose bodies ran, in their order: kfp's executor names each in the log."""
    return [name.replace("_", "-") for name in re.findall(r'Loading KFP component "(\w+)"', log)]


def begun(log: str) -> list[str]:
    """The steps that the runner began, in their order, those that the cache answered among them."""
    return re.findall(r"Executing task '([\w-]+)'", log)


def alias_document(place: Place) -> Path:
    """Who is champion."""
    return place.runs / "models" / "registry" / f"marquee-{place.storage}.json"


def champion(place: Place) -> str | None:
    """The bundle id that the alias document gives, None where there is none."""
    path = alias_document(place)
    moves = json.loads(path.read_text(encoding="utf-8"))["moves"] if path.is_file() else []
    return str(moves[-1]["bundle_id"]) if moves else None


def registered_versions(place: Place) -> int:
    """Versions in MLflow's database."""
    database = place.runs / "mlflow.db"
    if not database.is_file():
        return 0
    with sqlite3.connect(database) as connection:
        return int(connection.execute("select count(*) from model_versions").fetchone()[0])


def finished_runs(place: Place) -> list[str]:
    """Names of run folders; MLflow's and the object store's lie beside them."""
    return [name for name in place.finished_runs() if (place.runs / name / "metrics.json").is_file()]


def work_folders(place: Place) -> list[Path]:
    """What pipelines that did not end well left for the next try."""
    return sorted(path for path in (place.runs / WORK).glob("*") if path.is_dir())


@dataclass(frozen=True)
class Tried:
    """How a pipeline ended in a place, and what was there then."""

    root: str
    code: int
    out: str
    err: str
    log: str
    n_runs: int
    n_versions: int
    champion: str | None

    @property
    def place(self) -> Place:
        return Place(Path(self.root))

    @classmethod
    def at(cls, place: Place, *command: str) -> "Tried":
        """Run the training pipeline with the place's values, by `pipeline run` or another command."""
        outcome = run_pipeline(place, command=command or ("run",))
        left = work_folders(place)
        log = (left[0] if left else place.latest) / "pipeline.log"
        return cls(
            str(place.root),
            outcome.code,
            outcome.out,
            outcome.err,
            log.read_text(encoding="utf-8"),
            len(finished_runs(place)),
            registered_versions(place),
            champion(place),
        )


def tried_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Tried]) -> Tried:
    """What `make` found in a folder, the same for all workers of the test run: it takes half a minute."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    kept = root / f"{name}.json"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_file():
            kept.write_text(json.dumps(asdict(make(root / name))), encoding="utf-8")
        return Tried(**json.loads(kept.read_text(encoding="utf-8")))
