"""Kept, registered and promoted: on a folder as the object store and a local MLflow."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marquee.adapters.mlflow import PromotionRefusedError
from marquee.adapters.object_store import get_folder
from marquee.bundle import Parts, verify_bundle, write_bundle
from marquee.config import TrainingConfig
from marquee.errors import BundleError, ConfigError, ObjectMissingError, ObjectStoreError, StepError
from marquee.outcome import provenance_of
from marquee.registering import CHAMPION, Models
from marquee.settings import Settings
from marquee.steps.register_model import register_model
from marquee.steps.roll_out_model import roll_out_model
from marquee.steps.task import Task
from tests.marquee.adapters.mlflow.empty_store import empty_store, runs
from tests.marquee.adapters.mlflow.finished_run import measured

__all__ = ["empty_store", "runs"]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = TrainingConfig.from_values({"seed": 7, "gate": {"min_queries": 77}}, where="the test")


@dataclass(frozen=True)
class Finished:
    """What evaluate-model leaves."""

    folder: Path
    metrics: dict[str, Any]
    bundle_id: str


Maker = Callable[..., Finished]


@pytest.fixture
def models(runs: Path) -> Models:
    return Models.of("ml-100k", Settings(runs=runs), {})


@pytest.fixture
def task(runs: Path) -> Task:
    return Task(Settings(runs=runs), {}, NOW)


@pytest.fixture
def made(runs: Path) -> Maker:
    """Makes finished runs; another weight is another bundle."""

    def make(
        weight: float, *, passed: bool = True, champion: str | None = None, now: datetime = NOW
    ) -> Finished:
        folder = runs / f"run-{weight:g}-{now.year}"
        ids = {}
        for kind in ("bundle", "evaluated"):
            content = {"kind": kind, "dataset": "ml-100k", "config": CONFIG.model_dump(mode="json"),
                       "snapshot": "69", "metrics": {"ndcg@10": 0.5}}  # fmt: skip
            manifest = write_bundle(
                folder / kind,
                Parts(arrays={"weights": np.array([weight])}),
                content=content,
                provenance=provenance_of(folder.name, "ml-100k", now=now),
            )
            ids[kind] = manifest.bundle_id
        metrics = {**measured(passed=passed), "storage": "ml-100k", CHAMPION: champion}
        (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        (folder / "report.html").write_text("<h1>report</h1>", encoding="utf-8")
        (folder / "config.yaml").write_text("seed: 7\n", encoding="utf-8")
        return Finished(folder, metrics, ids["bundle"])

    return make


def test_nobody_reigns_where_there_is_nothing_and_nothing_is_made(tmp_path: Path):
    models = Models.of("ml-100k", Settings(runs=tmp_path), {})

    assert models.champion() is None
    assert list(tmp_path.iterdir()) == []


def test_registered_run_s_bundles_lie_whole_in_the_store(models: Models, made: Maker, tmp_path: Path):
    run = made(1)

    registered = models.register(run.folder, run.metrics)

    assert (registered.bundle_id, registered.version) == (run.bundle_id, 1)
    for kind in ("bundle", "evaluated"):
        get_folder(models.store, models.key(run.bundle_id, kind), tmp_path / kind)
        assert verify_bundle(tmp_path / kind) == verify_bundle(run.folder / kind)
    assert f"/bundles/ml-100k/{run.bundle_id}/bundle/" in registered.source


def test_registered_run_is_challenger_and_nobody_s_champion(models: Models, made: Maker):
    run = made(1)

    models.register(run.folder, run.metrics)

    (version,) = models.registry.list()
    assert version.bundle_id == run.bundle_id
    assert version.aliases == ("challenger",)
    assert models.champion() is None


def test_run_registered_again_is_the_same_version(models: Models, made: Maker):
    run = made(1)

    first = models.register(run.folder, run.metrics)
    second = models.register(run.folder, run.metrics)

    assert first == second
    assert len(models.registry.list()) == 1


def test_same_model_trained_again_is_the_same_version_and_its_first_bundle_stays(
    models: Models, made: Maker, tmp_path: Path
):
    run, again = made(1), made(1, now=NOW.replace(year=2027))
    first = models.register(run.folder, run.metrics)

    second = models.register(again.folder, again.metrics)

    assert again.bundle_id == run.bundle_id
    assert (second.version, second.source) == (first.version, first.source)
    get_folder(models.store, models.key(run.bundle_id, "bundle"), tmp_path / "kept")
    assert verify_bundle(tmp_path / "kept").provenance["created_at"] == NOW.isoformat()


def test_card_names_version_bundle_and_where_it_lies(models: Models, made: Maker):
    run = made(1)

    registered = models.register(run.folder, run.metrics)
    card = registered.as_markdown()

    for value in (run.bundle_id, "| version | 1 |", registered.source, registered.mlflow_run_id):
        assert value in card


def test_torn_bundle_is_not_registered(models: Models, made: Maker):
    run = made(1)
    (run.folder / "bundle" / "weights.npy").write_bytes(b"torn")

    with pytest.raises(BundleError):
        models.register(run.folder, run.metrics)

    assert models.registry.list() == []


def test_promoted_bundle_reigns_with_the_recipe_that_it_was_made_by(models: Models, made: Maker):
    run = made(1)
    registered = models.register(run.folder, run.metrics)

    source = models.promote(run.bundle_id, run.metrics, now=NOW)

    champion = models.champion()
    assert champion is not None
    assert (champion.bundle_id, champion.config) == (run.bundle_id, CONFIG)
    assert source == registered.source


def test_promotion_is_refused_where_another_one_reigns_by_now(models: Models, made: Maker):
    first, second = made(1), made(2)
    for run in (first, second):
        models.register(run.folder, run.metrics)
    models.promote(first.bundle_id, first.metrics, now=NOW)

    with pytest.raises(PromotionRefusedError, match=first.bundle_id):
        models.promote(second.bundle_id, second.metrics, now=NOW)

    champion = models.champion()
    assert champion is not None
    assert champion.bundle_id == first.bundle_id


def test_promotion_of_what_the_gate_refused_is_refused(models: Models, made: Maker):
    run = made(1, passed=False)
    models.register(run.folder, run.metrics)

    with pytest.raises(PromotionRefusedError):
        models.promote(run.bundle_id, run.metrics, now=NOW)

    assert models.champion() is None


def test_promotion_of_what_is_not_registered_is_refused(models: Models, made: Maker):
    run = made(1)

    with pytest.raises(ObjectMissingError):
        models.promote(run.bundle_id, run.metrics, now=NOW)


def test_promotion_shows_in_mlflow_as_soon_as_somebody_looks(models: Models, made: Maker):
    run = made(1)
    models.register(run.folder, run.metrics)
    models.promote(run.bundle_id, run.metrics, now=NOW)

    assert [version.aliases for version in models.registry.list()] == [("champion",)]
    with models.registry.tracking.connected() as client:
        assert client.get_model_version_by_alias(models.registry.model, "champion").aliases == ["champion"]


def test_promotion_done_twice_changes_nothing_the_second_time(models: Models, made: Maker):
    run = made(1)
    models.register(run.folder, run.metrics)
    models.promote(run.bundle_id, run.metrics, now=NOW)
    document = models.store.read(models.registry.key).content

    models.promote(run.bundle_id, run.metrics, now=NOW)

    assert models.store.read(models.registry.key).content == document


def test_champion_whose_configuration_is_gone_is_a_clear_error(models: Models, made: Maker, runs: Path):
    run = made(1)
    models.register(run.folder, run.metrics)
    models.promote(run.bundle_id, run.metrics, now=NOW)
    (runs / "models" / models.key(run.bundle_id, "config.json")).unlink()

    with pytest.raises(StepError, match=r"config\.json, the champion's configuration, is missing or no JSON"):
        models.champion()


@pytest.mark.parametrize(("text", "error"), [("{", StepError), ('{"sede": 7}', ConfigError)])
def test_champion_whose_configuration_can_not_be_read_is_a_clear_error(
    models: Models, made: Maker, runs: Path, text: str, error: type[Exception]
):
    run = made(1)
    models.register(run.folder, run.metrics)
    models.promote(run.bundle_id, run.metrics, now=NOW)
    (runs / "models" / models.key(run.bundle_id, "config.json")).write_text(text, encoding="utf-8")

    with pytest.raises(error, match=r"config\.json"):
        models.champion()


def test_data_sets_have_champions_of_their_own(models: Models, made: Maker, runs: Path):
    run = made(1)
    models.register(run.folder, run.metrics)
    models.promote(run.bundle_id, run.metrics, now=NOW)

    assert Models.of("ml-1m", Settings(runs=runs), {}).champion() is None


def test_store_that_can_not_be_written_registers_nothing(models: Models, made: Maker, runs: Path):
    run = made(1)
    (runs / "models").mkdir()
    (runs / "models" / "bundles").write_text("a file where a folder must go", encoding="utf-8")

    with pytest.raises(ObjectStoreError):
        models.register(run.folder, run.metrics)

    assert models.registry.list() == []


def test_steps_register_and_roll_out_what_was_compared_with_the_champion(
    models: Models, made: Maker, task: Task
):
    first = made(1)
    register_model(first.folder, task=task)
    roll_out_model(first.bundle_id, first.folder, task=task)
    second = made(2, champion=first.bundle_id)
    registered = register_model(second.folder, task=task)

    where = roll_out_model(second.bundle_id, second.folder, task=task)

    champion = models.champion()
    assert champion is not None
    assert (champion.bundle_id, where) == (second.bundle_id, registered.source)


def test_step_does_not_roll_out_what_was_compared_with_nobody_while_somebody_reigns(made: Maker, task: Task):
    first, second = made(1), made(2)
    for run in (first, second):
        register_model(run.folder, task=task)
    roll_out_model(first.bundle_id, first.folder, task=task)

    with pytest.raises(PromotionRefusedError):
        roll_out_model(second.bundle_id, second.folder, task=task)
