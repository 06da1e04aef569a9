import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow import MlflowClient

from marquee.adapters.mlflow import (
    PromotionRefusedError,
    Registry,
    RegistryError,
    Tracking,
    record_run,
    registered_datasets,
)
from marquee.adapters.object_store import open_store
from marquee.errors import BundleError
from tests.marquee.adapters.mlflow import killed_promotion
from tests.marquee.adapters.mlflow.finished_run import FinishedRun, write_run

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[4]


@pytest.fixture
def registry(runs: Path) -> Registry:
    return Registry("ml-100k", Tracking.of(runs, {}), open_store(str(runs)))


@pytest.fixture
def three(runs: Path, registry: Registry) -> list[FinishedRun]:
    """Three runs whose bundles are versions 1 to 3; the gate refused the third."""
    made = [write_run(runs, f"run-{n}", weight=n, passed=n < 3) for n in (1, 2, 3)]
    for run in made:
        registry.register(run.bundle, gate_passed=run.measured["gate"]["passed"])
    return made


def shown(registry: Registry) -> dict[str, int]:
    """MLflow's own aliases."""
    with registry.tracking.connected() as client:
        aliases = client.get_registered_model(registry.model).aliases
    return {alias: int(version) for alias, version in aliases.items()}


def champion(registry: Registry) -> int | None:
    version = registry.champion()
    return version.number if version else None


def test_registry_before_anything_is_empty_and_makes_no_file(tmp_path: Path):
    registry = Registry("ml-100k", Tracking.of(tmp_path, {}), open_store(str(tmp_path)))

    assert (registry.list(), registry.champion()) == ([], None)
    assert registered_datasets(registry.tracking) == []
    assert list(tmp_path.iterdir()) == []


def test_register_names_the_bundle_where_it_lies_and_its_run(runs: Path, registry: Registry):
    run = write_run(runs)
    run_id = record_run(run.folder, run.measured, bundle=run.bundle, tracking=registry.tracking)

    version = registry.register(run.bundle, gate_passed=True, run_id=run_id)

    assert (version.number, version.bundle_id, version.run) == (1, run.bundle_id, "run-1")
    assert (version.mlflow_run_id, version.gate, version.ndcg) == (run_id, "passed", 0.5)
    assert version.source == run.bundle.as_uri()
    assert version.aliases == ()
    assert registry.list() == [version]
    assert registered_datasets(registry.tracking) == ["ml-100k"]


def test_register_with_a_source_keeps_it(runs: Path, registry: Registry):
    version = registry.register(write_run(runs).bundle, gate_passed=True, source="s3://models/bundles/1a2b")

    assert version.source == "s3://models/bundles/1a2b"


def test_register_twice_is_the_same_version(runs: Path, registry: Registry):
    bundle = write_run(runs).bundle

    assert registry.register(bundle, gate_passed=True) == registry.register(bundle, gate_passed=True)
    assert len(registry.list()) == 1


def test_register_at_the_same_time_as_another_is_the_same_version(
    runs: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    bundle = write_run(runs).bundle
    create = MlflowClient.create_model_version

    def after_another(*arguments, **options):
        monkeypatch.undo()
        registry.register(bundle, gate_passed=True)
        return create(*arguments, **options)

    monkeypatch.setattr(MlflowClient, "create_model_version", after_another)

    assert registry.register(bundle, gate_passed=True).number == 1
    with registry.tracking.connected() as client:
        assert [int(found.version) for found in client.search_model_versions()] == [1]


def test_register_of_a_torn_bundle_registers_nothing(runs: Path, registry: Registry):
    bundle = write_run(runs).bundle
    (bundle / "weights.npy").write_bytes(b"")

    with pytest.raises(BundleError, match=r"weights\.npy"):
        registry.register(bundle, gate_passed=True)
    assert registry.list() == []


def test_list_leaves_out_versions_of_somebody_else(registry: Registry, three: list[FinishedRun]):
    with registry.tracking.connected() as client:
        client.create_model_version(registry.model, "s3://theirs")

    assert [version.bundle_id for version in registry.list()] == [run.bundle_id for run in three]


def test_promote_by_number_and_by_bundle_id(registry: Registry, three: list[FinishedRun]):
    assert registry.promote("1", now=NOW).aliases == ("champion",)
    assert champion(registry) == 1
    assert registry.promote(three[1].bundle_id, now=NOW).number == 2
    assert champion(registry) == 2
    assert shown(registry) == {"champion": 2}


def test_challenge_then_promote_moves_both_aliases(registry: Registry, three: list[FinishedRun]):
    registry.promote("1", now=NOW)

    assert registry.challenge("2").aliases == ("challenger",)
    assert shown(registry) == {"champion": 1, "challenger": 2}
    registry.promote("2", now=NOW)
    assert shown(registry) == {"champion": 2}


@pytest.mark.parametrize("change", [lambda r: r.promote("9", now=NOW), lambda r: r.challenge("9")])
def test_change_to_an_unknown_version_names_the_known_ones(
    registry: Registry, three: list[FinishedRun], change
):
    with pytest.raises(RegistryError, match=f"'9'.*{three[2].bundle_id}"):
        change(registry)


def test_promote_of_a_refused_bundle_needs_to_be_asked_for(registry: Registry, three: list[FinishedRun]):
    with pytest.raises(PromotionRefusedError, match="the gate refused version 3") as caught:
        registry.promote("3", now=NOW)
    assert caught.value.exit_code == 1
    assert registry.champion() is None

    assert registry.promote("3", now=NOW, despite_gate=True).aliases == ("champion",)


def test_promote_instead_of_the_champion_it_was_compared_with(registry: Registry, three: list[FinishedRun]):
    registry.promote("1", now=NOW, instead_of=None)
    registry.promote("2", now=NOW, instead_of=three[0].bundle_id)

    assert champion(registry) == 2


@pytest.mark.parametrize("compared_with", [None, "0123456789abcdef"])
def test_promote_after_the_champion_changed_is_refused(
    registry: Registry, three: list[FinishedRun], compared_with: str | None
):
    registry.promote("1", now=NOW)

    with pytest.raises(PromotionRefusedError, match=f"but {three[0].bundle_id} reigns by now"):
        registry.promote("2", now=NOW, instead_of=compared_with)
    assert champion(registry) == 1


def test_promote_again_after_the_same_comparison_is_no_conflict(registry: Registry, three: list[FinishedRun]):
    registry.promote("1", now=NOW)

    for _ in range(2):
        registry.promote("2", now=NOW, instead_of=three[0].bundle_id)
    assert registry.rollback(now=NOW).number == 1


def test_rollback_goes_back_reign_by_reign(registry: Registry, three: list[FinishedRun]):
    for number in ("1", "2"):
        registry.promote(number, now=NOW)
    registry.promote("3", now=NOW, despite_gate=True)

    assert [registry.rollback(now=NOW).number for _ in range(2)] == [2, 1]
    assert shown(registry) == {"champion": 1}
    with pytest.raises(RegistryError, match="no champion before"):
        registry.rollback(now=NOW)


def test_rollback_to_a_version_that_was_deleted_is_refused(registry: Registry, three: list[FinishedRun]):
    for number in ("1", "2"):
        registry.promote(number, now=NOW)
    with registry.tracking.connected() as client:
        client.delete_model_version(registry.model, "1")

    with pytest.raises(RegistryError, match=f"no version or bundle '{three[0].bundle_id}'"):
        registry.rollback(now=NOW)
    assert champion(registry) == 2


def test_champion_after_mlflow_lost_its_database_is_an_error_until_registered_again(
    registry: Registry, runs: Path, three: list[FinishedRun]
):
    registry.promote("1", now=NOW)
    with registry.tracking.connected() as client:
        client.delete_registered_model(registry.model)

    with pytest.raises(RegistryError, match=f"no version or bundle '{three[0].bundle_id}'"):
        registry.champion()
    registry.register(three[1].bundle, gate_passed=True)
    registry.register(three[0].bundle, gate_passed=True)
    assert champion(registry) == 2
    assert shown(registry) == {"champion": 2}


def test_aliases_changed_in_mlflow_itself_are_mended_by_the_next_read(
    registry: Registry, three: list[FinishedRun]
):
    registry.promote("1", now=NOW)
    with registry.tracking.connected() as client:
        client.set_registered_model_alias(registry.model, "champion", "3")
        client.set_registered_model_alias(registry.model, "challenger", "2")

    assert champion(registry) == 1
    assert shown(registry) == {"champion": 1}


def test_promote_killed_between_document_and_mirror_is_completed_by_the_next_read(
    registry: Registry, runs: Path, three: list[FinishedRun]
):
    registry.promote("1", now=NOW)
    command = [sys.executable, killed_promotion.__file__, str(runs), three[1].bundle_id]

    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)

    assert killed.returncode == -signal.SIGKILL
    assert shown(registry) == {"champion": 1}
    assert champion(registry) == 2
    assert shown(registry) == {"champion": 2}
    assert registry.rollback(now=NOW).number == 1
