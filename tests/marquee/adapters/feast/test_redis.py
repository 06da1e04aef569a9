"""With a real Redis server: `make test-services` starts one and names it in MARQUEE_TEST_REDIS."""

import asyncio
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from redis import Redis

from marquee import schema
from marquee.adapters.feast import FeatureDoor
from marquee.adapters.feast.online import UserRow
from marquee.adapters.feast.redis import QuickRedisOnlineStore, QuickRedisOnlineStoreConfig
from marquee.errors import FeatureStoreError
from marquee.features.state.activity import user_activity
from marquee.features.state.events import resolved
from tests.factories import DAY_S, event_table
from tests.marquee.adapters.feast.place import EPOCH, REPO, answered_alike, at, build, same

pytestmark = pytest.mark.services

PROFILE = """
project: {project}
provider: local
state_root: {root}/current
registry: {{registry_type: file, path: {root}/registry.db, cache_ttl_seconds: 0}}
online_store:
  type: marquee.adapters.feast.redis.QuickRedisOnlineStore
  connection_string: "{address},socket_timeout=0.05,socket_connect_timeout=0.05"
  skip_dedup: true
offline_store: {{type: marquee.adapters.feast_offline.AsofOfflineStore}}
materialization: {{online_write_batch_size: 5000}}
entity_key_serialization_version: 3
"""


@pytest.fixture
def store(tmp_path: Path) -> FeatureDoor:
    address = os.environ["MARQUEE_TEST_REDIS"]
    text = PROFILE.format(root=tmp_path, address=address, project=tmp_path.name.replace("-", "_"))
    (tmp_path / "redis.yaml").write_text(text)
    build(tmp_path)
    made = FeatureDoor.of(str(tmp_path / "redis.yaml"), repo=REPO, environment={})
    made.apply(made.declarations(REPO))
    made.materialise(start=EPOCH, end=at(14))
    return made


@pytest.mark.parametrize("user", ["u0", "u1", "u2", "nobody"])
def test_online_row_from_redis_equals_the_row_of_history(store: FeatureDoor, user: str):
    row = store.get_user_row("ranking_v1", user, now=at(14))

    labels = pl.DataFrame({"user_id": [user], schema.EVENT_TIMESTAMP: [at(14)]})
    views = ["user_profile", "user_activity"]
    history = store.historical("ranking_v1", labels, views=views).row(0, named=True)
    assert {name: value for name, value in row.values.items() if not same(value, history[name])} == {}
    assert row.is_known == (user != "nobody")


@pytest.mark.parametrize("user", ["u0", "u1", "u2", "nobody"])
@pytest.mark.parametrize("service", ["ranking_v1", "candidates_v1"])
def test_online_row_from_redis_is_feasts_own_answer(store: FeatureDoor, service: str, user: str):
    assert answered_alike(store, service, user, now=at(14))


@pytest.mark.parametrize("service", ["ranking_v1", "candidates_v1"])
def test_row_that_an_event_loop_asks_for_is_the_one_that_a_thread_reads(store: FeatureDoor, service: str):
    async def life() -> list[UserRow]:
        try:
            return [
                await store.ask_user_row(service, user, now=at(14)) for user in ("u0", "u1", "u2", "nobody")
            ]
        finally:
            await store.end_asking()

    assert store.can_ask(service)
    asked = asyncio.run(life())

    for row in asked:
        read = store.get_user_row(service, row.user_id, now=at(14))
        assert (row.known_at_s, row.is_known) == (read.known_at_s, read.is_known)
        assert [name for name in row.values if not same(row.values[name], read.values[name])] == []
    assert asked[0].is_known


def test_event_loop_that_asks_a_stalled_server_is_not_held_up_and_the_next_answer_is_right(
    store: FeatureDoor,
):
    host, port = os.environ["MARQUEE_TEST_REDIS"].split(":")
    pid = int(Redis(host, int(port)).info("server")["process_id"])

    async def life() -> tuple[UserRow, int]:
        await store.ask_user_row("ranking_v1", "u0", now=at(14))
        os.kill(pid, signal.SIGSTOP)
        try:
            asking = asyncio.ensure_future(store.ask_user_row("ranking_v1", "u0", now=at(14)))
            turns = [await asyncio.sleep(0.01, turn) for turn in range(5)]  # the loop goes on meanwhile
            assert not asking.done()
            asking.cancel()
        finally:
            os.kill(pid, signal.SIGCONT)
        try:
            return await store.ask_user_row("ranking_v1", "u1", now=at(14)), len(turns)
        finally:
            await store.end_asking()

    row, turns = asyncio.run(life())

    assert turns == 5
    assert row.values == store.get_user_row("ranking_v1", "u1", now=at(14)).values


def test_clusters_and_sentinels_are_read_by_threads():
    for kind in ("redis_cluster", "redis_sentinel"):
        config = QuickRedisOnlineStoreConfig(connection_string="127.0.0.1:1", redis_type=kind)
        repo = SimpleNamespace(online_store=config, entity_key_serialization_version=3, project="p")
        assert QuickRedisOnlineStore().rows_asker(repo, []) is None  # type: ignore[arg-type]


def test_pushes_within_one_second_are_ordered_by_the_microsecond(store: FeatureDoor):
    rows = [("p", "a", DAY_S), ("p", "b", DAY_S + 1e-6)]
    older, newer = user_activity(resolved(event_table(rows))).iter_slices(1)

    reports = [store.push("user_activity", row) for row in (older, newer, older)]

    assert [report.written for report in reports] == [1, 1, 0]
    row = store.get_user_row("candidates_v1", "p", now=at(14))
    assert row.values[schema.USER_HISTORY_ITEMS] == ["a", "b"]


def test_read_from_a_stalled_server_gives_up_and_recovers(store: FeatureDoor):
    store.get_user_row("ranking_v1", "u0", now=at(14))
    host, port = os.environ["MARQUEE_TEST_REDIS"].split(":")
    pid = int(Redis(host, int(port)).info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.perf_counter()
        with pytest.raises(FeatureStoreError, match="does not answer"):
            store.get_user_row("ranking_v1", "u0", now=at(14))
        seconds = time.perf_counter() - started
    finally:
        os.kill(pid, signal.SIGCONT)

    assert seconds < 0.5  # redis-py's own retries would hold the call for seconds
    assert store.get_user_row("ranking_v1", "u0", now=at(14)).is_known


def test_server_that_is_gone_is_one_clear_error(tmp_path: Path):
    text = PROFILE.format(root=tmp_path, address="127.0.0.1:1", project="gone")
    (tmp_path / "redis.yaml").write_text(text)
    build(tmp_path)
    made = FeatureDoor.of(str(tmp_path / "redis.yaml"), repo=REPO, environment={})

    made.apply(made.declarations(REPO))

    with pytest.raises(FeatureStoreError, match="does not answer"):
        made.get_user_row("ranking_v1", "u0", now=at(14))
    with pytest.raises(FeatureStoreError, match="does not answer"):
        asyncio.run(made.ask_user_row("ranking_v1", "u0", now=at(14)))
