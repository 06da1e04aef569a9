"""Pulls for materialisation, saved data sets and logs: all rows of a span of time, or each key's last."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL

from marquee.adapters.feast_offline.columns import as_timestamps, comparable, microseconds
from marquee.adapters.feast_offline.jobs import ChunkedJob, Request
from marquee.adapters.feast_offline.matching import in_time_order, latest
from marquee.adapters.feast_offline.table import ParquetTable, Span

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def span_of(start: datetime | None, end: datetime | None) -> Span:
    """From `start` to `end`, both included, None open."""
    return Span(since_epoch(start) if start else None, since_epoch(end) if end else None)


def since_epoch(moment: datetime) -> int:
    """Microseconds since 1970 UTC; a naive moment means UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True)
class Pull:
    """Stored columns, under their stored names, of the rows within a span."""

    table: ParquetTable
    keys: tuple[str, ...]
    features: tuple[str, ...]
    event: str
    created: str | None
    span: Span

    @property
    def names(self) -> list[str]:
        """All columns, each once: keys, features, times."""
        times = [self.event, self.created] if self.created else [self.event]
        return list(dict.fromkeys([*self.keys, *self.features, *times]))

    def checked(self) -> "Pull":
        """This pull, once its columns are known to exist.

        Raises:
            SourceError: the files are missing or no Parquet.
            ContractError: they lack a column.
        """
        self.table.require(self.names, asked_by="the pull")
        return self

    def whole(self) -> pa.Table:
        """All rows of the span at once, as `within` gives them."""
        return self.within(self.table.read(self.names, time=self.event, span=self.span))

    def times(self, chunk: pa.Table) -> tuple[pl.Series, pl.Series | None]:
        """Event and created times of a chunk, microseconds since 1970 UTC."""
        event = microseconds(chunk[self.event], what=self.event)
        return event, microseconds(chunk[self.created], what=self.created) if self.created else None

    def within(self, chunk: pa.Table) -> pa.Table:
        """A chunk under its names: times in UTC microseconds, rows outside of the span left out."""
        chunk = chunk.rename_columns(self.names)
        for name in filter(None, (self.event, self.created)):
            moments = microseconds(chunk[name], what=f"{name!r} of {self.table.location.address}")
            chunk = chunk.set_column(chunk.column_names.index(name), name, as_timestamps(moments))
        event, _ = self.times(chunk)
        inside = event.is_not_null()
        if self.span.first_us is not None:
            inside &= event >= self.span.first_us
        if self.span.last_us is not None:
            inside &= event <= self.span.last_us
        return chunk.filter(inside.fill_null(value=False).to_arrow())


class PullAllJob(ChunkedJob):
    """Every row of the span, in stored order; of a source without keys in the order of time.

    Feast materialises a view without entities by writing these rows one after the other, so the last
    one must be the newest; they carry the key that Feast gives to such views.
    """

    def __init__(self, request: Request, pull: Pull, *, chunk_rows: int) -> None:
        super().__init__(request)
        self._pull = pull
        self._chunk_rows = chunk_rows

    def chunks(self) -> Iterator[pa.Table]:
        """The rows batch by batch; at least one table. Without keys it is one, held whole."""
        pull = self._pull
        if not pull.keys:
            table = pull.whole()
            yield _with_dummy_key(table.take(pa.array(in_time_order(*pull.times(table)))))
            return
        empty = True
        for batch in pull.table.batches(pull.names, time=pull.event, span=pull.span, rows=self._chunk_rows):
            yield pull.within(batch)
            empty = False
        if empty:
            schema = [pull.table.schema.field(name) for name in pull.names]
            yield pull.within(pa.schema(schema).empty_table())

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        # in one piece: Feast's writer to the online store looks at the first batch only
        return super()._to_arrow_internal(timeout).combine_chunks()


class PullLatestJob(ChunkedJob):
    """The newest row of each key within the span, in stored order.

    Of rows with one event time the last created wins, and of those the last stored; rows without a
    complete key belong to nobody and are left out. Without keys the whole source is one history, and
    its row carries the key that Feast gives to views without entities.
    """

    def __init__(self, request: Request, pull: Pull) -> None:
        super().__init__(request)
        self._pull = pull

    def chunks(self) -> Iterator[pa.Table]:
        """One table in one piece."""
        pull = self._pull
        table = pull.whole()
        keys = [comparable(table[name], what=f"Key {name!r}") for name in pull.keys]
        event, created = pull.times(table)
        table = table.take(pa.array(latest(keys, event, created))).combine_chunks()
        yield table if pull.keys else _with_dummy_key(table)


def _with_dummy_key(table: pa.Table) -> pa.Table:
    return table.append_column(DUMMY_ENTITY_ID, pa.array([DUMMY_ENTITY_VAL] * table.num_rows, pa.string()))
