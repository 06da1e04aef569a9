"""What a request and the profile behind it forbid: the one way to put a limit on lists."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from marquee import schema


@dataclass(frozen=True, eq=False)
class Restrictions:
    """What may not be shown to each query, beyond what it has seen."""

    maturity_limits: NDArray[np.float32] | None = None  # (n_queries,) years, NaN for unlimited
    excluded: Sequence[NDArray[np.integer]] | None = None  # item indexes per query

    @classmethod
    def of_request(
        cls,
        profile: Mapping[str, Any],
        *,
        maturity_limit: float | None,
        excluded: NDArray[np.integer] | None = None,
    ) -> Self:
        """Those of one query: the stricter of the profile's limit and the request's.

        Args:
            profile: a row of the user_profile view; what is missing or None is unknown.
            maturity_limit: of the request, in years; None where it gives none.
            excluded: item indexes that are not wanted.
        """
        limit = strictest(profile.get(schema.USER_MATURITY_LIMIT), maturity_limit)
        limits = None if limit is None else np.array([limit], np.float32)
        return cls(limits, None if excluded is None else [excluded])

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is forbidden."""
        return self.maturity_limits is None and self.excluded is None

    def block(self, rows: slice) -> "Restrictions":
        """The restrictions of a slice of the queries."""
        return Restrictions(
            None if self.maturity_limits is None else self.maturity_limits[rows],
            None if self.excluded is None else self.excluded[rows],
        )


UNRESTRICTED: Final = Restrictions()
"""Nobody is limited, nothing is excluded."""


def strictest(*limits: float | None) -> float | None:
    """The lowest of the limits in years that are known; None, or NaN, is no limit."""
    known = [float(limit) for limit in limits if limit is not None and not math.isnan(limit)]
    return min(known, default=None)
