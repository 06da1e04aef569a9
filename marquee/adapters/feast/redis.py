"""Feast's Redis store with reads that give up: no retries, so that a timeout is what it says.

redis-py retries three times with pauses; a stalled server then holds one call for seconds. Selected by
`online_store.type` of a profile. The timeouts of its connection string are those of a request; a batch of
thousands of rows takes longer than a request may wait, so writes have a limit of their own.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from pydantic import PositiveFloat
from redis.backoff import NoBackoff
from redis.retry import Retry

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class QuickRedisOnlineStoreConfig(RedisOnlineStoreConfig):
    """As Feast's own; Feast finds it beside the store by its name."""

    type: Literal["marquee.adapters.feast.redis.QuickRedisOnlineStore"] = (
        "marquee.adapters.feast.redis.QuickRedisOnlineStore"  # type: ignore[assignment]  # Feast: "redis"
    )
    """The dotted path by which Feast finds the store."""

    write_timeout_seconds: PositiveFloat = 10.0
    """Until a batch of writes is given up."""


class _PatientRedisOnlineStore(RedisOnlineStore):
    """The writing half, with connections of its own."""

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> Any:  # noqa: ANN401 - Feast's own
        is_new = self._client is None
        client = super()._get_client(online_store_config)
        if is_new and hasattr(client, "connection_pool"):
            # Nothing is connected yet: connections are made with these when they are needed.
            seconds = getattr(online_store_config, "write_timeout_seconds", None)
            client.connection_pool.connection_kwargs.update(socket_timeout=seconds)
        return client


class QuickRedisOnlineStore(RedisOnlineStore):
    """Redis, asked once."""

    _writer: _PatientRedisOnlineStore | None = None

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> Any:  # noqa: ANN401 - Feast's own
        is_new = self._client is None
        client = super()._get_client(online_store_config)
        if is_new and hasattr(client, "set_retry"):
            client.set_retry(Retry(NoBackoff(), 0))
        return client

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows with the patience of a job."""
        self._writer = self._writer or _PatientRedisOnlineStore()
        self._writer.online_write_batch(config, table, list(data), progress)
