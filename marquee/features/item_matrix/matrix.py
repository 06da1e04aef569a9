"""The matrix itself: one row per movie, one column per numeric feature, as of a moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marquee import schema
from marquee.data.interactions import Vocabulary
from marquee.errors import ContractError, FeatureStoreError
from marquee.features.reader import SERVICE

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class ItemMatrix:
    """One version, immutable: its arrays refuse to be written to."""

    items: Vocabulary
    matrix: NDArray[np.float32]  # (n_items, n_columns), aligned with `items`; NaN where nothing is known
    columns: tuple[str, ...]
    service: str
    """The feature service that the columns are of."""
    as_of_us: int
    """What was known at this moment, UTC microseconds."""
    written_at_us: int
    """When it was exported, UTC microseconds."""
    version: str
    """Hash of all that the matrix is, the moment too, but not of when it was written."""

    def __len__(self) -> int:
        return len(self.items)

    def lookup(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Rows by id, in the order asked, `(len(ids), n_columns) float32`; an unknown id is a row of NaN."""
        return self.take(np.fromiter(map(self.items.index_of, ids), np.int32, len(ids)))

    def take(self, item_index: NDArray[np.integer]) -> NDArray[np.float32]:
        """Rows by dense index, `(n, n_columns) float32`, a copy; `UNKNOWN_INDEX` is a row of NaN.

        Raises:
            IndexError: an index is of no item.
        """
        rows = self.matrix.take(item_index, axis=0)
        rows[np.asarray(item_index) < 0] = np.nan  # numpy counts those from the end
        return rows

    def age_seconds(self, now: datetime) -> float:
        """Seconds from the moment that the matrix is of to `now`."""
        return (microseconds(now) - self.as_of_us) / 1_000_000


def item_views(service: str) -> tuple[str, ...]:
    """The movie views of a feature service.

    Raises:
        FeatureStoreError: there is no such service, or it has no movie view.
    """
    parts = schema.FEATURE_SERVICES.get(service, {})
    views = tuple(view for view in parts if schema.VIEW_KEYS[view] == schema.ITEM_ID)
    if not views:
        raise FeatureStoreError(
            f"service {service!r} has no movie features.", remedy=f"Export one that has, as {SERVICE}."
        )
    return views


def item_columns(service: str) -> tuple[str, ...]:
    """Names of the matrix's columns: the numeric features of the movie views, in the order of the schema.

    Raises:
        FeatureStoreError: as `item_views`.
    """
    return tuple(
        name
        for view in item_views(service)
        for name in schema.FEATURE_SERVICES[service][view]
        if schema.FEATURE_VIEWS[view][name].is_numeric()
    )


def microseconds(moment: datetime) -> int:
    """UTC microseconds since 1970-01-01, exact.

    Raises:
        ContractError: the moment has no zone.
    """
    if moment.tzinfo is None:
        raise ContractError(f"the time {moment} has no zone.", remedy="Give one with a zone, such as UTC.")
    return (moment - _EPOCH) // timedelta(microseconds=1)
