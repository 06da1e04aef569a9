"""A data set that trains in a second, and the command line as its user meets it."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from os import environ
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import pytest
import yaml

from marquee import schema
from marquee.cli import main
from marquee.config import TrainingConfig
from marquee.data.datasets.fetch import DatasetConfig
from marquee.data.datasets.prepare import storage_name
from marquee.observing import Observer, SilentObserver
from marquee.run import RunSummary, run_training
from marquee.settings import Settings
from tests.factories import taste_groups

NOW = datetime(2024, 6, 1, tzinfo=UTC)
DATASET = "folder"

RECIPE: dict[str, Any] = {
    "temporal": {"min_events": 4},
    "routes": {
        "enabled": ["als", "popular"],
        "als": {"factors": 2, "iterations": 1, "regularization": 0.1, "half_life_events": 10},
    },
    "union": {"depth": 40},
    "training_set": {"windows": 2, "min_events": 3, "history_shares": [0.5]},
    "ranker": {
        "lightgbm": {"n_estimators": 10, "num_leaves": 15, "learning_rate": 0.05, "min_data_in_leaf": 10}
    },
    "evaluation": {"bootstrap": {"resamples": 100}},
    # Whatever beats the best route by any amount passes: what is tested is what the verdict leads to.
    "gate": {"cuts": [{"k": 12, "tolerance": 1.0}], "bootstrap": {"resamples": 100}},
}
"""A run of a second on `taste_groups`. Its genres tell the ranker what two weak routes do not know."""

UNREACHABLE_GATE = {**RECIPE["gate"], "min_queries": 1_000}


def recipe(**differences: Any) -> TrainingConfig:
    """`RECIPE` with other values at its top keys."""
    return TrainingConfig.from_values(RECIPE | differences, where="the test")


def write_recipe(path: Path, **differences: Any) -> Path:
    """`recipe` as the file that a user would write."""
    path.write_text(yaml.safe_dump(RECIPE | differences), encoding="utf-8")
    return path


def write_dataset(root: Path, *, shuffle_seed: int | None = None) -> Path:
    """`taste_groups` as a folder with a mapping.yaml; its rows in another order for a seed."""
    root.mkdir(parents=True)
    dataset = taste_groups()
    events = dataset.interactions
    table = pl.DataFrame(
        {
            schema.USER_ID: events.users.decode(events.user_index),
            schema.ITEM_ID: events.items.decode(events.item_index),
            schema.INTERACTION_TYPE: "rating",
            schema.TIMESTAMP: pl.Series(events.timestamp_us).cast(schema.TIME_DTYPE),
            schema.VALUE: events.value,
        }
    )
    if shuffle_seed is not None:
        table = table.sample(fraction=1, shuffle=True, seed=shuffle_seed)
    table.with_columns(pl.col(schema.TIMESTAMP).dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(
        root / "events.csv"
    )
    assert dataset.users is not None
    assert dataset.movies is not None
    dataset.users.write_csv(root / "users.csv")
    dataset.movies.write_parquet(root / "movies.parquet")
    (root / "mapping.yaml").write_text(
        "interactions: {files: events.csv, mapping: contract-csv}\n"
        "users: users.csv\n"
        "movies: movies.parquet\n",
        encoding="utf-8",
    )
    return root


@dataclass(frozen=True)
class Place:
    """A folder of its own for data, sources and runs."""

    root: Path

    @classmethod
    def made(cls, root: Path, **differences: Any) -> "Place":
        """A place with the small data set and its recipe."""
        write_dataset(root / "source")
        write_recipe(root / "recipe.yaml", **differences)
        return cls(root)

    @property
    def settings(self) -> Settings:
        return Settings(data=self.root / "data", runs=self.runs)

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def latest(self) -> Path:
        return self.runs / "latest"

    @property
    def train_arguments(self) -> list[str]:
        return [
            "train", DATASET, "--source", str(self.root / "source"),
            "--config", str(self.root / "recipe.yaml"),
        ]  # fmt: skip

    @property
    def storage(self) -> str:
        """The name of the source's warehouse and champion."""
        return storage_name(DATASET, source=self.root / "source", config=DatasetConfig())

    def train(
        self,
        config: TrainingConfig | None = None,
        *,
        observer: Observer | None = None,
        source: str = "source",
    ) -> RunSummary:
        """Run in this process."""
        return run_training(
            DATASET,
            config or recipe(),
            self.settings,
            now=NOW,
            observer=observer or SilentObserver(),
            source=str(self.root / source),
        )

    def bundle_id(self, run: str = "latest") -> str:
        manifest = self.runs / run / "bundle" / "manifest.json"
        return str(json.loads(manifest.read_text(encoding="utf-8"))["bundle_id"])

    def finished_runs(self) -> list[str]:
        """Names of run folders that claim to be finished."""
        return sorted(
            path.name
            for path in self.runs.glob("*")
            if path.is_dir()
            and not path.is_symlink()
            and path.suffix != ".partial"
            and path.name[:1].isdigit()
        )

    def partial_runs(self) -> list[str]:
        return sorted(path.name for path in self.runs.glob("*.partial"))


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as strict JSON: NaN is none."""

        def refuse(constant: str) -> None:
            raise ValueError(f"{constant} is no JSON")

        return json.loads(self.out, parse_constant=refuse)

    def require_error(self, *named: str) -> None:
        """Assert one clear error: a line for the problem, one for the remedy, nothing on stdout."""
        lines = [line for line in self.err.splitlines() if line.startswith(("error: ", "remedy: "))]
        assert self.code == 2, self
        assert "Traceback" not in self.out + self.err, self
        assert [line.split(":")[0] for line in lines] == ["error", "remedy"], self
        for text in named:
            assert text in self.err, self
        assert self.out == "", self


Shell = Callable[..., Outcome]


def run_here(*arguments: str | Path, at: Place) -> Outcome:
    """`marquee …` in this process, which has paid for its imports already."""
    out, err = StringIO(), StringIO()
    settings = {"MARQUEE_DATA": str(at.settings.data), "MARQUEE_RUNS": str(at.runs)}
    with (
        mock.patch.dict(environ, settings),
        mock.patch.object(sys, "argv", ["marquee", *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return Outcome(code, out.getvalue(), err.getvalue())


def run_process(
    arguments: Sequence[str | Path], *, at: Place, environment: Mapping[str, str] | None = None
) -> Outcome:
    """`python -m marquee …` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "marquee", *map(str, arguments)],
        env=process_environment(at, environment),
        cwd=at.root,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def process_environment(at: Place, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child that works in a place."""
    return {
        **environ,
        "MARQUEE_DATA": str(at.settings.data),
        "MARQUEE_RUNS": str(at.runs),
        "PYTHONPATH": str(Path(__file__).parents[1]),
        **(more or {}),
    }


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place in which `marquee train` ran once, in a process of its own; tests only read it."""
    place = Place.made(tmp_path_factory.mktemp("trained"))
    outcome = run_process([*place.train_arguments, "--json"], at=place)
    assert outcome.code == 0, outcome
    (place.root / "train.out").write_text(outcome.out, encoding="utf-8")
    (place.root / "train.err").write_text(outcome.err, encoding="utf-8")
    return place


@pytest.fixture
def shell(trained: Place) -> Shell:
    """Run a command in the trained place."""
    return lambda *arguments: run_here(*arguments, at=trained)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place of the test's own in which nothing ran."""
    return Place.made(tmp_path / "place")
