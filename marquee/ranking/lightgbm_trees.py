"""The trees of a LightGBM model, read from its text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

_CATEGORICAL, _DEFAULT_LEFT = 1, 2  # bits of a decision type; the two above them say what is missing
_NOTHING_MISSING, _NAN_MISSING = 0, 2
_ZERO: Final = np.float32(1e-35)
"""LightGBM reads a number that is no larger as 0."""


class UnsupportedTreesError(ValueError):
    """The text holds something that only LightGBM itself can score, or no trees at all."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Splits and leaves; a child that is below zero is the leaf `~child`, the root is split 0."""

    feature: Sequence[int]
    threshold: Sequence[np.float32]
    """A row goes left where its number is not above it: as LightGBM compares, which has 64 bits and rounds
    to 0 what hardly differs from it."""
    nan_goes_left: Sequence[bool]
    left: Sequence[int]
    right: Sequence[int]
    leaf: Sequence[float]


@dataclass(frozen=True, slots=True)
class Trees:
    """All trees of a model in order, and how many features a row has."""

    trees: Sequence[Tree]
    n_features: int

    def thresholds(self) -> list[list[np.float32]]:
        """What each feature is compared with, in any order."""
        found: list[list[np.float32]] = [[] for _ in range(self.n_features)]
        for tree in self.trees:
            for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
                found[feature].append(threshold)
        return found


def read_trees(text: str) -> Trees:
    """Read a model in LightGBM's own text format.

    Raises:
        UnsupportedTreesError: several scores a row, averaged or linear trees, categorical splits, zeros that
            stand for missing, or a text that is damaged. What is read is safe to turn into code: each split
            is reached from one other and reads a feature that exists.
    """
    head, *blocks = text.split("\nTree=")
    try:
        header = _fields(head)
        if header["num_tree_per_iteration"] != "1" or "average_output" in head.splitlines():
            raise UnsupportedTreesError("a row has several scores, or the mean of trees")
        n_features = int(header["max_feature_idx"]) + 1
        return Trees([_tree(_fields(block.split("\n\n")[0]), n_features) for block in blocks], n_features)
    except (KeyError, IndexError, ValueError, OverflowError) as error:
        if isinstance(error, UnsupportedTreesError):
            raise
        raise UnsupportedTreesError(f"no tree of LightGBM: {error!r}") from error


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _tree(fields: Mapping[str, str], n_features: int) -> Tree:
    if fields["num_cat"] != "0" or fields.get("is_linear", "0") != "0":
        raise UnsupportedTreesError("a tree has categorical splits or linear leaves")
    n_leaves = int(fields["num_leaves"])
    leaf = [float(word) for word in fields["leaf_value"].split()]
    if n_leaves == 1:
        return Tree((), (), (), (), (), leaf[:1])
    feature, kind, left, right = (
        [int(word) for word in fields[name].split()]
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    )
    threshold = [float(word) for word in fields["threshold"].split()]
    _require_a_tree(left, right, n_leaves)
    if not {len(feature), len(kind), len(threshold), len(leaf) - 1} == {n_leaves - 1}:
        raise UnsupportedTreesError("the lengths of a tree's columns differ")
    if not all(0 <= each < n_features for each in feature):
        raise UnsupportedTreesError(f"a split reads a feature beyond the {n_features} that a row has")
    if not np.isfinite(leaf).all() or np.isnan(threshold).any():
        raise UnsupportedTreesError("a leaf or a threshold is no number")
    nan_goes_left = [_nan_goes_left(*split) for split in zip(kind, threshold, strict=True)]
    return Tree(feature, [_as_float32(each) for each in threshold], nan_goes_left, left, right, leaf)


def _require_a_tree(left: Sequence[int], right: Sequence[int], n_leaves: int) -> None:
    """Each split but the root, and each leaf, is the child of exactly one split, and later than that one."""
    children = sorted([*left, *right])
    if children != [*range(-n_leaves, 0), *range(1, n_leaves - 1)]:
        raise UnsupportedTreesError("the splits of a tree do not hang together")
    if any(0 <= child <= at for side in (left, right) for at, child in enumerate(side)):
        raise UnsupportedTreesError("the splits of a tree go round")


def _nan_goes_left(kind: int, threshold: float) -> bool:
    missing = kind >> 2
    if kind & _CATEGORICAL or missing not in {_NOTHING_MISSING, _NAN_MISSING}:
        raise UnsupportedTreesError(f"a split is of kind {kind}")
    # Where training met no NaN, LightGBM reads one as 0.
    return bool(kind & _DEFAULT_LEFT) if missing == _NAN_MISSING else threshold >= 0


def _as_float32(threshold: float) -> np.float32:
    """The largest number of 32 bits that goes left."""
    if 0 <= threshold < float(_ZERO):
        return _ZERO
    if -float(_ZERO) <= threshold < 0:
        return np.float32(np.nextafter(-_ZERO, np.float32(-np.inf)))
    with np.errstate(over="ignore"):
        near = np.float32(threshold)
    return near if float(near) <= threshold else np.float32(np.nextafter(near, np.float32(-np.inf)))
