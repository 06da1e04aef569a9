"""`marquee data track`, `push`, `pull` and `marquee train --data-rev`, in a git repository of their own."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import pytest

from marquee import schema
from marquee.data.warehouse import Warehouse
from tests.small_run import DATASET, Outcome, Place, run_here


def git(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],  # noqa: S607 - git is where the machine has it
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    return done.stdout.strip()


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory):
    """Neither git's nor DVC's settings of this machine's user, nor their folders."""
    own = tmp_path_factory.mktemp("dvc")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        for variable in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
            monkeypatch.setenv(variable, str(own / variable))
        for person in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{person}_NAME", "a")
            monkeypatch.setenv(f"GIT_{person}_EMAIL", "a@example.org")
        yield


def in_git(place: Place) -> Place:
    """A place in a git repository that tracks neither data nor runs."""
    git(place.root, "init", "--quiet")
    (place.root / ".gitignore").write_text("/data/\n/runs/\n/source/\n", encoding="utf-8")
    return place


@pytest.fixture
def project(place: Place) -> Place:
    """A project of the test's own in which nothing ran."""
    return in_git(place)


@dataclass(frozen=True)
class History:
    """A project with two revisions of its data, both only on the remote."""

    place: Place
    first: Any
    second: Any
    """What `marquee train` said of each."""
    first_commit: str
    parts: dict[Path, tuple[bytes, int]]
    """Content and mode of the warehouse's parts before they were tracked first."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Train, track, commit, push; again with one more event; lose the cache.

    The first commit is older than the remote.
    """
    place = in_git(Place.made(tmp_path_factory.mktemp("history") / "project"))
    first = train(place).json
    root = place.settings.warehouse(place.storage)
    parts = {path: (path.read_bytes(), path.stat().st_mode) for path in root.rglob("*.parquet")}
    data("track", at=place)
    first_commit = commit(place)
    pushes = [data("push", "--remote", str(place.root.parent / "remote"), at=place)]
    add_an_event(place)
    second = train(place).json
    data("track", at=place)
    commit(place)
    pushes.append(data("push", at=place))
    assert [pushed.code for pushed in pushes] == [0, 0], pushes
    shutil.rmtree(place.root / ".dvc" / "cache")
    return History(place, first, second, first_commit, parts)


def data(command: str, *more: str, at: Place) -> Outcome:
    arguments = ("data", command, DATASET, "--source", at.root / "source", *more, "--json")
    with mock.patch.dict(environ, {"MARQUEE_TRACKED": str(at.root / "tracked")}):
        return run_here(*arguments, at=at)


def commit(at: Place) -> str:
    git(at.root, "add", "--all")
    git(at.root, "commit", "--quiet", "--message", "data")
    return git(at.root, "rev-parse", "HEAD")


def add_an_event(at: Place) -> None:
    """One more rating, by the first user, a second after the last one of all."""
    events = pl.read_csv(
        at.root / "source" / "events.csv",
        schema_overrides={schema.USER_ID: pl.String, schema.ITEM_ID: pl.String},
    )
    last = events.sort(schema.TIMESTAMP).tail(1)
    later = (
        pl.col(schema.TIMESTAMP)
        .str.to_datetime("%Y-%m-%dT%H:%M:%SZ")
        .dt.offset_by("1s")
        .dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
    pl.concat([events, last.with_columns(later)]).write_csv(at.root / "source" / "events.csv")


def train(at: Place, *more: str) -> Outcome:
    with mock.patch.dict(environ, {"MARQUEE_TRACKED": str(at.root / "tracked")}):
        return run_here(*at.train_arguments, *more, "--json", at=at)


def test_revision_trains_the_bundle_of_its_data_and_leaves_the_present(history: History):
    place = history.place
    warehouse = Warehouse(place.settings.warehouse(place.storage))
    present = warehouse.contents
    champion = (place.runs / f"champion-{place.storage}").resolve()

    trained = train(place, "--data-rev", history.first_commit[:10])

    assert trained.code == 0, trained
    again = trained.json

    assert history.first["bundle_id"] != history.second["bundle_id"]
    assert again["bundle_id"] == history.first["bundle_id"]
    assert again["snapshot"] == history.first["snapshot"]
    assert again["notes"] == [f"data of revision {history.first_commit[:12]}, not the present ones"]
    assert Path(again["run"]).resolve() == place.latest.resolve()
    assert warehouse.contents == present
    assert (place.runs / f"champion-{place.storage}").resolve() == champion != place.latest.resolve()
    assert git(place.root, "status", "--porcelain") == ""


def test_what_git_tracks_is_small_and_no_copy_is_left(history: History):
    folder = history.place.root / "tracked"
    pointer = folder / f"{history.place.storage}.dvc"

    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", pointer.name]
    assert pointer.stat().st_size < 500
    files = git(history.place.root, "ls-files").splitlines()
    assert f"tracked/{pointer.name}" in files
    assert not [name for name in files if name.endswith(".parquet")]


def test_repository_begun_by_track_sends_no_analytics_and_asks_for_no_updates(history: History):
    config = (history.place.root / ".dvc" / "config").read_text(encoding="utf-8")

    assert "analytics = false" in config
    assert "check_update = false" in config


def test_tracked_parts_of_the_warehouse_stay_as_they_were(history: History):
    now = {path: (path.read_bytes(), path.stat().st_mode) for path in history.parts if path.exists()}

    assert len(now) >= len(history.parts) - 1  # the added event replaced its month's part
    assert now == {path: history.parts[path] for path in now}


def test_pull_makes_the_warehouse_of_a_clone_and_then_leaves_it(history: History, tmp_path: Path):
    place = history.place
    git(place.root, "clone", "--quiet", str(place.root), str(tmp_path / "clone"))
    shutil.copytree(place.root / "source", tmp_path / "clone" / "source")
    clone = Place(tmp_path / "clone")
    # The name of a warehouse of one's own files tells their path, which differs in a clone.
    tracked = clone.root / "tracked" / f"{place.storage}.dvc"
    theirs = tracked.with_name(f"{clone.storage}.dvc")
    theirs.write_text(
        tracked.read_text(encoding="utf-8").replace(place.storage, clone.storage), encoding="utf-8"
    )

    pulled = data("pull", at=clone).json

    warehouse = Warehouse(clone.settings.warehouse(clone.storage))
    assert (pulled["snapshot"], pulled["is_present"]) == (history.second["snapshot"], True)
    assert warehouse.snapshot().id == history.second["snapshot"]

    add_an_event(clone)
    third = data("fetch", at=clone).json["snapshot"]
    pulled = data("pull", at=clone).json

    assert (pulled["snapshot"], pulled["is_present"]) == (history.second["snapshot"], False)
    assert warehouse.snapshot().id == third
    assert len(warehouse.read_interactions(third)) == len(warehouse.read_interactions(pulled["snapshot"])) + 1


def test_damaged_part_is_not_tracked(project: Place):
    data("fetch", at=project)
    part = next(project.settings.warehouse(project.storage).glob("interactions/*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"0")

    data("track", at=project).require_error("its content was changed")

    assert not (project.root / "tracked" / f"{project.storage}.dvc").exists()


def test_track_and_push_say_what_is_next_and_lost_content_is_refused(project: Place, monkeypatch):
    monkeypatch.setenv("MARQUEE_TRACKED", str(project.root / "tracked"))
    data("fetch", at=project)

    tracked = run_here("data", "track", DATASET, "--source", project.root / "source", at=project)
    commit(project)

    assert "git add" in tracked.out
    data("push", at=project).require_error("--remote")
    shutil.rmtree(project.root / ".dvc" / "cache")
    train(project, "--data-rev", "HEAD").require_error("dvc get", "marquee data push")
    assert project.finished_runs() == project.partial_runs() == []
    assert [*(project.settings.data / "revisions").rglob("warehouse.json")] == []


def test_revision_without_the_data_set_and_unknown_revision_are_refused(project: Place):
    commit(project)

    train(project, "--data-rev", "HEAD").require_error(f"holds no tracked/{project.storage}.dvc")
    train(project, "--data-rev", "no-such").require_error("no revision 'no-such'")
    train(project, "--data-rev", "--help").require_error("no revision '--help'")


def test_push_and_pull_of_what_is_not_tracked_are_refused(project: Place):
    for command in ("push", "pull"):
        data(command, at=project).require_error("is not tracked", "marquee data track")


def test_track_outside_of_a_git_repository_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(place.root.parent))
    data("fetch", at=place)

    data("track", at=place).require_error("no git repository", "git init")


@pytest.mark.services
@pytest.mark.filterwarnings("default")  # the server's own
def test_s3_remote_gives_the_data_of_a_revision(project: Place, monkeypatch: pytest.MonkeyPatch):
    import boto3

    server = pytest.importorskip("moto.server", reason="moto[server] is not installed").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0
    )
    server.start()
    try:
        host, port = server.get_host_and_port()
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(variable, "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        bucket = boto3.session.Session().client("s3")
        bucket.create_bucket(Bucket="data-versions")
        first = data("fetch", at=project).json["snapshot"]
        data("track", at=project)
        commit(project)
        pushed = data("push", "--remote", "s3://data-versions/dvc", at=project)
        assert pushed.code == 0, pushed
        shutil.rmtree(project.root / ".dvc" / "cache")

        trained = train(project, "--data-rev", "HEAD")

        assert json.loads(trained.out)["snapshot"] == first
        stored = bucket.list_objects_v2(Bucket="data-versions")["Contents"]
        assert all(entry["Key"].startswith("dvc/files/md5/") for entry in stored)
    finally:
        server.stop()
