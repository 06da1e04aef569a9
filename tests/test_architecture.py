"""The import rules hold, and would break if somebody broke them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS_AT_THE_TOP = ("components", "pipelines", "serving", "feature_repo")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    lint = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}
    command = [str(lint), "--no-cache"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )


def contracts() -> dict[str, str]:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return {contract["id"]: contract["name"] for contract in linter["contracts"]}


@pytest.fixture
def small_marquee(tmp_path: Path) -> Path:
    """A package named marquee with a module in each room, and declarations, under the real contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    rooms_and_modules = (
        ("feature_repo", "views"), ("components", "train"), ("pipelines", "training"), ("serving", "engine"),
    )  # fmt: skip
    for room, module in rooms_and_modules:
        (tmp_path / room).mkdir()
        (tmp_path / room / f"{module}.py").touch()
    for room in ("components", "pipelines", "serving"):
        (tmp_path / room / "__init__.py").touch()
    rooms = [
        "data",
        "features",
        "candidates",
        "ranking",
        "evaluation",
        "policy",
        "monitoring",
        "experiments",
        "adapters",
        "training",
    ]
    modules = ["schema", "errors", "bundle", "recommend", "config", "cli", "run", "tuning", "steps"]
    for room in rooms:
        (tmp_path / "marquee" / room).mkdir(parents=True)
        (tmp_path / "marquee" / room / "__init__.py").touch()
        (tmp_path / "marquee" / room / "part.py").touch()
    for module in (*modules, "__init__"):
        (tmp_path / "marquee" / f"{module}.py").touch()
    return tmp_path


def put(folder: Path, module: str, statement: str) -> None:
    source = f"def work() -> None:\n    {statement}\n"
    (folder / "marquee" / f"{module}.py").write_text(source, encoding="utf-8")


def test_contracts_on_allowed_imports_are_kept(small_marquee: Path):
    put(small_marquee, "adapters/part", "import mlflow, boto3, feast")
    put(small_marquee, "ranking/part", "import lightgbm; from marquee.features import part")
    put(small_marquee, "candidates/part", "import implicit; from marquee.data import part")
    put(small_marquee, "cli", "import typer, rich; from marquee.adapters import part")
    put(small_marquee, "../feature_repo/views", "import feast; from marquee import schema")
    put(small_marquee, "../components/train", "import kfp; from marquee import training")
    put(small_marquee, "../pipelines/training", "import kfp; from components import train")

    result = lint_imports(small_marquee)

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("data/part", "from marquee.features import part", "layers"),
        ("candidates/part", "from marquee.ranking import part", "layers"),
        ("recommend", "from marquee import config", "layers"),
        ("stowaway", "pass", "layers"),
        ("training/part", "import kfp", "platform-outside"),
        ("training/part", "from mlflow import log_metric", "door-adapters"),
        ("features/part", "import lightgbm", "door-ranking"),
        ("ranking/part", "from implicit.als import AlternatingLeastSquares", "door-candidates"),
        ("data/part", "import faiss", "door-candidates"),
        ("training/part", "import rich.console", "door-cli"),
        ("../feature_repo/views", "from marquee.features import part", "declarations"),
        ("../components/train", "from pipelines import training", "pipeline-rooms"),
        ("../serving/engine", "from pipelines import training", "serving"),
        ("../serving/engine", "import optuna", "serving"),
        ("../serving/engine", "from opentelemetry import trace", "door-traces"),
        ("experiments/part", "from marquee.monitoring import part", "layers"),
        ("../components/train", "from marquee.ranking import part", "component-bodies"),
    ],
)
def test_contract_on_import_hidden_in_function_body_is_broken(
    small_marquee: Path, module: str, statement: str, contract: str
):
    put(small_marquee, module, statement)

    result = lint_imports(small_marquee)

    assert result.returncode == 1
    verdicts = dict(re.findall(r"^(.+) (KEPT|BROKEN)\b", result.stdout, re.MULTILINE))
    assert verdicts == {name: "BROKEN" if id_ == contract else "KEPT" for id_, name in contracts().items()}


def test_rooms_at_the_top_are_linted_as_soon_as_they_hold_python():
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    present = {room for room in ROOMS_AT_THE_TOP if any((ROOT / room).rglob("*.py"))}

    assert present <= set(linter["root_packages"])
