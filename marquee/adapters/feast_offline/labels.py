"""The label frame: the rows that features are asked for, kept exactly as the caller gave them."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import pandas as pd
import polars as pl
import pyarrow as pa
from feast.errors import EntityTimestampInferenceException
from feast.infra.offline_stores.offline_utils import DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL

from marquee.adapters.feast_offline.columns import as_timestamps, microseconds
from marquee.errors import ContractError

EVENT_TIMESTAMP: str = DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL
LabelSource: TypeAlias = pd.DataFrame | pl.DataFrame | pa.Table | str


@dataclass(frozen=True, eq=False)
class LabelFrame:
    """The caller's columns and rows in their order; its time column is UTC in microseconds."""

    table: pa.Table
    time: str
    time_us: pl.Series

    @classmethod
    def of(cls, table: pa.Table) -> "LabelFrame":
        """Find and normalise the time column: `event_timestamp`, else the only timestamp.

        Raises:
            EntityTimestampInferenceException: there is no `event_timestamp`, and not one timestamp.
            ContractError: a time is missing or none, or two columns share a name.
        """
        for name in table.column_names:
            if table.column_names.count(name) > 1:
                raise ContractError(f"The label frame has two columns {name!r}.", remedy="Rename one.")
        time = _time_column(table.schema)
        column = table[time]
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = _parsed(column, time)
        time_us = microseconds(column, what=f"The label frame's {time!r}")
        if time_us.null_count():
            raise ContractError(
                f"{time_us.null_count()} rows of the label frame have no {time!r}.",
                remedy="Give each label a time, or drop it: without one nothing is in the past.",
            )
        table = table.set_column(table.column_names.index(time), time, as_timestamps(time_us))
        return cls(table, time, time_us)

    @property
    def first_us(self) -> int:
        """The earliest time, 0 for an empty frame."""
        return int(self.time_us.min() or 0)  # type: ignore[arg-type]  # a number in an int64 series

    @property
    def last_us(self) -> int:
        """The latest time, 0 for an empty frame."""
        return int(self.time_us.max() or 0)  # type: ignore[arg-type]

    def bounds(self) -> tuple[datetime, datetime] | tuple[None, None]:
        """Earliest and latest time, nothing for an empty frame."""
        if not len(self.time_us):
            return None, None
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return epoch + timedelta(microseconds=self.first_us), epoch + timedelta(microseconds=self.last_us)


def arrow_labels(source: LabelSource, *, memory_limit: str, temp_directory: str | None) -> pa.Table:
    """The rows of a frame, or of a query in DuckDB's SQL, in their order.

    Raises:
        ContractError: the query fails or gives no rows to read, or a column mixes types.
    """
    if isinstance(source, str):
        return _queried(source, memory_limit=memory_limit, temp_directory=temp_directory)
    if isinstance(source, pa.Table):
        return source
    if isinstance(source, pl.DataFrame):
        return source.to_arrow(compat_level=pl.CompatLevel.oldest())
    if isinstance(source, pd.DataFrame):
        return _from_pandas(source)
    raise ContractError(
        f"The label frame is a {type(source).__name__}.",
        remedy="Give a pandas or polars frame, an Arrow table, or a query in DuckDB's SQL.",
    )


def _queried(query: str, *, memory_limit: str, temp_directory: str | None) -> pa.Table:
    import duckdb  # noqa: PLC0415 - a server reads this module with its profile, and has no DuckDB

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": temp_directory or tempfile.gettempdir(),
        "autoinstall_known_extensions": "false",  # nothing is downloaded in the middle of a run
    }
    try:
        with duckdb.connect(config=settings) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            relation = connection.sql(query)
            if relation is None:
                raise ContractError("The label query is empty.", remedy="Give a SELECT, or a frame.")
            return relation.to_arrow_table()
    except duckdb.Error as err:
        raise ContractError(
            f"The label query failed: {err}", remedy="Mend the SQL; files are read with read_parquet('…')."
        ) from err


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    frame = frame.rename(columns=str)
    if (
        EVENT_TIMESTAMP in frame.columns
        and frame.columns.is_unique
        and frame[EVENT_TIMESTAMP].dtype == object
    ):
        frame = frame.assign(**{EVENT_TIMESTAMP: _pandas_times(frame[EVENT_TIMESTAMP])})
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowException, ValueError, TypeError) as err:
        reason = "; ".join(str(part) for part in err.args)
        raise ContractError(
            f"The label frame is no table: {reason}", remedy="Give each column one name and one type."
        ) from err


def _time_column(schema: pa.Schema) -> str:
    if EVENT_TIMESTAMP in schema.names:
        return EVENT_TIMESTAMP
    timestamps = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    if len(timestamps) != 1:
        raise EntityTimestampInferenceException(EVENT_TIMESTAMP)
    return str(timestamps[0])


def _parsed(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    times = _pandas_times(column.to_pandas())
    return pa.chunked_array([pa.Array.from_pandas(times)]) if len(times) else column.cast(pa.timestamp("us"))


def _pandas_times(values: pd.Series) -> pd.Series:
    """ISO 8601 strings and datetime objects as UTC, naive ones meaning UTC.

    Raises:
        ContractError: a value is neither.
    """
    try:
        return pd.to_datetime(values, utc=True, format="ISO8601")
    except (ValueError, TypeError) as err:
        raise ContractError(
            f"The label frame's {EVENT_TIMESTAMP!r} is not a time: {err}",
            remedy="Use ISO 8601 or timestamps.",
        ) from err
