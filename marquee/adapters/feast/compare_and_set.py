"""Rows into an online store, each unless the store holds a newer one: compared and written in one step.

Of two processes that write one key, whichever comes last, the newer row stays. Redis runs a script
(`marquee.adapters.feast.redis`), SQLite one transaction that begins as a writer, DynamoDB conditional
writes. Other stores are read, compared and written: there one process at a time may write a key.
"""

import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any, Final, Protocol, runtime_checkable

from feast import FeatureStore, FeatureView, RepoConfig, utils
from feast.infra.online_stores.sqlite import SqliteOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from marquee import schema
from marquee.adapters.feast.messages import Row

SECOND_US: Final = 1_000_000
EXACT_TIME: Final = {schema.USER_ACTIVITY_VIEW: schema.USER_SEEN_US}
"""Features that hold the row's time in microseconds; SQLite itself keeps whole seconds."""
READ_KEYS: Final = 500
"""Keys that are looked up at a time: an answer within the timeout of a request."""
LOCK_PATIENCE_MS: Final = 60_000
"""How long SQLite waits for another process's batch."""
_DYNAMODB_CONNECTIONS: Final = 10
"""As many as boto3 keeps open."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@runtime_checkable
class ComparesItself(Protocol):
    """An online store that has a way of its own."""

    def write_newer(self, config: RepoConfig, table: FeatureView, data: Sequence[Row]) -> int:
        """Write the rows whose time is not before the store's; gives their number."""


def write_newer_rows(store: FeatureStore, view: FeatureView, data: Sequence[Row]) -> int:
    """Write the rows, one a key, whose time is not before the store's; gives their number."""
    online: Any = store._get_provider().online_store
    if isinstance(online, ComparesItself):
        return online.write_newer(store.config, view, data)
    if isinstance(online, SqliteOnlineStore):
        return _write_sqlite(store, view, data, online._get_conn(store.config))
    if _is_dynamodb(online):
        return _write_dynamodb(store, view, data, online)
    return _write_after_reading(store, view, data)


def _write_sqlite(
    store: FeatureStore, view: FeatureView, data: Sequence[Row], connection: sqlite3.Connection
) -> int:
    connection.execute(f"PRAGMA busy_timeout = {LOCK_PATIENCE_MS}")
    connection.execute("BEGIN IMMEDIATE")  # Feast's writer finds itself in this transaction and commits it
    try:
        return _write_after_reading(store, view, data)
    finally:
        if connection.in_transaction:
            connection.rollback()


def _write_after_reading(store: FeatureStore, view: FeatureView, data: Sequence[Row]) -> int:
    stored = stored_times_us(store, view, [row[0] for row in data])
    newer = [
        row
        for row, stored_us in zip(data, stored, strict=True)
        if stored_us is None or _microseconds(row[2]) >= stored_us
    ]
    if newer:
        store._get_provider().online_write_batch(store.config, view, newer, lambda _: None)
    return len(newer)


def stored_times_us(store: FeatureStore, view: FeatureView, keys: Sequence[EntityKey]) -> list[int | None]:
    """Event times of stored rows in microseconds; whole seconds in views without an exact time."""
    exact = EXACT_TIME.get(view.name)
    probe = exact or view.features[0].name
    provider = store._get_provider()
    times: list[int | None] = []
    for offset in range(0, len(keys), READ_KEYS):
        found = provider.online_read(store.config, view, list(keys[offset : offset + READ_KEYS]), [probe])
        times += [_time_us(time, values, exact) for time, values in found]
    return times


def _time_us(time: datetime | None, values: dict[str, Value] | None, exact: str | None) -> int | None:
    if exact and values and exact in values and values[exact].HasField("int64_val"):
        return int(values[exact].int64_val)
    if time is None or not time.timestamp():  # Redis gives time 0 for a key that it does not have
        return None
    return int(utils.make_tzaware(time).timestamp()) * SECOND_US


def _microseconds(moment: datetime) -> int:
    since = utils.make_tzaware(moment) - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds


def _is_dynamodb(online: object) -> bool:
    if not find_spec("boto3"):
        return False
    from feast.infra.online_stores.dynamodb import DynamoDBOnlineStore  # noqa: PLC0415 - needs boto3

    return isinstance(online, DynamoDBOnlineStore)


def _write_dynamodb(store: FeatureStore, view: FeatureView, data: Sequence[Row], online: Any) -> int:  # noqa: ANN401 - Feast's own
    """A request a row: DynamoDB's batches know no condition."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - only where AWS is installed
    from feast.infra.online_stores.dynamodb import _get_table_name, _to_resource_write_item  # noqa: PLC0415

    config = store.config.online_store
    resource = online._get_dynamodb_resource(config.region, config.endpoint_url, config.session_based_auth)
    client = resource.meta.client  # a client may be used by several threads; a resource may not
    table = _get_table_name(config, store.config, view)

    def put(row: Row) -> bool:
        item = _to_resource_write_item(store.config, row[0], row[1], row[2])
        try:
            client.put_item(
                TableName=table,
                Item=item,
                # Text of one length and zone sorts as time does.
                ConditionExpression="attribute_not_exists(event_ts) OR event_ts <= :time",
                ExpressionAttributeValues={":time": item["event_ts"]},
            )
        except ClientError as err:
            if err.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    with ThreadPoolExecutor(_DYNAMODB_CONNECTIONS) as pool:
        return sum(pool.map(put, data))
