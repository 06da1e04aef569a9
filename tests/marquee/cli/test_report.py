import json
import shutil
from pathlib import Path

import pytest

from tests.small_run import Place, Shell, run_here


@pytest.fixture
def copied(trained: Place, tmp_path: Path) -> Place:
    """A place with a copy of the finished run's measurements, to be written to."""
    run = tmp_path / "runs" / "some-run"
    run.mkdir(parents=True)
    shutil.copy(trained.latest / "metrics.json", run)
    (tmp_path / "runs" / "latest").symlink_to("some-run")
    return Place(tmp_path)


def test_train_leaves_the_page_of_its_metrics(trained: Place, copied: Place):
    page = (trained.latest / "report.html").read_text(encoding="utf-8")
    name = trained.latest.resolve().name
    (copied.runs / "some-run").rename(copied.runs / name)

    assert run_here("report", name, at=copied).code == 0

    assert (copied.runs / name / "report.html").read_text(encoding="utf-8") == page


def test_report_of_the_latest_run_names_every_model(copied: Place):
    outcome = run_here("report", at=copied)

    assert outcome.code == 0, outcome
    assert str(copied.runs / "some-run" / "report.html") in outcome.out
    page = (copied.latest / "report.html").read_text(encoding="utf-8")
    metrics = json.loads((copied.latest / "metrics.json").read_text(encoding="utf-8"))
    for model, means in metrics["models"].items():
        assert f">{model}<" in page
        assert f"{means['ndcg@10']:.4f}" in page
    assert "left out" not in page


def test_report_elsewhere_as_json_says_where(copied: Place):
    to = copied.root / "pages" / "page.html"

    found = run_here("report", copied.runs / "some-run", "--out", to, "--json", at=copied).json

    assert found == {
        "page": str(to),
        "run": str(copied.runs / "some-run"),
        "bytes": to.stat().st_size,
        "study": None,
    }
    assert not (copied.runs / "some-run" / "report.html").exists()


def test_report_without_a_run_is_one_clear_error(tmp_path: Path):
    run_here("report", at=Place(tmp_path)).require_error("no finished run")


def test_report_of_another_folder_is_one_clear_error(copied: Place, tmp_path: Path):
    run_here("report", tmp_path, at=copied).require_error(str(tmp_path), "metrics.json")


@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_report_of_torn_metrics_is_one_clear_error(copied: Place, content: str):
    (copied.latest / "metrics.json").write_text(content)

    run_here("report", at=copied).require_error("metrics.json")


def test_report_into_a_folder_is_one_clear_error(copied: Place):
    run_here("report", "--out", copied.root, at=copied).require_error("is a folder")


def test_report_under_a_file_is_one_clear_error(copied: Place):
    (copied.root / "file").touch()

    run_here("report", "--out", copied.root / "file" / "page.html", at=copied).require_error(
        "can't be written"
    )


@pytest.mark.parametrize("as_folder", [True, False])
def test_report_of_a_study_that_is_none_is_one_clear_error(copied: Place, as_folder: bool):
    (copied.root / "study.db").write_bytes(b"no database")
    given = copied.root if as_folder else copied.root / "study.db"

    run_here("report", "--study", given, at=copied).require_error("study.db")


def test_report_with_a_study_shows_its_pictures(copied: Place, tmp_path: Path):
    from tests.marquee.ranking.test_search import run

    run(tmp_path / "searched" / "study.db")

    assert run_here("report", "--study", tmp_path / "searched", at=copied).code == 0
    assert "6 trials" in (copied.latest / "report.html").read_text(encoding="utf-8")


def test_report_help_answers(shell: Shell):
    assert "--study" in shell("report", "--help").out
