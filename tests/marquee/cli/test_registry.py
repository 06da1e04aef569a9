from datetime import UTC, datetime
from pathlib import Path

import pytest

from marquee.adapters.mlflow import Registry, Tracking
from marquee.adapters.object_store import open_store
from tests.marquee.adapters.mlflow.empty_store import empty_store, runs  # noqa: F401 - fixtures
from tests.marquee.adapters.mlflow.finished_run import FinishedRun, write_run
from tests.marquee.cli.registry_here import own_store, registry  # noqa: F401 - fixtures
from tests.small_run import Outcome, Place, run_here


@pytest.fixture
def two(registry: Registry, runs: Path) -> list[FinishedRun]:  # noqa: F811
    """Two runs whose bundles are registered; the gate refused the second."""
    made = [write_run(runs, "run-1"), write_run(runs, "run-2", weight=2.0, passed=False)]
    for run in made:
        registry.register(run.bundle, gate_passed=run.measured["gate"]["passed"])
    return made


def marquee(runs: Path, *arguments: str) -> Outcome:  # noqa: F811
    return run_here("registry", *arguments, "--runs", runs, at=Place(runs.parent))


def champion_link(runs: Path) -> str:  # noqa: F811
    return (runs / "champion-ml-100k").readlink().name


def test_list_for_people_shows_the_newest_first(runs: Path, two: list[FinishedRun]):  # noqa: F811
    marquee(runs, "promote", "1")

    lines = marquee(runs, "list").out.splitlines()

    assert lines[0].strip() == "Registered bundles of ml-100k"
    assert lines[1].split() == ["version", "bundle", "run", "gate", "aliases", "registered", "NDCG@10"]
    assert lines[2].split()[:4] == ["2", two[1].bundle_id, "run-2", "refused"]
    assert lines[3].split()[:5] == ["1", two[0].bundle_id, "run-1", "passed", "champion"]
    assert lines[3].split()[-1] == "0.5000"


def test_list_as_json_names_everything(runs: Path, two: list[FinishedRun]):  # noqa: F811
    first, second = marquee(runs, "list", "--json").json

    assert datetime.fromisoformat(first.pop("registered")).tzinfo == UTC
    assert first == {
        "dataset": "ml-100k",
        "version": 1,
        "bundle_id": two[0].bundle_id,
        "run": "run-1",
        "mlflow_run_id": None,
        "source": two[0].bundle.as_uri(),
        "ndcg@10": 0.5,
        "gate": "passed",
        "aliases": [],
    }
    assert (second["version"], second["gate"]) == (2, "refused")


def test_list_before_anything_says_so(tmp_path: Path):
    assert marquee(tmp_path, "list").out == "No bundle is registered yet.\n"
    assert marquee(tmp_path, "list", "--json").json == []


def test_promote_and_rollback_move_registry_and_link_alike(
    runs: Path,  # noqa: F811
    registry: Registry,  # noqa: F811
    two: list[FinishedRun],
):
    assert marquee(runs, "promote", two[0].bundle_id, "--json").json["aliases"] == ["champion"]
    assert champion_link(runs) == "run-1"
    outcome = marquee(runs, "promote", "2", "--despite-gate")
    assert outcome.code == 0
    assert f"version 2 is the champion, bundle {two[1].bundle_id} of run run-2" in outcome.out
    assert champion_link(runs) == "run-2"

    assert marquee(runs, "rollback").code == 0
    assert champion_link(runs) == "run-1"
    reigning = registry.champion()
    assert reigning is not None
    assert reigning.number == 1


def test_promote_of_a_refused_bundle_is_exit_code_1(runs: Path, two: list[FinishedRun]):  # noqa: F811
    outcome = marquee(runs, "promote", "2")

    assert outcome.code == 1
    assert "error: the gate refused version 2" in outcome.err
    assert "remedy: " in outcome.err
    assert not (runs / "champion-ml-100k").exists()


def test_promote_of_an_unknown_version_names_the_known(runs: Path, two: list[FinishedRun]):  # noqa: F811
    marquee(runs, "promote", "7").require_error("'7'", two[0].bundle_id)


def test_rollback_without_a_champion_before_is_an_error(runs: Path, two: list[FinishedRun]):  # noqa: F811
    marquee(runs, "rollback").require_error("no champion before")


@pytest.mark.parametrize("command", [["promote", "1"], ["rollback"]])
def test_change_before_anything_is_registered_is_an_error(tmp_path: Path, command: list[str]):
    marquee(tmp_path, *command).require_error("no bundle is registered", "make run")


def test_change_with_several_data_sets_asks_which(runs: Path, two: list[FinishedRun]):  # noqa: F811
    other = Registry("ml-1m", Tracking.of(runs, {}), open_store(str(runs / "models")))
    other.register(two[0].bundle, gate_passed=True)

    marquee(runs, "promote", "1").require_error("2 data sets", "ml-100k, ml-1m")
    assert marquee(runs, "promote", "1", "--dataset", "ml-1m", "--json").json["dataset"] == "ml-1m"


def test_list_of_a_broken_store_is_an_error(tmp_path: Path):
    (tmp_path / "mlflow.db").write_bytes(b"nonsense" * 1000)

    marquee(tmp_path, "list").require_error("mlflow.db", "Move that file away")
