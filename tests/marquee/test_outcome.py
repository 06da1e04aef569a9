import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from marquee.assessment import TWO_STAGE
from marquee.bundle import read_manifest, verify_bundle
from marquee.data.dataset import Dataset
from marquee.errors import BundleError
from marquee.outcome import LIBRARIES, provenance_of, run_metrics, write_bundles
from marquee.training import TrainingResult
from tests.factories import quick_config, taste_groups, trained

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return taste_groups()


@pytest.fixture(scope="module")
def result(dataset: Dataset) -> TrainingResult:
    """Tests only read it."""
    return trained(dataset)


def write(folder: Path, result: TrainingResult, dataset: Dataset, **given: Any) -> str:
    known: dict[str, Any] = {"features": {"state": "s"}, "provenance": {"run_id": "run-1"}, **given}
    config = known.pop("config", quick_config())
    return write_bundles(folder, result, dataset, config, **known)


def test_bundles_are_whole_and_the_id_is_of_the_one_to_serve(
    result: TrainingResult, dataset: Dataset, tmp_path: Path
):
    bundle_id = write(tmp_path, result, dataset)

    served, measured = (verify_bundle(tmp_path / kind) for kind in ("bundle", "evaluated"))
    assert bundle_id == served.bundle_id != measured.bundle_id
    assert served.content["learned_until_us"] == int(dataset.interactions.timestamp_us[-1])
    assert measured.content["learned_until_us"] == result.split.cut_us < served.content["learned_until_us"]
    assert served.content["features"] == {"state": "s"}


def test_bundle_s_id_does_not_depend_on_when_and_where_it_was_made(
    result: TrainingResult, dataset: Dataset, tmp_path: Path
):
    one = write(tmp_path / "one", result, dataset)
    other = write(tmp_path / "other", result, dataset, provenance={"run_id": "run-2"})

    assert one == other


@pytest.mark.parametrize("given", [{"config": quick_config(seed=5)}, {"features": {"state": "t"}}])
def test_bundle_s_id_depends_on_configuration_and_state(
    given: dict[str, Any], result: TrainingResult, dataset: Dataset, tmp_path: Path
):
    one = write(tmp_path / "one", result, dataset)
    other = write(tmp_path / "other", result, dataset, **given)

    assert one != other


def test_bundle_s_metrics_leave_out_what_is_no_number(
    result: TrainingResult, dataset: Dataset, tmp_path: Path
):
    means = result.assessment.evaluation.means
    evaluation = replace(
        result.assessment.evaluation, means={**means, TWO_STAGE: {"ndcg@10": 0.5, "mrr@10": math.nan}}
    )
    unknown = replace(result, assessment=replace(result.assessment, evaluation=evaluation))

    write(tmp_path, unknown, dataset)

    assert read_manifest(tmp_path / "bundle").content["metrics"] == {"ndcg@10": 0.5}


def test_bundles_are_not_written_over_others(result: TrainingResult, dataset: Dataset, tmp_path: Path):
    write(tmp_path, result, dataset)

    with pytest.raises(BundleError):
        write(tmp_path, result, dataset)


def test_metrics_of_a_run_are_json_with_stages_in_the_order_in_which_they_ended(
    result: TrainingResult, dataset: Dataset
):
    metrics = run_metrics(
        dataset,
        quick_config(seed=5),
        result,
        seconds={"ranker": 2.00049, "split": 1.0},
        memory_mb={"split": 10.0, "ranker": 20.0},
    )

    assert list(metrics["seconds"].items()) == [("split", 1.0), ("ranker", 2.0)]
    assert metrics["seed"] == 5
    assert metrics["data"] == {
        "users": 75,
        "items": 90,
        "events": 75 * 30,
        "first_us": int(dataset.interactions.timestamp_us[0]),
        "last_us": int(dataset.interactions.timestamp_us[-1]),
    }
    json.dumps(metrics, allow_nan=False)


def test_provenance_says_when_by_what_and_of_which_commit():
    found = provenance_of("run-1", "ml-100k", now=NOW)

    assert found["created_at"] == "2026-01-02T03:04:05+00:00"
    assert (found["run_id"], found["warehouse"]) == ("run-1", "ml-100k")
    assert set(found["libraries"]) == set(LIBRARIES)
    assert all(re.match(r"\d+\.", version) for version in found["libraries"].values())
    assert found["git_commit"] is None or re.fullmatch("[0-9a-f]{40}", found["git_commit"])
