"""A promotion in the cluster reaches the registry."""

from datetime import UTC, datetime
from pathlib import Path

from marquee.adapters.deployment_document import DocumentDeployment
from marquee.adapters.mlflow import Registry
from marquee.adapters.object_store import open_store
from tests.marquee.adapters.mlflow.empty_store import empty_store, runs  # noqa: F401 - fixtures
from tests.marquee.adapters.mlflow.finished_run import FinishedRun, write_run
from tests.marquee.cli.registry_here import own_store, registry  # noqa: F401 - fixtures
from tests.small_run import Outcome, Place, run_here


def registered(registry: Registry, runs: Path, name: str, *, passed: bool = True) -> FinishedRun:  # noqa: F811
    run = write_run(runs, name, weight=1.0 + len(registry.list()), passed=passed)
    registry.register(run.bundle, gate_passed=passed)
    return run


def promoted_in_the_cluster(runs: Path, old: str, new: str) -> Outcome:  # noqa: F811
    """Begin a rollout, promote it there by hand, and let a step find out."""
    options = ["--deployment", runs / "deployment", "--runs", runs]
    at = Place(runs.parent)
    run_here("canary", "start", new, "--stable", old, *options, at=at)
    cluster = DocumentDeployment(open_store(str(runs / "deployment")))
    cluster.promote(new, expect=cluster.report_ready(old, new).version)
    return run_here("canary", "step", "--registry", "ml-100k", "--json", *options, at=at)


def test_promoted_canary_becomes_the_champion_of_the_registry(registry: Registry, runs: Path):  # noqa: F811
    old, new = registered(registry, runs, "run-1"), registered(registry, runs, "run-2")
    registry.promote(old.bundle_id, now=datetime.now(UTC))

    ended = promoted_in_the_cluster(runs, old.bundle_id, new.bundle_id)

    assert (ended.code, ended.json["phase"]) == (0, "promoted")
    assert registry.champion().bundle_id == new.bundle_id


def test_refusal_of_the_registry_is_said_and_ends_the_rollout(registry: Registry, runs: Path):  # noqa: F811
    old, new = registered(registry, runs, "run-1"), registered(registry, runs, "run-2", passed=False)
    registry.promote(old.bundle_id, now=datetime.now(UTC))

    ended = promoted_in_the_cluster(runs, old.bundle_id, new.bundle_id)

    assert ended.json["phase"] == "promoted"
    assert "not of the registry" in ended.json["log"][-1]["reason"]
    assert registry.champion().bundle_id == old.bundle_id
