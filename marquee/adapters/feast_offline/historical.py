"""Point-in-time retrieval: match rows view by view, then gather values chunk by chunk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from feast.errors import FeastEntityDFMissingColumnsError

from marquee.adapters.feast_offline.columns import agreed, comparable, microseconds
from marquee.adapters.feast_offline.jobs import ChunkedJob, Request
from marquee.adapters.feast_offline.keys import joined
from marquee.adapters.feast_offline.labels import LabelFrame
from marquee.adapters.feast_offline.matching import History, Labels, match
from marquee.adapters.feast_offline.table import Span
from marquee.adapters.feast_offline.views import ViewRequest
from marquee.errors import ContractError


@dataclass(frozen=True, eq=False)
class _Matched:
    """A view's values as stored, and for each label the row that it gets."""

    names: tuple[str, ...]
    values: list[pa.Array]
    rows: pa.Array  # uint32, null where the label gets nothing

    def columns(self, start: int, length: int) -> Iterator[tuple[str, pa.Array]]:
        rows = self.rows.slice(start, length)
        for name, value in zip(self.names, self.values, strict=True):
            yield name, value.take(rows)


class HistoricalJob(ChunkedJob):
    """The label frame, row for row and in order, with the values that were known at each time."""

    def __init__(
        self,
        request: Request,
        labels: LabelFrame,
        *,
        views: Sequence[ViewRequest],
        known_at: bool,
        chunk_rows: int,
    ) -> None:
        super().__init__(request)
        self._labels = labels
        self._views = views
        self._known_at = known_at
        self._chunk_rows = chunk_rows

    def chunks(self) -> Iterator[pa.Table]:
        """Slices of the label frame with their values; at least one.

        Memory: the label frame, the stored columns asked for, four bytes a label and view, one chunk.

        Raises:
            ContractError: a key or time has a type that can't be compared.
            SourceError: a source can't be read.
        """
        labels = Labels.of(self._labels.time_us)
        matched = [self._match(view, labels) for view in self._views]
        for start in range(0, max(self._labels.table.num_rows, 1), self._chunk_rows):
            chunk = self._labels.table.slice(start, self._chunk_rows)
            for part in matched:
                for name, column in part.columns(start, chunk.num_rows):
                    chunk = chunk.append_column(name, column)
            yield chunk

    def _match(self, view: ViewRequest, labels: Labels) -> _Matched:
        where = view.table.location.address
        created = [view.created] if view.created else []
        heads = [*view.keys, view.event, *created]
        stored = view.table.read([*heads, *view.features], time=view.event, span=self._span(view))
        stored_key, label_key = self._keys(view, stored)
        history = History(
            stored_key,
            microseconds(stored.column(len(view.keys)), what=f"{view.event!r} of {where}"),
            microseconds(stored.column(len(heads) - 1), what=f"{view.created!r} of {where}")
            if created
            else None,
        )
        rows = match(history, labels, label_key=label_key, ttl_us=view.ttl_us, known_at=self._known_at)
        values = [_contiguous(column) for column in stored.columns[len(heads) :]]
        return _Matched(view.outputs, values, rows)

    def _span(self, view: ViewRequest) -> Span:
        """What can matter: nothing after the last label, nothing expired at the first one."""
        first = self._labels.first_us - view.ttl_us if view.ttl_us else None
        return Span(first, self._labels.last_us)

    def _keys(self, view: ViewRequest, stored: pa.Table) -> tuple[pl.Series | None, pl.Series | None]:
        if not view.keys:
            return None, None
        pairs = []
        for place, (name, label_name) in enumerate(zip(view.keys, view.label_keys, strict=True)):
            what = f"Key {label_name!r} of view {view.name!r}"
            kept = comparable(stored.column(place), what=f"{what}, stored as {name!r},")
            asked = comparable(self._labels.table[label_name], what=what)
            pairs.append(agreed(asked, kept, what=what))
        return joined([kept for _, kept in pairs], [asked for asked, _ in pairs])


def check_columns(labels: LabelFrame, views: Sequence[ViewRequest], *, on_demand: Sequence[str]) -> None:
    """Check that the frame has all keys and that no two columns of the result share a name.

    Raises:
        FeastEntityDFMissingColumnsError: a key is missing.
        ContractError: a feature is called like a column of the frame or like another feature.
    """
    present = set(labels.table.column_names)
    expected = {name for view in views for name in view.label_keys}
    if missing := expected - present:
        raise FeastEntityDFMissingColumnsError(expected, missing)
    for name in [*(name for view in views for name in view.outputs), *on_demand]:
        if name in present:
            raise ContractError(
                f"Two columns of the result would be called {name!r}.",
                remedy="Rename or drop that column of the label frame, or use full_feature_names=True.",
            )
        present.add(name)


def _contiguous(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.combine_chunks()
