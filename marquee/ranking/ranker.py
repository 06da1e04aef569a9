"""What a ranker is: fitted on grouped rows, then asked to score rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Rows of (query, candidate) pairs, grouped by query."""

    features: NDArray[np.float32]  # (n_rows, n_features)
    labels: NDArray[np.int8]  # (n_rows,) 1 where the user went on to consume the item
    group_sizes: NDArray[np.int32]  # (n_queries,) rows of each query, in order
    feature_names: tuple[str, ...]


@runtime_checkable
class Ranker(Protocol):
    """A fitted second-stage model."""

    name: ClassVar[str]

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score rows `(n_rows, n_features)` to `(n_rows,)`; higher is better within one query."""
        ...

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each feature adds to the scores of rows, `(n_rows, n_features + 1)`.

        The last column is the score that is expected before any feature is known. A row sums to its
        score, but for rounding.
        """
        ...

    def to_text(self) -> str:
        """The model in its library's own text format; `from_text` of it scores alike."""
        ...

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Rebuild a ranker from its text.

        Raises:
            BundleError: the text is none of this ranker.
        """
        ...

    def importance(self) -> dict[str, float]:
        """Total gain per feature name."""
        ...


@runtime_checkable
class BoostedRanker(Ranker, Protocol):
    """A ranker that grows round by round."""

    def score_rounds(self, features: NDArray[np.float32], first: int, last: int) -> NDArray[np.float64]:
        """What the rounds from `first` (from 0) up to, without, `last` add to the scores, `(n_rows,)`."""
        ...


@runtime_checkable
class CompilableRanker(Ranker, Protocol):
    """A ranker that can be made faster at the price of a start that takes longer."""

    def compiled(self) -> Self:
        """The same ranker as machine code, where that can be had; it scores to the bit alike."""
        ...


OnRound = Callable[[int, BoostedRanker], None]
"""Hears the number of finished rounds and the ranker so far; what it raises ends the fit."""


def ignore_round(_done: int, _ranker: BoostedRanker) -> None:
    """Listen to no round."""
