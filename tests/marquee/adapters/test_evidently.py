"""Evidently's report where Evidently is, and what becomes of it where it is not or fails."""

import json
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from marquee.adapters import evidently as subject
from marquee.adapters.evidently import write_report
from marquee.monitoring import distances

ROOT = Path(__file__).parents[3]
END = datetime(2024, 6, 1, tzinfo=UTC)


def sample(n: int = 500, *, seed: int = 0, shift: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": rng.normal(35 + shift, 10, n),
            "genre": rng.choice(["Action", "Comedy", "Drama"], n, p=[0.5, 0.3, 0.2]),
        }
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> subject.DriftReport:
    """A report of two samples of which one is older, with a column that went null and one that is missing."""
    there = sample().with_columns(gender=pl.lit("F"), mood=pl.lit("fair"))
    here = sample(400, seed=1, shift=20).with_columns(gender=pl.lit(None, pl.String))
    return write_report(there, here, tmp_path_factory.mktemp("report"), window_end=END)


def test_report_shows_the_distances_that_the_verdict_is_made_of(drawn: subject.DriftReport):
    there, here = sample(), sample(400, seed=1, shift=20)
    counts = [each["genre"].value_counts().sort("genre")["count"].to_numpy() for each in (there, here)]

    assert drawn.fault == ""
    assert drawn.drift["age"] == pytest.approx(
        distances.wasserstein(there["age"].to_numpy(), here["age"].to_numpy()), abs=1e-12
    )
    assert drawn.drift["genre"] == pytest.approx(
        distances.jensen_shannon(*map(np.float64, counts)), abs=1e-12
    )


@pytest.mark.parametrize(
    ("method", "ours"), [("psi", distances.psi), ("jensenshannon", distances.jensen_shannon)]
)
def test_distance_of_categories_is_evidently_s(method: str, ours, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(subject, "CATEGORY_METHOD", method)
    there = pl.DataFrame({"genre": ["a"] * 50 + ["b"] * 30 + ["c"] * 20})
    here = pl.DataFrame({"genre": ["a"] * 10 + ["b"] * 60})

    found = write_report(there, here, tmp_path, window_end=END).drift["genre"]

    assert found == pytest.approx(ours(np.array([50.0, 30, 20]), np.array([10.0, 60, 0])), abs=1e-12)


def test_p_value_of_kolmogorov_and_smirnov_is_evidently_s(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(subject, "NUMBER_METHOD", "ks")
    there, here = sample(60), sample(50, seed=1, shift=3)

    found = write_report(there, here, tmp_path, window_end=END).drift["age"]

    ours = distances.kolmogorov_smirnov(there["age"].to_numpy(), here["age"].to_numpy())
    assert found == pytest.approx(ours, abs=1e-12)


def test_report_is_one_file_that_asks_no_other_host(drawn: subject.DriftReport):
    assert drawn.html is not None
    page = drawn.html.read_text(encoding="utf-8")

    assert drawn.html.stat().st_size > 1_000_000  # its scripts are inside
    assert '<script src="http' not in page
    assert '<link href="http' not in page


def test_report_as_json_names_method_and_threshold_of_each_column(drawn: subject.DriftReport):
    assert drawn.json is not None
    metrics = json.loads(drawn.json.read_text(encoding="utf-8"))["metrics"]

    named = {
        each["config"]["column"]: (each["config"]["method"], each["config"]["threshold"]) for each in metrics
    }
    assert named == {"age": ("wasserstein", 0.1), "genre": ("jensenshannon", 0.1)}


def test_report_that_evidently_fails_at_hands_its_traceback_on(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(subject, "NUMBER_METHOD", "no such method")

    found = write_report(sample(), sample(), tmp_path, window_end=END)

    assert found.html is None
    assert found.fault.startswith("Traceback")


def test_versions_of_the_lock_import_together():
    import evidently
    import pandas as pd

    locked = (ROOT / "requirements" / "monitoring.txt").read_text(encoding="utf-8")
    assert f"evidently=={evidently.__version__} " in locked
    assert f"pandas=={pd.__version__} " in locked


def test_lock_holds_pandas_below_the_release_that_evidently_fails_to_import_with():
    pins = dict(
        line.split()[0].split("==")
        for line in (ROOT / "requirements" / "monitoring.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    )

    pandas = next(version for name, version in pins.items() if name.split("[")[0] == "pandas")
    assert tuple(map(int, pandas.split(".")[:2])) < (3, 1)
    assert pins["evidently"] == "0.7.23"


def test_evidently_is_no_dependency_of_what_serves():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    serving = (ROOT / "requirements" / "serving.txt").read_text(encoding="utf-8")

    assert not [each for each in extras["dependencies"] if each.startswith("evidently")]
    assert "\nevidently==" not in serving


def test_columns_without_values_are_left_out_and_named(drawn: subject.DriftReport):
    assert drawn.left_out == ("gender: no value in the window", "mood: the window lacks it")
    assert "not in the report: gender: no value in the window" in drawn.notes


def test_text_where_a_number_was_is_left_out(tmp_path: Path):
    found = write_report(
        pl.DataFrame({"age": [1.0, 2.0]}), pl.DataFrame({"age": ["1", "2"]}), tmp_path, window_end=END
    )

    assert found.left_out == ("age: Float64 there, String here",)
    assert found.fault == "no column has values in both samples"


@pytest.mark.parametrize("empty", [sample(0), pl.DataFrame({"age": [float("nan")], "genre": [None]})])
def test_empty_window_has_no_report_and_says_so(empty: pl.DataFrame, tmp_path: Path):
    found = write_report(sample(), empty, tmp_path, window_end=END)

    assert found.html is None
    assert len(found.left_out) == 2


def test_report_without_evidently_says_what_to_install(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(subject, "is_available", lambda: False)

    found = write_report(sample(), sample(), tmp_path, window_end=END)

    assert found.html is None
    assert "marquee[monitoring]" in found.notes[-1]


def test_larger_sample_is_drawn_down_by_its_seed():
    large = pl.DataFrame({"age": np.arange(subject.MAX_ROWS + 10)})

    first, again, other = (subject._sampled(large, seed=seed)["age"] for seed in (1, 1, 2))

    assert len(first) == subject.MAX_ROWS
    assert first.equals(again)
    assert not first.equals(other)


def test_import_of_the_adapter_loads_neither_evidently_nor_pandas():
    program = "import sys, marquee.adapters.evidently as _; print({'evidently', 'pandas'} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert done.stdout.strip() == "set()"
