"""At least five thousand requests of a simulated day, against each online store: none may differ."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from feast import FileSource

from marquee import schema
from marquee.adapters.feast import Declarations, FeatureDoor, Profile
from marquee.adapters.feast.simulated_day import (
    DayConfig,
    Stage,
    lists_of,
    replay_day,
    simulate_day,
    split_day,
)
from marquee.data.dataset import Dataset
from marquee.data.datasets.synthetic.config import SyntheticConfig
from marquee.data.datasets.synthetic.events import generate_events
from marquee.data.interactions import Interactions
from marquee.features.request_log import LoggedRequest, read_requests
from marquee.features.state import SideTables
from marquee.recommend import Recommender
from tests.factories import first_stage
from tests.marquee.adapters.feast.place import REPO
from tests.marquee.adapters.feast.test_redis import PROFILE

# Few users, so that one of them often asks right after an event.
EVENTS = SyntheticConfig(n_events=12_000, n_users=150, n_items=300, days=30, mean_requests_per_session=1.2)
DAY = DayConfig(requests=5_000, others_requests=5)
FEWER_EVENTS = DayConfig(requests=5_000, others_requests=20)


def events() -> tuple[pl.DataFrame, SideTables]:
    """Events of all types, and profiles of some of their users."""
    table = pl.concat(generate_events(EVENTS))
    users = table[schema.USER_ID].unique().sort()
    profiles = pl.DataFrame(
        {
            schema.USER_ID: users,
            schema.AGE: [None if place % 3 == 0 else 18 + place % 50 for place in range(len(users))],
            schema.GENDER: [("M", "F", None)[place % 3] for place in range(len(users))],
        }
    )
    return table, SideTables(users=profiles.filter(pl.col(schema.AGE).is_null() | (pl.col(schema.AGE) < 60)))


def recommender_before(table: pl.DataFrame, config: DayConfig) -> Recommender:
    """A first stage that knows the events before the day."""
    before, _ = split_day(table, config)
    known = Interactions.from_table(before)
    return first_stage(Dataset("before", "0" * 16, known))


def assert_exact(
    root: Path, door: FeatureDoor, publish: Callable[[], None] = lambda: None, *, config: DayConfig = DAY
) -> None:
    """Walk the day with this store and ask its log again."""
    table, tables = events()

    stage = Stage(root, door, REPO, tables, publish)
    serve = lists_of(recommender_before(table, config))
    day = simulate_day(stage, table, root / "log.jsonl", config=config, serve=serve)
    parity = replay_day(root, door, root / "log.jsonl")

    assert parity.differing == {}, parity.examples
    assert parity.equal == parity.requests == day.requests >= 5_000
    assert day.pushes > day.events
    lists = [line.items for line in read_requests(root / "log.jsonl") if isinstance(line, LoggedRequest)]
    assert {len(items or ()) for items in lists} == {12}


def test_simulated_day_with_sqlite_is_exact(tmp_path: Path):
    assert_exact(tmp_path, FeatureDoor.of("local", repo=REPO, environment={"MARQUEE_STATE": str(tmp_path)}))


@pytest.mark.services
def test_simulated_day_with_redis_is_exact(tmp_path: Path):
    address = os.environ["MARQUEE_TEST_REDIS"]
    profile = tmp_path / "redis.yaml"
    profile.write_text(
        PROFILE.format(root=tmp_path, address=address, project=tmp_path.name.replace("-", "_")).replace(
            "socket_timeout=0.05,socket_connect_timeout=0.05", "socket_timeout=2,socket_connect_timeout=2"
        )  # a busy machine is not a failing test
    )

    assert_exact(tmp_path, FeatureDoor.of(str(profile), repo=REPO, environment={}))


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that speaks S3 and DynamoDB, and an environment that leads there."""
    pytest.importorskip("aiobotocore", reason="feast[aws] is not installed")
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed").ThreadedMotoServer(
        port=0
    )
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_ENDPOINT_URL", "FEAST_S3_ENDPOINT_URL"):
        monkeypatch.setenv(name, address)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield address
    server.stop()


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the server's own, and Feast's
def test_simulated_day_with_the_aws_profile_is_exact(tmp_path: Path, amazon: str):
    from pyarrow import fs

    s3 = fs.S3FileSystem(
        endpoint_override=amazon.removeprefix("http://"), scheme="http", allow_bucket_creation=True
    )
    s3.create_dir("marquee")
    s3.delete_dir_contents("marquee")  # all of moto's servers in a process share their objects

    def publish() -> None:
        """Copy the state to where the profile reads it."""
        s3.create_dir("marquee/state")
        s3.delete_dir_contents("marquee/state")
        fs.copy_files(str(tmp_path / "current"), "marquee/state", destination_filesystem=s3)

    environment = {
        "FEAST_PROJECT": "parity",
        "FEAST_REGISTRY_URL": "s3://marquee/registry.db",
        "MARQUEE_STATE_URL": "s3://marquee/state",
        "AWS_REGION": "us-east-1",
    }

    class ElsewhereDoor(FeatureDoor):
        """Files are read from the server, too: Arrow, unlike boto3, asks for no AWS_ENDPOINT_URL."""

        def declarations(self, repo: Path) -> Declarations:
            declared = super().declarations(repo)
            for source in declared.sources.values():
                if isinstance(source, FileSource):
                    source.file_options.s3_endpoint_override = amazon
            return declared

    door = ElsewhereDoor(Profile.of("aws", repo=REPO, environment=environment))
    assert_exact(tmp_path, door, publish, config=FEWER_EVENTS)  # moto takes its time
