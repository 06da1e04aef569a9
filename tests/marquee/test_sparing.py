"""A library that is imported in the block does without the others; everybody else has them as ever."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from marquee.sparing import without


def said_by(program: str) -> object:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", f"import json, sys\n{program}"]
    return json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)


def test_hidden_package_is_not_found_in_the_block_and_found_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a_package_of_this_test.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    with without("a_package_of_this_test"), pytest.raises(ImportError):
        import a_package_of_this_test

    import a_package_of_this_test  # noqa: F401


def test_loaded_package_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "a_package_that_is_loaded", json)

    with without("a_package_that_is_loaded"):
        import a_package_that_is_loaded

    assert a_package_that_is_loaded is json
    assert sys.modules["a_package_that_is_loaded"] is json


def test_hidden_package_is_found_after_a_block_that_failed():
    with pytest.raises(ZeroDivisionError), without("a_package_of_nobody"):
        raise ZeroDivisionError

    assert "a_package_of_nobody" not in sys.modules


def test_contract_is_imported_without_sqlalchemy():
    assert said_by("import marquee.data.contract\nprint(json.dumps('sqlalchemy' in sys.modules))") is False


def test_lightgbm_alone_fits_the_trees_that_it_fits_with_pandas():
    fit = (
        "import numpy as np\n"
        "from marquee.ranking.lightgbm import LightGbmConfig, LightGbmRanker\n"
        "from marquee.ranking.ranker import TrainingSet\n"
        "rng = np.random.default_rng(3)\n"
        "rows = rng.random((40, 2), dtype=np.float32)\n"
        "labels = (rows[:, 0] > 0.5).astype(np.int32)\n"
        "training = TrainingSet(rows, labels, np.full(4, 10, np.int32), ('a', 'b'))\n"
        "config = LightGbmConfig(n_estimators=2, min_data_in_leaf=2)\n"
        "text = LightGbmRanker.fit(training, config, seed=5).to_text()\n"
        "print(json.dumps([text, 'pandas' in sys.modules]))"
    )
    alone = "from marquee.ranking.lightgbm_alone import import_lightgbm_alone\nimport_lightgbm_alone()\n"

    (text, has_pandas), (expected, has_pandas_by_default) = said_by(alone + fit), said_by(fit)  # type: ignore[misc]

    assert (has_pandas, has_pandas_by_default) == (False, True)
    assert "num_leaves=" in text
    assert text == expected
