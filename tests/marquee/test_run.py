import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from marquee.errors import DataQualityError, MarqueeError
from marquee.run_folder import EVALUATED
from tests.small_run import RECIPE, UNREACHABLE_GATE, Place, recipe, run_process, write_dataset

METRICS_KEYS = {"dataset", "protocol", "k", "models", "gate", "seconds", "peak_rss_mb"}


class Recorder:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.finished: list[str] = []
        self.advances: list[tuple[float, float]] = []

    def begin(self, stage: str) -> None:
        self.begun.append(stage)

    def advance(self, done: float, total: float) -> None:
        self.advances.append((done, total))

    def finish(self, stage: str, seconds: float) -> None:
        self.finished.append(stage)


def strict_json(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{path} holds {constant}")

    return dict(json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse))


def test_run_leaves_metrics_of_the_promised_shape(trained: Place):
    metrics = strict_json(trained.latest / "metrics.json")

    assert metrics.keys() >= METRICS_KEYS
    assert (metrics["dataset"], metrics["protocol"], metrics["k"]) == ("folder", "temporal", 10)
    assert metrics["models"].keys() == {"two_stage", "union", "als", "popular"}
    for values in metrics["models"].values():
        assert values.keys() >= {"ndcg@10", "precision@12", "recall@100", "mrr@10"}
        assert all(isinstance(value, float) for value in values.values())
        assert "intra_list_diversity@1" not in values  # a list of one has none
    assert metrics["gate"]["passed"] is True
    assert all(seconds >= 0 for seconds in metrics["seconds"].values())
    assert metrics["seconds"].keys() >= {
        "fetch and ingest",
        "training set",
        "ranker",
        "evaluate",
        "write bundle",
    }
    assert metrics["memory_mb"].keys() == metrics["seconds"].keys()
    assert metrics["peak_rss_mb"] >= max(metrics["memory_mb"].values()) > 0
    assert (metrics["data"]["users"], metrics["data"]["items"]) == (75, 90)
    assert metrics["data"]["first_us"] < metrics["cut_us"] < metrics["data"]["last_us"]
    assert metrics["diagnosis"].keys() == {"best_route", "slices", "recall", "popularity", "ranker"}


def test_run_leaves_pointers_to_its_bundle(trained: Place):
    run = trained.latest.resolve()
    named = Path((run / "bundle.txt").read_text(encoding="utf-8").strip())

    assert named.is_absolute()
    assert named == run / "bundle"
    assert trained.finished_runs() == [run.name]
    assert trained.partial_runs() == []
    assert sorted(path.name for path in run.iterdir()) == [
        "bundle", "bundle.txt", "config.yaml", "evaluated", "metrics.json", "report.html",
    ]  # fmt: skip


def test_run_that_passes_the_gate_is_the_champion(trained: Place):
    assert (trained.runs / f"champion-{trained.storage}").resolve() == trained.latest.resolve()


def test_run_names_in_its_manifest_the_run_the_data_and_the_config(trained: Place):
    manifest = strict_json(trained.latest / "bundle" / "manifest.json")
    metrics = strict_json(trained.latest / "metrics.json")

    assert manifest["provenance"]["run_id"] == trained.latest.resolve().name
    assert manifest["content"]["snapshot"] == metrics["snapshot"]
    assert manifest["content"]["config"] == recipe().as_trained
    assert manifest["content"]["metrics"].items() <= metrics["models"]["two_stage"].items()


def test_run_in_another_process_with_another_thread_count_is_the_same_bundle(trained: Place, place: Place):
    threads = {"OMP_NUM_THREADS": "3", "POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

    outcome = run_process([*place.train_arguments, "--json"], at=place, environment=threads)

    assert outcome.json["bundle_id"] == trained.bundle_id()
    # The metrics, too: byte for byte the same numbers.
    assert outcome.json["models"] == strict_json(trained.latest / "metrics.json")["models"]


def test_run_on_rows_in_another_order_is_the_same_bundle(trained: Place, place: Place):
    write_dataset(place.root / "shuffled", shuffle_seed=3)

    summary = place.train(source="shuffled")

    assert summary.bundle_id == trained.bundle_id()


def test_run_with_another_seed_is_another_bundle(trained: Place, place: Place):
    assert place.train(recipe(seed=11)).bundle_id != trained.bundle_id()


def test_run_again_with_the_same_recipe_trains_no_champion(place: Place):
    first = place.train()
    recorder = Recorder()

    second = place.train(observer=recorder)

    assert second.bundle_id == first.bundle_id
    assert second.folder != first.folder
    assert "ranker" in recorder.begun
    assert not [stage for stage in recorder.begun if stage.startswith("champion")]


def test_run_with_another_recipe_is_compared_with_the_champion_that_was_measured(place: Place):
    first = place.train()
    recorder = Recorder()
    rival = recipe(ranker={"lightgbm": {"n_estimators": 3, "min_data_in_leaf": 10}})

    summary = place.train(rival, observer=recorder)

    # Of the same events: its bundle is there, and need not be trained again.
    assert [stage for stage in recorder.finished if stage.startswith("champion")] == []
    models = summary.metrics["models"]
    assert models["champion"]["ndcg@10"] == first.metrics["models"]["two_stage"]["ndcg@10"]
    assert "champion" in {check["name"].split()[0] for check in summary.metrics["gate"]["checks"]}


def test_run_whose_champion_s_bundle_is_gone_trains_its_recipe_again(place: Place):
    first = place.train()
    shutil.rmtree(next((place.runs / "models" / "bundles").glob(f"*/{first.bundle_id}/{EVALUATED}")))
    recorder = Recorder()

    summary = place.train(recipe(union={"depth": 5}), observer=recorder)

    assert [stage for stage in recorder.finished if stage.startswith("champion")] == [
        "champion: training set", "champion: ranker", "champion: candidates",
    ]  # fmt: skip
    assert "champion" in summary.metrics["models"]


def test_run_with_another_yardstick_is_not_another_recipe(place: Place):
    place.train()
    recorder = Recorder()

    place.train(recipe(evaluation={**RECIPE["evaluation"], "ks": [1, 5, 10, 12]}), observer=recorder)

    assert not [stage for stage in recorder.begun if stage.startswith("champion")]


def test_run_that_the_gate_refuses_leaves_the_champion_on_its_throne(place: Place):
    champion = place.train().folder

    refused = place.train(recipe(gate=UNREACHABLE_GATE)).folder

    assert (place.runs / f"champion-{place.storage}").resolve() == champion.resolve()
    assert place.latest.resolve() == refused.resolve()


def test_run_finishes_each_stage_that_it_begins(place: Place):
    recorder = Recorder()

    summary = place.train(observer=recorder)

    assert recorder.begun == recorder.finished
    assert set(recorder.begun) - {"register"} == set(summary.metrics["seconds"])  # which is registered, too
    assert all(0 <= done <= total or total == 0 for done, total in recorder.advances)


def test_run_that_fails_leaves_the_runs_folder_as_it_was(place: Place):
    before = place.train().folder

    with pytest.raises(MarqueeError):
        place.train(source="nowhere")

    assert place.finished_runs() == [before.name]
    assert place.partial_runs() == []
    assert place.latest.resolve() == before.resolve()


def test_run_on_a_feed_that_broke_stops_before_anything_learns(place: Place):
    place.train()
    before = place.finished_runs()
    users = place.root / "source" / "users.csv"
    pl.read_csv(users).with_columns(age=pl.lit(None, pl.String)).write_csv(users)

    with pytest.raises(DataQualityError, match="users: nulls of age = 1"):
        place.train()

    assert place.finished_runs() == before
