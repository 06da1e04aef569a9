"""Feast's Redis store with reads that give up: no retries, so that a timeout is what it says.

redis-py retries three times with pauses; a stalled server then holds one call for seconds. Selected by
`online_store.type` of a profile. The timeouts of its connection string are those of a request; a batch of
thousands of rows takes longer than a request may wait, so writes have a limit of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final, Literal, Self

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.infra.online_stores.redis import (
    RedisOnlineStore,
    RedisOnlineStoreConfig,
    RedisType,
    _versioned_fv_name,
)
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.utils import make_tzaware
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import PositiveFloat
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from marquee.adapters.feast.messages import Row
from marquee.adapters.feast.redis_loop import LoopConnections, packed
from marquee.adapters.feast.stored_rows import AskRows, ReadRows, StoredRow, Wanted

_WRITE_NEWER: Final = """
local function seconds_and_nanos(message)
  local found, place = {0, 0}, 1
  while place <= #message do
    local field, value, scale = bit.rshift(message:byte(place), 3), 0, 1
    repeat
      place = place + 1
      local byte = message:byte(place)
      value, scale = value + byte % 128 * scale, scale * 128
    until byte < 128
    found[field], place = value, place + 1
  end
  return found[1], found[2]
end
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored then
  local old_s, old_ns = seconds_and_nanos(stored)
  local new_s, new_ns = seconds_and_nanos(ARGV[2])
  if new_s < old_s or (new_s == old_s and new_ns < old_ns) then return 0 end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], unpack(ARGV, 4))
if ARGV[3] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return 1
"""
"""Compare and set. KEYS: the row. ARGV: field of its time, the time (a protobuf Timestamp, 1970 or later),
seconds to live or 0, then fields and values."""


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


@dataclass(frozen=True, eq=False)
class _Question:
    """What is asked of Redis for the rows of one key in several views, and what its answer says."""

    project: str
    key_version: int
    features: Sequence[Sequence[str]]
    """By view."""
    fields: Sequence[str | bytes]
    """Of the hash: of each view its time, then its features."""

    @classmethod
    def of(cls, config: RepoConfig, wanted: Wanted) -> Self:
        """For these views and features."""
        fields: list[str | bytes] = []
        for table, features in wanted:
            view = _versioned_fv_name(table, config)
            fields += [f"_ts:{view}", *(_mmh3(f"{view}:{feature}") for feature in features)]
        version = config.entity_key_serialization_version
        return cls(config.project, version, [features for _, features in wanted], fields)

    def key(self, key: EntityKey) -> bytes:
        """The hash's name."""
        found: bytes = _redis_key(self.project, key, self.key_version)
        return found

    def command(self, key: EntityKey) -> bytes:
        """The whole question, as Redis reads it."""
        name, (head, tail) = self.key(key), self._around_key
        return b"%b$%d\r\n%b\r\n%b" % (head, len(name), name, tail)

    @cached_property
    def _around_key(self) -> list[bytes]:
        """What stands before and after the key: the fields are the same for everybody."""
        return packed("HMGET", b"", *self.fields).split(b"$0\r\n\r\n", maxsplit=1)

    def rows(self, answer: Sequence[bytes | None]) -> list[StoredRow]:
        """By view."""
        found = iter(answer)
        return [
            (
                Timestamp.FromString(next(found) or b"").seconds,
                {feature: Value.FromString(next(found) or b"") for feature in features},
            )
            for features in self.features
        ]


@dataclass(frozen=True, eq=False)
class _Asking:
    """Reads from an event loop."""

    question: _Question
    connections: LoopConnections

    async def __call__(self, key: EntityKey) -> list[StoredRow]:
        return self.question.rows(await self.connections.ask(self.question.command(key)))

    async def close(self) -> None:
        await self.connections.close()


class QuickRedisOnlineStore(RedisOnlineStore):
    """Redis, asked once."""

    _writer: _PatientRedisOnlineStore | None = None

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> Any:  # noqa: ANN401 - Feast's own
        is_new = self._client is None
        client = super()._get_client(online_store_config)
        if is_new and hasattr(client, "set_retry"):
            client.set_retry(Retry(NoBackoff(), 0))
        return client

    def rows_reader(self, config: RepoConfig, wanted: Wanted) -> ReadRows:
        """All views of a key lie in one hash: one command reads them. Rows are those of `online_read`."""
        settings: Any = config.online_store
        question = _Question.of(config, wanted)

        def read(key: EntityKey) -> list[StoredRow]:
            return question.rows(self._get_client(settings).hmget(question.key(key), question.fields))

        return read

    def rows_asker(self, config: RepoConfig, wanted: Wanted) -> AskRows | None:
        """The same from an event loop; None for a cluster or sentinels, whose clients choose the server."""
        settings: Any = config.online_store
        if settings.redis_type != RedisType.redis:
            return None
        return _Asking(_Question.of(config, wanted), LoopConnections(lambda: self._connection(settings)))

    def _connection(self, settings: RedisOnlineStoreConfig) -> Connection:
        """Without a limit of its own, of which redis-py would make a task a question; who asks has one."""
        nodes, options = self._parse_connection_string(settings.connection_string)
        options |= {"host": nodes[0]["host"], "port": nodes[0]["port"], "socket_timeout": None}
        client = AsyncRedis(**options, retry=AsyncRetry(NoBackoff(), 0))
        made: Connection = client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        return made

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """As `write_newer`."""
        written = self.write_newer(config, table, data)
        if progress:
            progress(written)

    def write_newer(self, config: RepoConfig, table: FeatureView, data: Sequence[Row]) -> int:
        """Write the rows whose time is not before the store's, with a job's patience; gives their number.

        The server compares, to the microsecond, and writes in one step: of two processes that write one
        key the newer row stays. Rows are as Feast's own store writes them.
        """
        settings: Any = config.online_store
        self._writer = self._writer or _PatientRedisOnlineStore()
        client = self._writer._get_client(settings)
        script = client.register_script(_WRITE_NEWER)
        view = _versioned_fv_name(table, config)
        fields = {field.name: _mmh3(f"{view}:{field.name}") for field in table.features}
        time, ttl = Timestamp(), settings.key_ttl_seconds or 0
        with client.pipeline(transaction=False) as pipe:
            for key, values, moment, _ in data:
                time.FromDatetime(make_tzaware(moment))
                pairs = [(fields[name], value.SerializeToString()) for name, value in values.items()]
                script(
                    keys=[_redis_key(config.project, key, config.entity_key_serialization_version)],
                    args=[f"_ts:{view}", time.SerializeToString(), ttl, *chain.from_iterable(pairs)],
                    client=pipe,
                )
            return sum(pipe.execute())
