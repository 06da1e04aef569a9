"""Machine code of trees gives LightGBM's own bits, or is not used."""

import re
import subprocess
import sys

import lightgbm as lgb
import numpy as np
import pytest
from numpy.typing import NDArray

from marquee.ranking import compiled_trees
from marquee.ranking.averaged import AveragedRanker
from marquee.ranking.compiled_trees import CompiledTrees, compiled_like, probes
from marquee.ranking.lightgbm import ROWS_FOR_THREADS, LightGbmRanker
from marquee.ranking.lightgbm_trees import UnsupportedTreesError, read_trees
from marquee.ranking.one_route import OneRouteRanker

N_FEATURES = 7
KNOBS = {"objective": "regression", "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1}


def rows(n: int = 600, *, seed: int = 0, nan_share: float = 0.2) -> NDArray[np.float32]:
    """Numbers of many sizes: fractions, counts with many zeros, and unknown ones."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(n, N_FEATURES)) * 10.0 ** rng.integers(-3, 4, N_FEATURES)
    found[:, 1] = rng.poisson(0.7, n)
    found[rng.random(found.shape) < nan_share] = np.nan
    return found.astype(np.float32)


def fitted(features: NDArray[np.float32], n_rounds: int = 30, **knobs: object) -> LightGbmRanker:
    rng = np.random.default_rng(1)
    label = np.nansum(features[:, :3], axis=1) + rng.normal(size=len(features))
    data = lgb.Dataset(features, label, params={"verbosity": -1})
    return LightGbmRanker(lgb.train(KNOBS | knobs, data, n_rounds))


def compiled_of(text: str) -> CompiledTrees:
    return CompiledTrees.of(read_trees(text))


def predicted(ranker: LightGbmRanker, features: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(ranker.booster.predict(features, raw_score=True))


@pytest.mark.parametrize("nan_share", [0.0, 0.2, 0.9])
@pytest.mark.parametrize("num_leaves", [2, 31, 200])
def test_code_scores_to_the_bit_as_lightgbm(nan_share: float, num_leaves: int):
    ranker = fitted(rows(nan_share=nan_share), num_leaves=num_leaves)
    text = ranker.to_text()
    trees, read = compiled_of(text), read_trees(text)
    for asked in (rows(seed=5), rows(seed=6, nan_share=0.0), probes(read), probes(read, seed=1)):
        np.testing.assert_array_equal(trees.score(asked), predicted(ranker, asked))


def test_code_takes_what_is_almost_zero_for_zero_as_lightgbm_does():
    features = rows()
    features[:, 0] = np.where(features[:, 0] > 0, 1, 0)  # a threshold at 1e-35, between zero and the rest
    features[:300, 0] = -features[:300, 0]  # and one below zero
    ranker = fitted(features)
    asked = np.repeat(rows(1, nan_share=0), 9, axis=0)
    asked[:, 0] = [0.0, -0.0, 1e-36, -1e-36, 1e-35, -1e-35, 2e-35, -2e-35, 1e-45]
    np.testing.assert_array_equal(compiled_of(ranker.to_text()).score(asked), predicted(ranker, asked))


def test_code_of_trees_without_a_split_adds_their_only_leaves_up():
    ranker = fitted(rows(), n_rounds=3, min_data_in_leaf=10_000)
    np.testing.assert_array_equal(compiled_of(ranker.to_text()).score(rows(4)), predicted(ranker, rows(4)))


def test_code_scores_rows_in_any_layout_and_none():
    ranker = fitted(rows())
    trees, asked = compiled_of(ranker.to_text()), rows(50, seed=2)
    wide = np.zeros((50, 2 * N_FEATURES), np.float32)
    wide[:, ::2] = asked
    for layout in (np.asfortranarray(asked), wide[:, ::2], asked.astype(np.float64)):
        np.testing.assert_array_equal(trees.score(layout), predicted(ranker, asked))
    assert trees.score(asked[:0]).shape == (0,)


def test_code_refuses_rows_of_another_width():
    trees = compiled_of(fitted(rows()).to_text())
    with pytest.raises(ValueError, match=r"read 7 features, not rows of \(600, 6\)"):
        trees.score(rows()[:, :6])


def with_categories() -> LightGbmRanker:
    features = np.nan_to_num(rows(3_000))
    features[:, 2] = np.arange(len(features)) % 9
    knobs = KNOBS | {"min_data_per_group": 1, "cat_smooth": 0, "max_cat_to_onehot": 1}
    data = lgb.Dataset(features, features[:, 2] % 4, categorical_feature=[2], params={"verbosity": -1})
    return LightGbmRanker(lgb.train(knobs, data, 5))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (with_categories, "categorical"),
        (lambda: fitted(np.nan_to_num(rows()), linear_tree=True), "linear"),
        (lambda: fitted(rows(), zero_as_missing=True), "of kind"),
        (lambda: fitted(rows(), boosting="rf", bagging_freq=1, bagging_fraction=0.5), "mean of trees"),
    ],
)
def test_trees_that_only_lightgbm_can_score_are_left_to_it(make, what: str):
    ranker = make()
    with pytest.raises(UnsupportedTreesError, match=what):
        compiled_of(ranker.to_text())
    kept = ranker.compiled()
    assert kept.trees is None
    np.testing.assert_array_equal(kept.score(rows(9)), predicted(ranker, rows(9)))


def damaged(text: str, name: str, change) -> str:
    """The text with the first list of this name changed."""
    found = re.search(rf"^{name}=(.*)$", text, re.MULTILINE)
    assert found is not None
    return text[: found.start(1)] + change(found.group(1)) + text[found.end(1) :]


def instead(word: str, at: int = 0):
    """Puts another word in this place of a list."""

    def change(words: str) -> str:
        parts = words.split()
        parts[at] = word
        return " ".join(parts)

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("split_feature", instead("7")),  # the code would read beyond the row
        ("split_feature", instead("-1")),
        ("left_child", instead("0")),  # and here run for ever
        ("left_child", instead("99")),
        ("right_child", instead("-99")),
        ("right_child", instead("one")),
        ("threshold", instead("nan")),
        ("leaf_value", instead("inf")),
        ("leaf_value", lambda words: words.rsplit(" ", 1)[0]),
        ("decision_type", lambda words: words + " 2"),
        ("num_leaves", lambda _: "1000"),
        ("max_feature_idx", lambda _: "many"),
        ("num_tree_per_iteration", lambda _: "3"),
    ],
)
def test_damaged_text_is_refused_before_it_becomes_code(name: str, change):
    text = damaged(fitted(rows()).to_text(), name, change)
    with pytest.raises(UnsupportedTreesError):
        compiled_of(text)


def test_text_of_something_else_is_refused():
    with pytest.raises(UnsupportedTreesError, match="no tree of LightGBM"):
        compiled_of("[]")


def test_code_that_scores_otherwise_is_not_used():
    ranker = fitted(rows())
    assert compiled_like(ranker.to_text(), ranker.score) is not None
    assert compiled_like(ranker.to_text(), lambda asked: np.nextafter(ranker.score(asked), np.inf)) is None


def test_ranker_without_a_compiler_stays_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiled_trees, "can_compile", lambda: False)
    assert fitted(rows()).compiled().trees is None


def test_compiled_ranker_leaves_many_rows_to_lightgbm_and_its_threads():
    ranker = fitted(rows()).compiled()
    assert ranker.trees is not None
    many = rows(ROWS_FOR_THREADS)
    np.testing.assert_array_equal(ranker.score(many), ranker.trees.score(many))


def test_compiled_average_scores_as_before():
    trees = fitted(rows())
    route = OneRouteRanker("ease", tuple(f"{name}_score" for name in ("ease", *"abcdef")))
    average = AveragedRanker((trees, route), (2.0, 3.0))
    compiled = average.compiled()
    assert isinstance(compiled.parts[0], LightGbmRanker)
    assert compiled.parts[0].trees is not None
    np.testing.assert_array_equal(compiled.score(rows(40)), average.score(rows(40)))


def test_code_that_nobody_needs_any_more_is_freed_in_any_order():
    """In a process of its own: freed in the wrong order it would take all tests with it."""
    script = """
import gc, sys
from marquee.ranking.compiled_trees import CompiledTrees
from marquee.ranking.lightgbm_trees import read_trees
text = sys.stdin.read()
for _ in range(20):
    knot = [CompiledTrees.of(read_trees(text))]
    knot.append(knot)
    del knot
    gc.collect()
print("alive")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=fitted(rows()).to_text(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
