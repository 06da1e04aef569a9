"""Runs that are killed, starved of disk, or run beside each other leave nothing half done."""

import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from marquee.bundle import verify_bundle
from tests.small_run import Place, process_environment, run_process

DRIVER = Path(__file__).with_name("killed_run.py")

POINTS = [
    "stage:fetch and ingest",
    "commit:warehouse",
    "stage:training set",
    "advance:ranker",
    "stage:evaluate",
    "bundle:manifest",
    "bundle:second",
    "rename:run",
    "point:latest",
]
"""Where `killed_run.py` dies; the last two lie before and after the renaming that ends a run."""


@pytest.fixture(scope="module")
def undisturbed_id(trained: Place) -> str:
    """The bundle id of a run that nobody disturbed."""
    return trained.bundle_id()


def drive(place: Place, point: str) -> subprocess.CompletedProcess[str]:
    """Train in a child that kills itself with SIGKILL at a point."""
    return subprocess.run(
        [sys.executable, str(DRIVER), point, str(place.root)],
        env=process_environment(place),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def require_whole_runs(place: Place) -> None:
    """Assert that whatever claims to be finished is, and that its bundles verify."""
    for name in place.finished_runs():
        run = place.runs / name
        assert (run / "metrics.json").is_file()
        for kind in ("bundle", "evaluated"):
            assert verify_bundle(run / kind).bundle_id


@pytest.mark.parametrize("point", POINTS)
def test_run_killed_at_any_point_leaves_nothing_half_and_the_next_succeeds(
    place: Place, undisturbed_id: str, point: str
):
    killed = drive(place, point)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not place.latest.is_symlink()
    assert not (place.runs / f"champion-{place.storage}").is_symlink()
    require_whole_runs(place)
    left = place.partial_runs()
    assert len(left) + len(place.finished_runs()) == 1

    summary = place.train()

    assert summary.bundle_id == undisturbed_id
    assert place.partial_runs() == []
    assert place.latest.resolve() == summary.folder.resolve()
    require_whole_runs(place)


def test_run_killed_after_another_leaves_that_one_the_latest(place: Place):
    first = place.train().folder

    killed = drive(place, "bundle:manifest")

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert place.latest.resolve() == first.resolve()
    assert (place.runs / f"champion-{place.storage}").resolve() == first.resolve()
    assert place.finished_runs() == [first.name]


def test_driver_that_is_not_killed_makes_the_undisturbed_bundle(place: Place, undisturbed_id: str):
    done = drive(place, "nowhere")

    assert done.returncode == 0, done.stderr
    assert place.bundle_id() == undisturbed_id


def test_run_beside_a_living_one_leaves_it_alone_and_both_finish(place: Place, undisturbed_id: str):
    command = [sys.executable, str(DRIVER), "pause:training set", str(place.root)]
    with subprocess.Popen(
        command, env=process_environment(place), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "paused\n"
        ours = place.train()
        theirs = place.partial_runs()
        other.communicate("go on\n", timeout=120)

    assert other.returncode == 0
    assert len(theirs) == 1
    assert place.finished_runs() == sorted([theirs[0].removesuffix(".partial"), ours.folder.name])
    assert {place.bundle_id(run) for run in place.finished_runs()} == {undisturbed_id}


@pytest.mark.parametrize("limit_bytes", [100, 2_000, 12_000])  # below 4, no library has a temporary folder
def test_run_on_a_full_disk_ends_in_one_clear_error(place: Place, limit_bytes: int):
    done = subprocess.run(
        [sys.executable, "-m", "marquee", *place.train_arguments],
        env=process_environment(place, {"PYTHONDONTWRITEBYTECODE": "1"}),
        cwd=place.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes)),
    )

    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(("error: ", "remedy: "))]
    assert [line.split(":")[0] for line in lines] == ["error", "remedy"], done.stderr
    assert "File too large" in lines[0]
    assert str(place.root) in lines[0]
    assert place.finished_runs() == []
    assert place.partial_runs() == []


def test_run_after_a_full_disk_succeeds(place: Place, undisturbed_id: str):
    limit = (12_000, 12_000)
    subprocess.run(
        [sys.executable, "-m", "marquee", *place.train_arguments],
        env=process_environment(place, {"PYTHONDONTWRITEBYTECODE": "1"}),
        capture_output=True,
        check=False,
        timeout=120,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, limit),
    )

    assert place.train().bundle_id == undisturbed_id


def test_spine_from_events_to_a_list_in_processes_of_their_own(trained: Place):
    listed = run_process(["recommend", "--user", "u003", "--json"], at=trained)
    verified = run_process(["bundle", "verify", "--json"], at=trained)
    measured = run_process(["evaluate", "--json"], at=trained)

    assert listed.json["bundle_id"] == verified.json["bundle_id"] == trained.bundle_id()
    assert measured.json["models"]["two_stage"]["ndcg@10"] > measured.json["models"]["popular"]["ndcg@10"]
    assert (listed.err, verified.err) == ("", "")
