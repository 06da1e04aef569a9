import fcntl
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from marquee.errors import BundleError, ConfigError
from marquee.run_folder import (
    RunError,
    champion_config,
    crown,
    find_bundle,
    finished_path,
    new_run,
    write_config,
    write_json,
)
from tests.small_run import NOW, Place, process_environment, recipe

HOLD_A_RUN_OPEN = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from marquee.run_folder import new_run

with new_run(Path(sys.argv[1]), now=datetime(2024, 1, 1, tzinfo=UTC)) as partial:
    print(partial, flush=True)
    sys.stdin.read()
"""


def names(runs: Path) -> list[str]:
    return sorted(path.name for path in runs.iterdir() if path.name != ".lock")


def test_new_run_while_it_works_is_partial_and_not_the_latest(tmp_path: Path):
    runs = tmp_path / "runs"

    with new_run(runs, now=NOW) as partial:
        assert names(runs) == [partial.name]
        assert partial.name.startswith("20240601-000000-")
        assert partial.name.endswith(".partial")


def test_new_run_when_done_is_the_latest_with_its_content(tmp_path: Path):
    with new_run(tmp_path, now=NOW) as partial:
        (partial / "metrics.json").write_text("{}", encoding="utf-8")

    finished = finished_path(partial)
    assert names(tmp_path) == [finished.name, "latest"]
    assert [path.name for path in finished.iterdir()] == ["metrics.json"]
    assert (tmp_path / "latest").resolve() == finished.resolve()


def fail_half_way(runs: Path) -> None:
    with new_run(runs, now=NOW) as partial:
        (partial / "half").write_text("done", encoding="utf-8")
        raise LookupError


def test_new_run_that_fails_leaves_the_latest_and_nothing_else(tmp_path: Path):
    with new_run(tmp_path, now=NOW) as first:
        pass

    with pytest.raises(LookupError):
        fail_half_way(tmp_path)

    assert names(tmp_path) == [finished_path(first).name, "latest"]
    assert (tmp_path / "latest").resolve() == finished_path(first).resolve()


def test_new_run_twice_in_a_second_makes_two_folders(tmp_path: Path):
    with new_run(tmp_path, now=NOW) as first:
        pass
    with new_run(tmp_path, now=NOW) as second:
        pass

    assert finished_path(first) != finished_path(second)
    assert (tmp_path / "latest").resolve() == finished_path(second).resolve()


def test_new_run_removes_what_a_dead_run_left(tmp_path: Path):
    orphan = tmp_path / "20240101-000000-abcdef.partial"
    orphan.mkdir()
    (orphan / ".lock").touch()
    (orphan / "half").touch()

    with new_run(tmp_path, now=NOW):
        assert not orphan.exists()


def test_new_run_removes_what_a_run_left_that_died_before_its_lock(tmp_path: Path):
    orphan = tmp_path / "20240101-000000-abcdef.partial"
    orphan.mkdir()

    with new_run(tmp_path, now=NOW):
        assert not orphan.exists()


def test_new_run_leaves_a_partial_folder_whose_owner_holds_its_lock(tmp_path: Path):
    alive = tmp_path / "20240101-000000-abcdef.partial"
    alive.mkdir()
    with (alive / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with new_run(tmp_path, now=NOW):
            pass

        assert alive.is_dir()


def test_new_run_leaves_the_partial_folder_of_a_living_process(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_A_RUN_OPEN, str(tmp_path)],
        env=process_environment(Place(tmp_path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())

        with new_run(tmp_path, now=NOW) as ours:
            assert theirs.is_dir()
        assert theirs.is_dir()
        other.communicate()

    assert other.returncode == 0
    assert names(tmp_path) == sorted([finished_path(theirs).name, finished_path(ours).name, "latest"])


def test_new_run_in_a_folder_that_is_a_file_names_it(tmp_path: Path):
    in_the_way = tmp_path / "runs"
    in_the_way.touch()

    with pytest.raises(RunError, match=str(in_the_way)), new_run(in_the_way, now=NOW):
        pass


def test_crown_replaces_the_champion_of_that_data_set_only(tmp_path: Path):
    for name, seed in (("one", 1), ("two", 2), ("other", 3)):
        (tmp_path / name).mkdir()
        write_config(tmp_path / name / "config.yaml", recipe(seed=seed))

    crown(tmp_path, tmp_path / "one", "a")
    crown(tmp_path, tmp_path / "other", "b")
    crown(tmp_path, tmp_path / "two", "a")

    champions = [champion_config(tmp_path, name) for name in ("a", "b")]
    assert [champion.seed for champion in champions if champion] == [2, 3]


def test_champion_config_without_a_champion_is_none(tmp_path: Path):
    assert champion_config(tmp_path, "ml-100k") is None


def test_champion_config_with_a_key_of_another_release_names_it(tmp_path: Path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.yaml").write_text("forgotten_key: 1\n", encoding="utf-8")
    crown(tmp_path, tmp_path / "old", "a")

    with pytest.raises(ConfigError, match="forgotten_key"):
        champion_config(tmp_path, "a")


def test_write_config_is_read_back_equal(tmp_path: Path):
    config = recipe(seed=11)

    write_config(tmp_path / "config.yaml", config)

    assert type(config).from_file(tmp_path / "config.yaml") == config


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_write_json_refuses_what_is_no_json(tmp_path: Path, value: float):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "metrics.json", {"ndcg@10": value})


def test_find_bundle_of_a_run_chooses_the_kind(trained: Place):
    run = trained.latest.resolve()

    assert find_bundle(trained.runs, run) == run / "bundle"
    assert find_bundle(trained.runs, run, kind="evaluated") == run / "evaluated"
    assert find_bundle(trained.runs, run / "bundle", kind="evaluated") == run / "bundle"


def test_find_bundle_in_a_folder_without_a_run_says_so(tmp_path: Path):
    with pytest.raises(BundleError, match="holds no finished run"):
        find_bundle(tmp_path, None)


def test_find_bundle_of_an_unfinished_write_is_refused(tmp_path: Path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text(json.dumps({"schema_version": 1}), encoding="utf-8")

    with pytest.raises(BundleError, match="manifest"):
        find_bundle(tmp_path, tmp_path)
