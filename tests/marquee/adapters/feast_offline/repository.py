"""A feature repository in a folder: Parquet files, a file registry, our offline store."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float32, Int64, String

OURS = "marquee.adapters.feast_offline.AsofOfflineStore"

USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
MOVIE = Entity(name="movie", join_keys=["movie_id"], value_type=ValueType.INT64)


def feature_store(folder: Path, *objects, offline=None) -> FeatureStore:
    """A store whose registry lives in `folder`, with `objects` applied."""
    config = RepoConfig(
        project="test",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        offline_store=offline or {"type": OURS},
        entity_key_serialization_version=3,
        repo_path=folder,
    )
    store = FeatureStore(config=config)
    if objects:
        store.apply(list(objects), partial=True)
    return store


def day(day_of_month: float, month: int = 1) -> datetime:
    """A moment of 2026 in UTC; day 1.5 is noon of the first."""
    return datetime(2026, month, 1, tzinfo=UTC) + timedelta(days=day_of_month - 1)


def write(path: Path, rows: list[dict], schema: dict[str, pa.DataType]) -> str:
    """Rows as a Parquet file; gives the path back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(schema)), path)
    return str(path)


TIME = pa.timestamp("us", tz="UTC")
USER_SCHEMA = {
    "user_id": pa.int64(),
    "u_a": pa.float32(),
    "u_n": pa.int64(),
    "event_timestamp": TIME,
    "created": TIME,
}
MOVIE_SCHEMA = {
    "movie_id": pa.int64(),
    "m_a": pa.float32(),
    "m_s": pa.string(),
    "event_timestamp": TIME,
    "created": TIME,
}


def row(names: dict, values: tuple, *, event: datetime, created: datetime | None = None) -> dict:
    """A stored row; it is created an hour after its event unless said."""
    made = created or event + timedelta(hours=1)
    return dict(zip([*names][: len(values)], values, strict=True)) | {
        "event_timestamp": event,
        "created": made,
    }


def user_row(*values, event: datetime, created: datetime | None = None) -> dict:
    return row(USER_SCHEMA, values, event=event, created=created)


def movie_row(*values, event: datetime, created: datetime | None = None) -> dict:
    return row(MOVIE_SCHEMA, values, event=event, created=created)


def user_view(
    path: str, *, ttl: timedelta | None = timedelta(days=10), created="created", **source
) -> FeatureView:
    return FeatureView(
        name="user_state",
        entities=[USER],
        ttl=ttl,
        schema=[
            Field(name="user_id", dtype=Int64),
            Field(name="u_a", dtype=Float32),
            Field(name="u_n", dtype=Int64),
        ],
        source=FileSource(
            name="user_source",
            path=path,
            timestamp_field="event_timestamp",
            created_timestamp_column=created,
            **source,
        ),
    )


def movie_view(path: str, *, ttl: timedelta | None = timedelta(days=3)) -> FeatureView:
    return FeatureView(
        name="movie_state",
        entities=[MOVIE],
        ttl=ttl,
        schema=[
            Field(name="movie_id", dtype=Int64),
            Field(name="m_a", dtype=Float32),
            Field(name="m_s", dtype=String),
        ],
        source=FileSource(
            name="movie_source",
            path=path,
            timestamp_field="event_timestamp",
            created_timestamp_column="created",
        ),
    )


def labels(*rows: tuple, names=("user_id", "movie_id", "event_timestamp")) -> pd.DataFrame:
    return pd.DataFrame([dict(zip(names, values, strict=True)) for values in rows])


USER_FEATURES = ["user_state:u_a", "user_state:u_n"]
MOVIE_FEATURES = ["movie_state:m_a", "movie_state:m_s"]


def values(table: pa.Table, names: tuple[str, ...] = ("u_a", "u_n", "m_a", "m_s")) -> list[tuple]:
    """Rows of a result, floats as they were written (float32 holds 0.1 only nearly)."""
    columns = [table[name].to_pylist() for name in names]
    return [
        tuple(round(value, 6) if isinstance(value, float) else value for value in line)
        for line in zip(*columns, strict=True)
    ]
