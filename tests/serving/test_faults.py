"""Faults caused for real under load: no request is lost, what is missing is said, and all of it passes."""

import asyncio
import json
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from marquee.adapters.feast import FeatureDoor
from marquee.feature_state import FeatureState
from marquee.monitoring.exposure import Exposure
from marquee.monitoring.exposure_lines import exposure_files, read_exposures
from tests.serving.asking import ask, asked, count
from tests.serving.bundles import bundle_like, copy_of, export_later, point
from tests.serving.conftest import PATIENCE_S, Server, free_port, make_engine, serving, wait_until
from tests.serving.load import degraded_by, steady_load, whole
from tests.small_run import Place

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
USERS = tuple(f"u{number:03}" for number in range(12))
PATIENT = ("--user_row_timeout_ms", "500")
REDIS_PROFILE = """
project: faults
provider: local
state_root: ${{MARQUEE_STATE}}/current
registry: {{registry_type: file, path: "${{MARQUEE_STATE}}/redis_registry.db", cache_ttl_seconds: 0}}
online_store:
  type: marquee.adapters.feast.redis.QuickRedisOnlineStore
  connection_string: "127.0.0.1:{port},socket_timeout=0.3,socket_connect_timeout=0.3"
  skip_dedup: true
offline_store: {{type: marquee.adapters.feast_offline.AsofOfflineStore}}
materialization: {{online_write_batch_size: 5000}}
entity_key_serialization_version: 3
"""


@pytest.fixture
def own(trained: Place, tmp_path: Path) -> Place:
    return copy_of(trained, tmp_path / "place")


def logged(server: Server) -> list[dict[str, Any]]:
    """Lines of the server's log."""
    lines = server.log.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


# --- the store ----------------------------------------------------------------------------------------


def test_file_that_another_process_locks_is_waited_for_no_longer_than_the_limit(own, trained):
    engine = make_engine(own)
    online = own.settings.state(trained.storage) / "online.db"
    assert ask(engine, user_id="u001")["degraded_reasons"] == []
    engine.rows.timeout_s = 0.02
    with sqlite3.connect(online, isolation_level=None) as lock:
        lock.execute("BEGIN EXCLUSIVE")

        async def during() -> list[dict[str, Any]]:
            return [(await asked(engine, {"user_id": "u001"}))[0] for _ in range(8)]

        found = asyncio.run(during())
        lock.execute("ROLLBACK")
    lock.close()
    engine.rows.timeout_s = 20.0

    ends_at = time.monotonic() + PATIENCE_S
    while ask(engine, user_id="u001")["degraded"]:
        assert time.monotonic() < ends_at
        time.sleep(0.05)
    engine.close()

    reasons = [each["degraded_reasons"] for each in found]
    assert reasons == [["store_timeout"]] * 5 + [["store_paused"]] * 3
    assert all(each["items"] for each in found)
    assert count(engine, "marquee_degraded_total", reason="store_timeout") >= 5


def test_store_that_is_opened_after_the_start_is_used_without_a_restart(own, trained, tmp_path):
    state = own.settings.state(trained.storage)
    state.rename(tmp_path / "later")
    with serving(own, tmp_path, *PATIENT) as server:
        with steady_load(server, *USERS, clients=1) as load:
            load.until(degraded_by("store_absent", 5))
            assert server.metric('marquee_store_paused{store="online"}') == 1
            (tmp_path / "later").rename(state)
            load.until(whole(10))
        assert server.metric('marquee_store_paused{store="online"}') == 0
        said = [each["message"] for each in logged(server) if "rows" in each["message"]]

    assert set(load.statuses) == {200}
    assert load.lost == []
    assert len(said) == 2
    assert said[0].startswith("lists are made without users' rows: there is no registry")
    assert said[1] == "users' rows are there"


@dataclass
class OwnRedis:
    """A Redis server of the test's own."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        words = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen([*words, "--dir", str(self.folder)], stdout=subprocess.DEVNULL)
        ends_at = time.monotonic() + PATIENCE_S
        while not self._answers():
            assert time.monotonic() < ends_at
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with Redis("127.0.0.1", self.port) as client:
                return bool(client.ping())
        except RedisError:
            return False

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    made = OwnRedis(tmp_path, free_port())
    made.start()
    yield made
    made.send(signal.SIGCONT)
    made.send(signal.SIGKILL)


def materialised(door: FeatureDoor) -> None:
    door.materialise(start=EPOCH, end=datetime.now(UTC))


@pytest.mark.services
def test_redis_that_is_stopped_killed_and_emptied_under_load_loses_no_request(
    own: Place,
    trained: Place,
    redis: OwnRedis,
    tmp_path: Path,
):
    profile = tmp_path / "redis.yaml"
    profile.write_text(REDIS_PROFILE.format(port=redis.port), encoding="utf-8")
    settings = own.settings.model_copy(update={"profile": str(profile)})
    door = FeatureState.of(trained.storage, settings, environment={}).open()
    door.apply(door.declarations(settings.feature_repo))
    materialised(door)
    with serving(own, tmp_path, *PATIENT, environment={"MARQUEE_PROFILE": str(profile)}) as server:
        with steady_load(server, *USERS) as load:
            load.until(whole())
            redis.send(signal.SIGSTOP)
            stalled = load.until(degraded_by("store_paused", 30))
            redis.send(signal.SIGCONT)
            load.until(whole())
            redis.send(signal.SIGKILL)
            load.until(degraded_by("store_paused", 30))
            redis.start()
            emptied = load.until(degraded_by("row_lost", 30))
            materialised(door)
            load.until(whole(60))
        counted = {
            reason: server.metric(f'marquee_degraded_total{{reason="{reason}"}}')
            for reason in ("store_timeout", "store_error", "store_paused", "row_lost")
        }
        assert server.metric("marquee_store_paused") == 0
        assert server.metric("marquee_inflight") == 0

    assert load.lost == []
    assert set(load.statuses) == {200}
    seen = Counter(reason for each in load.predictions() for reason in each["degraded_reasons"])
    assert {reason: int(n) for reason, n in counted.items() if n} == dict(seen)
    assert seen["store_error"] + seen["store_timeout"] >= 10  # five in a row open the breaker, twice
    assert not any(each["history_events"] for each in stalled if each["degraded"])
    lost = [each for each in emptied if "row_lost" in each["degraded_reasons"]]
    assert all(each["items"] for each in lost)  # without a limit before, without one now


# --- bundles ------------------------------------------------------------------------------------------


def test_bundles_and_matrices_change_under_load_and_no_request_fails(own, trained, tmp_path):
    live, bundle = tmp_path / "live", (own.latest / "bundle").resolve()
    live.symlink_to(bundle)
    first = own.bundle_id()
    second = bundle_like(bundle, tmp_path / "second")
    bundle_like(bundle, tmp_path / "torn")
    (tmp_path / "torn" / "movies.parquet").unlink()
    third = bundle_like(bundle, tmp_path / "third")

    def answers(bundle_id: str) -> Callable[[list[Any]], bool]:
        return lambda found: bool(found) and found[-1]["bundle_id"] == bundle_id

    with serving(own, tmp_path, *PATIENT, model_dir=live) as server:
        with steady_load(server, *USERS) as load:
            load.until(answers(first))
            age_before = server.metric("marquee_item_matrix_age_seconds")
            point(live, tmp_path / "second")
            load.until(answers(second))
            point(live, tmp_path / "torn")
            wait_until(lambda: server.metric("marquee_bundle_refused_total") >= 1, server)
            after_refusal = load.until(lambda found: len(found) >= 60)  # several looks long
            refused = server.metric("marquee_bundle_refused_total")
            live.unlink()
            (tmp_path / "third").rename(live)
            load.until(answers(third))
            matrices = own.settings.item_matrix(trained.storage)
            matrix = export_later(matrices, as_of=datetime.now(UTC), favourite="m050")
            wait_until(lambda: server.metric("marquee_item_matrix_age_seconds") < 3_600, server)
            trending = server.predict({"surface": "trending", "n": 1}).prediction
        lines = logged(server)
        info = [line for line in server.call("/metrics").body.decode().splitlines() if "bundle_info{" in line]
        assert server.stop() == 0

    assert load.lost == []
    assert set(load.statuses) == {200}
    assert {each["bundle_id"] for each in load.predictions()} == {first, second, third}
    assert {each["bundle_id"] for each in after_refusal} == {second}
    assert refused == 1
    assert sum("movies.parquet can't be read" in each["message"] for each in lines) == 1
    assert age_before > 50 * 365 * 86_400
    assert [item["item_id"] for item in trending["items"]] == ["m050"]
    assert len(info) == 1
    assert third in info[0]
    exposures = [each for file in exposure_files(tmp_path / "exposures") for each in read_exposures(file)]
    assert len(exposures) == len(load.replies) + 1  # SIGTERM flushes
    last = next(each for each in exposures if isinstance(each, Exposure) and each.surface == "trending")
    assert (last.item_matrix_version, last.bundle_id) == (matrix.version, third)
