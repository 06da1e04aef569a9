import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "check_run.py"
METRICS: dict[str, Any] = {
    "dataset": "ml-100k",
    "protocol": "temporal",
    "k": 12,
    "models": {"two_stage": {"ndcg_at_10": 0.4}, "popular": {"ndcg_at_10": 0.2}},
    "gate": {"passed": True},
    "seconds": {"train": 1.5},
    "peak_rss_mb": 900,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run as it should be, to be spoilt."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text(json.dumps({"bundle_id": "b1946ac9"}))
    (tmp_path / "bundle.txt").write_text(f"{bundle}\n")
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    return tmp_path


def check(run: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(run)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_run_as_promised_prints_the_bundle_id(run: Path):
    result = check(run)

    assert (result.returncode, result.stdout, result.stderr) == (0, "b1946ac9\n", "")


@pytest.mark.parametrize("key", METRICS)
def test_run_whose_metrics_lack_a_key_is_refused_by_name(run: Path, key: str):
    metrics = {name: value for name, value in METRICS.items() if name != key}
    (run / "metrics.json").write_text(json.dumps(metrics))

    result = check(run)

    assert result.returncode == 1
    assert f"key {key!r} is missing" in result.stderr


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "0.4"])
def test_run_with_metric_that_is_no_number_is_refused(run: Path, value: object):
    models = {**METRICS["models"], "popular": {"ndcg_at_10": value}}
    (run / "metrics.json").write_text(json.dumps({**METRICS, "models": models}))

    result = check(run)

    assert result.returncode == 1
    assert "models.popular.ndcg_at_10" in result.stderr


@pytest.mark.parametrize("file", ["metrics.json", "bundle.txt", "bundle/manifest.json"])
def test_run_lacking_a_file_is_refused_by_name(run: Path, file: str):
    (run / file).unlink()

    result = check(run)

    assert result.returncode == 1
    assert Path(file).name in result.stderr
