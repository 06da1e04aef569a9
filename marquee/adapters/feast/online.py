"""Rows in the online store: one user's, read with the limit of age; pushed ones, ordered by their time."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

import polars as pl
import pyarrow as pa
from feast import FeatureService, FeatureStore, FeatureView
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from marquee import schema
from marquee.adapters.feast.compare_and_set import write_newer_rows
from marquee.adapters.feast.declarations import ttl_seconds
from marquee.adapters.feast.messages import python_value, row_messages
from marquee.adapters.feast.stored_rows import (
    AskRows,
    ReadRows,
    StoredRow,
    Wanted,
    rows_asker,
    rows_reader,
)
from marquee.errors import ContractError

WRITE_ROWS: Final = 5_000
"""Rows that are turned into Feast's messages at a time: memory stays below half of a gigabyte."""
WRITE_BYTES: Final = 8_000_000
"""As much of a table, since a history has up to a thousand events."""


class UserRow(NamedTuple):
    """What the online store knows of one user; a missing or expired view is all null."""

    user_id: str
    values: dict[str, Any]
    """By feature, in the order of the service."""
    known_at_s: dict[str, int | None]
    """By view, seconds since 1970 UTC of the row's event time; None where missing or expired."""

    @property
    def is_known(self) -> bool:
        """Whether any view has a row."""
        return any(time is not None for time in self.known_at_s.values())


@dataclass(frozen=True)
class PushReport:
    """What became of pushed rows."""

    written: int
    superseded: int
    """Left out because the store, or the frame itself, holds a newer row of that key."""


@dataclass(frozen=True, eq=False)
class UserLookup:
    """The user views of one service, resolved once."""

    store: FeatureStore
    view_of: dict[str, str]
    ttl_s: dict[str, int | None]

    @classmethod
    def of(
        cls, store: FeatureStore, service: FeatureService, views: Mapping[str, FeatureView]
    ) -> "UserLookup":
        """Of a service as it stands in the registry."""
        parts = [
            part
            for part in service.feature_view_projections
            if [column.name for column in views[part.name].entity_columns] == [schema.USER_ID]
        ]
        pairs = [(field.name, part.name) for part in parts for field in part.features]
        return cls(
            store=store,
            view_of=dict(pairs),
            ttl_s={part.name: ttl_seconds(views[part.name]) for part in parts},
        )

    def read(self, user_id: str, *, now: datetime) -> UserRow:
        """One read; neither a status of Feast nor its TTL is relied on, since stores differ in both."""
        return self._row(user_id, self._read(_key(user_id)), now)

    async def ask(self, user_id: str, *, now: datetime) -> UserRow:
        """As `read`, from an event loop, where the store offers that (`can_ask`); may be cancelled."""
        assert self._ask is not None  # noqa: S101 - for the type
        return self._row(user_id, await self._ask(_key(user_id)), now)

    async def end_asking(self) -> None:
        """End connections of `ask`, in its loop."""
        if self._ask is not None:
            await self._ask.close()

    @property
    def can_ask(self) -> bool:
        """Whether the store reads from an event loop."""
        return self._ask is not None

    def _row(self, user_id: str, rows: Sequence[StoredRow], now: datetime) -> UserRow:
        known: dict[str, int | None] = dict.fromkeys(self.ttl_s)
        values: dict[str, Any] = dict.fromkeys(self.view_of)
        for view, (seconds, row) in zip(self._features, rows, strict=True):
            if seconds and _is_fresh(seconds, self.ttl_s[view], now):
                known[view] = seconds
                values.update((feature, python_value(value)) for feature, value in row.items())
        return UserRow(user_id, values, known)

    @cached_property
    def _features(self) -> dict[str, list[str]]:
        """Features by view, in the order of the service."""
        features: dict[str, list[str]] = {}
        for feature, view in self.view_of.items():
            features.setdefault(view, []).append(feature)
        return features

    @cached_property
    def _wanted(self) -> Wanted:
        return [(self.store.get_feature_view(view), names) for view, names in self._features.items()]

    @cached_property
    def _read(self) -> ReadRows:
        return rows_reader(self.store, self._wanted)

    @cached_property
    def _ask(self) -> AskRows | None:
        return rows_asker(self.store, self._wanted)


def _key(user_id: str) -> EntityKey:
    return EntityKey(join_keys=[schema.USER_ID], entity_values=[Value(string_val=user_id)])


def _is_fresh(seconds: int, ttl_s: int | None, now: datetime) -> bool:
    return ttl_s is None or now.timestamp() - seconds <= ttl_s


def push_rows(store: FeatureStore, view: FeatureView, rows: pl.DataFrame) -> PushReport:
    """Write each key's newest row unless the store has a newer one; the same row twice is no harm.

    Several processes may push rows of one key (`marquee.adapters.feast.compare_and_set`).

    Raises:
        ContractError: a column is missing, unknown, or of another type, or a key or time is null.
    """
    checked = checked_rows(view.name, rows)
    key = schema.VIEW_KEYS[view.name]
    newest = checked.sort(schema.EVENT_TIMESTAMP, schema.CREATED_TIMESTAMP).unique(
        key, keep="last", maintain_order=True
    )
    written = 0
    for chunk in newest.sort(key).iter_slices(WRITE_ROWS):
        written += write_newer(store, view, chunk.to_arrow(compat_level=pl.CompatLevel.oldest()))
    return PushReport(written=written, superseded=len(checked) - written)


def checked_rows(view: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with exactly the view's columns in their order.

    Raises:
        ContractError: a column is missing, unknown, or of another type, or a key or time is null.
    """
    columns = schema.view_columns(view)
    for name in rows.columns:
        if name not in columns:
            raise ContractError(
                f"view {view} has no column {name!r}.", remedy=f"It has {', '.join(columns)}."
            )
    for name, dtype in columns.items():
        if name not in rows.columns:
            raise ContractError(f"rows for {view} lack column {name!r}.", remedy="Push complete rows.")
        if rows[name].dtype not in (dtype, pl.Null):
            raise ContractError(
                f"column {name!r} of rows for {view} is {rows[name].dtype}, not {dtype}.",
                remedy="Build rows with marquee.features.state, or cast the column.",
            )
    head = [schema.VIEW_KEYS[view], schema.EVENT_TIMESTAMP, schema.CREATED_TIMESTAMP]
    for name in head:
        if rows[name].null_count():
            raise ContractError(f"column {name!r} of rows for {view} holds null.", remedy="Drop these rows.")
    return rows.select([pl.col(name).cast(dtype) for name, dtype in columns.items()])


def write_newer(store: FeatureStore, view: FeatureView, rows: pa.Table) -> int:
    """Write the rows, one a key, whose time is not before the store's; gives their number.

    Long histories make large messages: they go in by so many rows as fit into `WRITE_BYTES`.
    """
    step = max(1, min(WRITE_ROWS, WRITE_BYTES * len(rows) // max(rows.nbytes, 1)))
    written = 0
    for offset in range(0, len(rows), step):
        with _collector_paused():
            written += write_newer_rows(store, view, row_messages(rows.slice(offset, step), view))
    return written


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without Python's collector: new messages make it walk all of Feast's objects, for 40 % of the time.

    They hold no cycles, so that they go as soon as nobody needs them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
