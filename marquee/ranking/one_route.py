"""A second stage that adds nothing: the order of one route."""

import json
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from marquee.errors import BundleError

_SCORE: Final = "_score"
_LOWEST: Final = float(np.finfo(np.float32).min)
"""Stands below every score of a route."""


@dataclass(frozen=True, eq=False)
class OneRouteRanker:
    """The order of one route: what a second stage falls back to where it can't add anything."""

    name: ClassVar[str] = "one_route"
    route: str
    feature_names: tuple[str, ...]

    @property
    def _column(self) -> int:
        return self.feature_names.index(f"{self.route}{_SCORE}")

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The route's own score; what it knows nothing of comes last."""
        column = features[:, self._column].astype(np.float64)
        return np.where(np.isfinite(column), column, _LOWEST)

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The score in the column of the route, `(n_rows, n_features + 1) float64`."""
        found = np.zeros((len(features), features.shape[1] + 1))
        found[:, self._column] = self.score(features)
        return found

    def to_text(self) -> str:
        """JSON."""
        return json.dumps({"route": self.route, "feature_names": self.feature_names})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `to_text`.

        Raises:
            BundleError: the text is none of it.
        """
        try:
            values = json.loads(text)
            return cls(values["route"], tuple(values["feature_names"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"the ranker is no single route: {error}.", remedy="Train the bundle again."
            ) from error

    def importance(self) -> dict[str, float]:
        """1 for the route's score, 0 for all else."""
        return {name: float(name == f"{self.route}_score") for name in self.feature_names}
