"""With a real Redis server: `make test-services` starts one and names it in MARQUEE_TEST_REDIS."""

import os
import signal
import time
from pathlib import Path

import polars as pl
import pytest
from redis import Redis

from marquee import schema
from marquee.adapters.feast import FeatureDoor
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
