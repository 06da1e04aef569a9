"""Interactions in memory: ids as dense indexes, aligned arrays in time order.

`Interactions` is what every model learns from, `Histories` what every model is asked with: the
events of one user up to a moment. Both are plain arrays, so that routes, features and metrics stay
vectorised.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema

UNKNOWN_INDEX = -1
"""The index of an id that no vocabulary holds."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Sorted unique ids; the position of an id is its dense index."""

    ids: pl.Series

    @classmethod
    def of(cls, ids: pl.Series | Iterable[str]) -> Self:
        """Build from ids in any order, with repeats; nulls are dropped."""
        series = ids if isinstance(ids, pl.Series) else pl.Series(list(ids), dtype=pl.String)
        return cls(series.cast(pl.String).drop_nulls().unique().sort().rename("id"))

    def __len__(self) -> int:
        return self._length

    @cached_property
    def _length(self) -> int:
        return len(self.ids)  # through several layers of polars, and each list asks it a few times

    @cached_property
    def _index_by_id(self) -> dict[str, int]:
        return {value: index for index, value in enumerate(self.ids)}

    def index_of(self, id_: str) -> int:
        """The dense index of one id, `UNKNOWN_INDEX` where it is not held."""
        return self._index_by_id.get(id_, UNKNOWN_INDEX)

    def indexes_of(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """As `encode`, in less time for the few hundred ids of one history."""
        return np.fromiter(map(self._index_by_id.get, ids, repeat(UNKNOWN_INDEX)), np.int32, len(ids))

    def encode(self, ids: pl.Series | Sequence[str]) -> NDArray[np.int32]:
        """Dense indexes `(n,) int32` of ids, `UNKNOWN_INDEX` where an id is not held."""
        wanted = pl.Series("id", ids, dtype=pl.String).to_frame()
        table = self.ids.to_frame("id").with_row_index("index")
        joined = wanted.join(table, on="id", how="left", maintain_order="left")
        return joined["index"].cast(pl.Int32).fill_null(UNKNOWN_INDEX).to_numpy().copy()

    def decode(self, indexes: NDArray[np.integer]) -> list[str]:
        """The ids at `indexes`, in order.

        Raises:
            IndexError: an index is `UNKNOWN_INDEX` or too high; take the padding off lists first.
        """
        wanted = np.asarray(indexes, dtype=np.int64)
        if (wanted < 0).any():  # polars would count from the end
            raise IndexError(f"index {wanted.min()} is of no id")
        return self.ids.gather(pl.Series(wanted)).to_list()


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of different length: row `i` is `values[offsets[i]:offsets[i + 1]]`."""

    offsets: NDArray[np.int64]
    values: NDArray[np.int32]

    @classmethod
    def of(cls, rows: Iterable[Sequence[int] | NDArray[np.integer]]) -> Self:
        """Build from one sequence a row."""
        arrays = [np.asarray(row, dtype=np.int32) for row in rows]
        lengths = [len(row) for row in arrays]
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        return cls(offsets, np.concatenate([np.empty(0, np.int32), *arrays]).astype(np.int32))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each row, `(n_rows,) int64`."""
        return np.diff(self.offsets)

    @property
    def row_of_value(self) -> NDArray[np.int64]:
        """The row that each value belongs to, `(n_values,) int64`."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def holds(self, row: NDArray[np.integer], value: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether each (row, value) pair, of values from 0, is there, `(n_pairs,) bool`."""
        width = 1 + int(max(value.max(initial=0), self.values.max(initial=0)))
        here = self.row_of_value * width + self.values
        found: NDArray[np.bool_] = np.isin(np.asarray(row, np.int64) * width + value, here)
        return found


@dataclass(frozen=True, eq=False)
class Interactions:
    """Events as aligned arrays, oldest first.

    Events that share a timestamp stand in no meaningful order: whoever cuts a sequence must cut
    where the timestamp changes (`marquee.data.splits` does).
    """

    user_index: NDArray[np.int32]
    item_index: NDArray[np.int32]
    timestamp_us: NDArray[np.int64]
    value: NDArray[np.float32]  # NaN where the event has none
    type_code: NDArray[np.uint8]  # position in schema.INTERACTION_TYPES
    users: Vocabulary
    items: Vocabulary

    @classmethod
    def from_table(
        cls, table: pl.DataFrame, *, users: Vocabulary | None = None, items: Vocabulary | None = None
    ) -> Self:
        """Index a table of the contract; vocabularies default to the ids that occur in it.

        Rows are ordered by time and, within one microsecond, by the content of the event, so that
        the order of input rows does not matter. Rows whose id a given vocabulary lacks are dropped.
        """
        users = users or Vocabulary.of(table[schema.USER_ID])
        items = items or Vocabulary.of(table[schema.ITEM_ID])
        value = table[schema.VALUE] if schema.VALUE in table.columns else pl.Series([None] * len(table))
        arrays = cls(
            user_index=users.encode(table[schema.USER_ID]),
            item_index=items.encode(table[schema.ITEM_ID]),
            timestamp_us=table[schema.TIMESTAMP].cast(schema.TIME_DTYPE).to_physical().to_numpy().copy(),
            value=value.cast(pl.Float32).fill_null(float("nan")).to_numpy().copy(),
            type_code=table[schema.INTERACTION_TYPE]
            .cast(pl.Enum(schema.INTERACTION_TYPES))
            .to_physical()
            .cast(pl.UInt8)
            .to_numpy()
            .copy(),
            users=users,
            items=items,
        )
        order = np.lexsort(
            (arrays.value, arrays.type_code, arrays.item_index, arrays.user_index, arrays.timestamp_us)
        )
        known = (arrays.user_index[order] >= 0) & (arrays.item_index[order] >= 0)
        return arrays.take(order[known])

    def __len__(self) -> int:
        return len(self.user_index)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """The events at `rows` (positions or a mask), with the same vocabularies."""
        return type(self)(
            user_index=self.user_index[rows],
            item_index=self.item_index[rows],
            timestamp_us=self.timestamp_us[rows],
            value=self.value[rows],
            type_code=self.type_code[rows],
            users=self.users,
            items=self.items,
        )
