"""Two processes write one user's row: whichever comes last, the newer row stays."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import polars as pl
import pytest

from marquee import schema
from marquee.adapters.feast import FeatureDoor
from marquee.features.state.activity import user_activity
from marquee.features.state.events import resolved
from tests.factories import DAY_S, event_table
from tests.marquee.adapters.feast.place import REPO, at, build, door
from tests.marquee.adapters.feast.test_redis import PROFILE

ROOT = Path(__file__).parents[4]


def row(number: int) -> pl.DataFrame:
    """The user's row after an event so many microseconds after the first day."""
    return user_activity(resolved(event_table([("racer", "a", DAY_S + number / 1e6)])))


def seen(made: FeatureDoor) -> int:
    """The number of the row that is stored."""
    time_us = made.get_user_row("candidates_v1", "racer", now=at(14)).values[schema.USER_LAST_US]
    return int(time_us) - DAY_S * 1_000_000


def child(code: str, *arguments: str) -> subprocess.Popen:
    imports = """
        import random, sys
        from datetime import timedelta
        from pathlib import Path
        from feast.protos.feast.types.EntityKey_pb2 import EntityKey
        from feast.protos.feast.types.Value_pb2 import Value
        from marquee.adapters.feast import FeatureDoor, compare_and_set
        from tests.marquee.adapters.feast.place import REPO, at, door
        from tests.marquee.adapters.feast.test_compare_and_set import row
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(imports) + textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


STOPS_BETWEEN = """
    read = compare_and_set.stored_times_us

    def read_and_wait(*arguments):
        times = read(*arguments)
        print("compared", flush=True)
        sys.stdin.readline()
        return times

    compare_and_set.stored_times_us = read_and_wait
    print("written", door(Path(sys.argv[1])).push("user_activity", row(1)).written)
"""


def test_process_stopped_between_compare_and_write_does_not_replace_a_newer_row_in_sqlite(tmp_path: Path):
    build(tmp_path)
    made = door(tmp_path)
    made.apply(made.declarations(REPO))

    with child(STOPS_BETWEEN, str(tmp_path)) as older, ThreadPoolExecutor(1) as thread:
        assert older.stdout is not None
        assert older.stdin is not None
        assert older.stdout.readline() == "compared\n"
        newer = thread.submit(lambda: made.push("user_activity", row(2)).written)
        sleep(0.2)
        assert not newer.done()  # it waits for the other process's transaction
        older.stdin.write("go on\n")
        older.stdin.flush()
        assert older.stdout.read() == "written 1\n"
        assert newer.result(timeout=30) == 1

    assert seen(made) == 2
    assert made.push("user_activity", row(1)).written == 0


def test_failed_write_leaves_no_transaction_open_in_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    build(tmp_path)
    made = door(tmp_path)
    made.apply(made.declarations(REPO))

    def interrupted(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("marquee.adapters.feast.compare_and_set.stored_times_us", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made.push("user_activity", row(1))

    other = door(tmp_path)
    assert other.push("user_activity", row(2)).written == 1
    assert made.push("user_activity", row(3)).written == 1


RACES = """
    made = FeatureDoor.of(sys.argv[1], repo=REPO, environment={})
    view, config = made.views["user_profile"], made.store.config
    online = made.store._get_provider().online_store
    key = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val="racer")])
    rng = random.Random(sys.argv[2])

    def age():
        return int(made.get_user_row("ranking_v1", "racer", now=at(14)).values["user_age"] or 0)

    age()
    print("ready", flush=True)
    sys.stdin.readline()
    written = overwritten = 0
    for _ in range(1000):
        number = age() + rng.randint(1, 5)
        values = {field.name: Value() for field in view.features} | {"user_age": Value(float_val=number)}
        moment = at(1) + timedelta(microseconds=number)
        written += online.write_newer(config, view, [(key, values, moment, moment)])
        overwritten += age() < number
    print(written > 100, overwritten)
"""


@pytest.mark.services
def test_two_processes_that_race_for_one_user_never_lose_the_newer_row_in_redis(tmp_path: Path):
    address, project = os.environ["MARQUEE_TEST_REDIS"], tmp_path.name.replace("-", "_")
    profile = tmp_path / "redis.yaml"
    text = PROFILE.format(root=tmp_path, address=address, project=project)
    profile.write_text(text.replace("timeout=0.05", "timeout=20"))  # a slow machine is no matter here
    build(tmp_path)
    made = FeatureDoor.of(str(profile), repo=REPO, environment={})
    made.apply(made.declarations(REPO))

    racers = [child(RACES, str(profile), str(first)) for first in (0, 1)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.communicate(timeout=120)[0] for racer in racers]

    assert answers == ["True 0\n"] * 2


def test_older_row_is_refused_by_dynamodb_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    moto = pytest.importorskip("moto", reason="moto is not installed")
    pytest.importorskip("aiobotocore", reason="feast[aws] is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    text = (REPO / "profiles" / "local.yaml").read_text()
    sqlite = 'online_store: {type: sqlite, path: "${MARQUEE_STATE}/online.db"}'
    assert sqlite in text
    profile = tmp_path / "dynamodb.yaml"
    profile.write_text(text.replace(sqlite, "online_store: {type: dynamodb, region: eu-west-1}"))
    build(tmp_path)

    with moto.mock_aws():
        made = door(tmp_path, str(profile))
        made.apply(made.declarations(REPO))
        # Nothing is read before: what is compared is compared by the store.
        monkeypatch.delattr("marquee.adapters.feast.compare_and_set.stored_times_us")
        written = [made.push("user_activity", row(number)).written for number in (5, 4, 5, 1_000_000)]

        assert written == [1, 0, 1, 1]
        assert seen(made) == 1_000_000
