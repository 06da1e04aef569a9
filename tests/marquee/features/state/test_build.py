"""However events come in, whole or in batches, late or again, the state is the same, bit for bit."""

import os
import signal
import subprocess
import sys
import textwrap
from datetime import date
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from marquee import schema
from marquee.errors import FeatureStoreError, NotEnoughDataError, WarehouseError
from marquee.features.state import (
    SideTables,
    StateConfig,
    StateFolder,
    activity,
    buckets,
    build,
    build_state,
    update_state,
)
from marquee.features.state.folder import CONTENTS
from tests.factories import DAY_S, event_table

USERS = pl.DataFrame({"user_id": ["u0", "u1"], "age": [20, 40], "gender": ["M", "F"]})
TABLES = SideTables(users=USERS)
SMALL = StateConfig(n_buckets=2)

event = st.tuples(
    st.sampled_from(["u0", "u1", "u2"]),
    st.sampled_from(["a", "b", "c"]),
    # Within a month, and across months that cool while events come.
    st.one_of(st.integers(0, 40), st.integers(0, 260)).map(lambda half_days: half_days * DAY_S / 2),
    st.sampled_from([None, 1.0, 2.5, 0.1]),
    st.sampled_from(["rating", "view", "click"]),
)


def frames(root: Path) -> dict[str, pl.DataFrame]:
    folder = StateFolder(root)
    return {
        view: folder.scan(view).collect().sort(schema.VIEW_KEYS[view], schema.EVENT_TIMESTAMP)
        for view in schema.FEATURE_VIEWS
    }


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(event, min_size=1, max_size=25), st.lists(st.integers(0, 25), max_size=3), st.randoms())
@example([("u0", "a", 86_400.0, None, "view"), ("u0", "a", 0.0, None, "view")], [1], None)
def test_update_in_any_batches_with_repeats_equals_one_build(rows, cuts, random):
    batches = [
        rows[low:high] for low, high in pairwise([0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)])
    ]
    repeated = [*batches, rows[: len(rows) // 2]]
    if random is not None:
        random.shuffle(repeated)
    first = next(batch for batch in repeated if batch)

    with TemporaryDirectory() as folder:
        whole, stepwise = Path(folder, "whole"), Path(folder, "stepwise")
        report = build_state(whole, event_table(rows), tables=TABLES, config=SMALL)
        build_state(stepwise, event_table(first), tables=TABLES, config=SMALL)
        for batch in repeated:
            last = update_state(stepwise, event_table(batch), tables=TABLES)

        for view, frame in frames(whole).items():
            assert frame.equals(frames(stepwise)[view]), view
        assert last.state_id == report.state_id


def test_state_does_not_depend_on_what_is_worked_on_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = [(f"u{number % 3}", f"m{number}", number * DAY_S, number % 5) for number in range(60)]
    at_once = build_state(tmp_path / "at once", event_table(rows), config=SMALL)
    monkeypatch.setattr(build, "_FEW_CHANGES", 0)  # bucket by bucket
    monkeypatch.setattr(buckets, "_FEW_EVENTS", 0)  # slice by slice
    monkeypatch.setattr(activity, "_BLOCK_EVENTS", 7)  # a few histories at a time

    build_state(tmp_path / "in pieces", event_table(rows[:40]), config=SMALL)
    in_pieces = update_state(tmp_path / "in pieces", event_table(rows[40:]))

    assert in_pieces.state_id == at_once.state_id


def files(root: Path) -> dict[str, int]:
    """Inodes of the current version's files by path: a file that stayed is the same one."""
    version = (root / "current").resolve()
    return {str(path.relative_to(version)): path.stat().st_ino for path in version.rglob("*.parquet")}


def test_update_of_tomorrow_writes_its_day_and_keeps_all_else(tmp_path: Path):
    old = [("u0", "a", 0), ("u1", "b", 39 * DAY_S), ("u1", "d", 40 * DAY_S)]
    build_state(tmp_path, event_table(old), config=StateConfig(n_buckets=1))
    before = files(tmp_path)

    report = update_state(tmp_path, event_table([("u1", "c", 41 * DAY_S)]))

    after = files(tmp_path)
    assert {name for name, inode in after.items() if before.get(name) != inode} == {
        "events/month=1970-02/day=11.events.parquet",
        "choices/month=1970-02/day=11.bucket=000.parquet",
        "user_activity/month=1970-02/day=11.bucket=000.parquet",
        "daily_sums/month=1970-02/day=11.sums.parquet",
        "movie_statistics/month=1970-02/day=12.statistics.parquet",
    }
    assert set(before) - set(after) == set()
    assert "user_activity/month=1970-01/bucket=000.parquet" in after  # long over: one file
    assert report.written_parts == 5
    assert report.changed_events == 1
    assert report.touched_users == 1
    assert report.changed_since_us == 41 * DAY_S * 1_000_000


def test_update_with_the_same_events_changes_nothing(tmp_path: Path):
    rows = event_table([("u0", "a", 0, 3.0), ("u0", "b", 5)])
    first = build_state(tmp_path, rows)

    second = update_state(tmp_path, rows)

    assert second.state_id == first.state_id
    assert (second.changed_events, second.touched_users, second.changed_since_us) == (0, 0, None)


def test_update_without_events_changes_nothing(tmp_path: Path):
    first = build_state(tmp_path, event_table([("u0", "a", 0, 3.0)]))

    second = update_state(tmp_path, event_table([]))

    assert (second.state_id, second.changed_events) == (first.state_id, 0)


def test_update_by_impressions_logs_them_and_leaves_the_views(tmp_path: Path):
    build_state(tmp_path, event_table([("u0", "a", DAY_S)]))
    before = files(tmp_path)

    report = update_state(tmp_path, event_table([("u0", "b", 0, None, "impression")]))

    after = files(tmp_path)
    assert (report.events, report.changed_events, report.changed_since_us) == (2, 1, 0)
    assert {name for name, inode in after.items() if before.get(name) != inode} == {
        "events/month=1970-01/day=01.events.parquet",
        "movie_statistics/month=1970-01/day=02.statistics.parquet",  # empty: nothing was chosen before
    }


def test_update_through_an_earlier_day_takes_later_statistics_back(tmp_path: Path):
    rows = event_table([("u0", "a", 0), ("u1", "b", 20 * DAY_S)])
    build_state(tmp_path / "longer", rows, through=date(1970, 5, 1))

    report = update_state(tmp_path / "longer", rows)

    assert report.state_id == build_state(tmp_path / "whole", rows).state_id


def test_update_with_other_profiles_counts_audiences_anew(tmp_path: Path):
    rows = event_table([("u0", "a", 0)])
    build_state(tmp_path / "changed", rows, tables=TABLES)
    older = SideTables(users=USERS.with_columns(pl.lit(60).alias("age")))

    update_state(tmp_path / "changed", rows, tables=older)

    build_state(tmp_path / "whole", rows, tables=older)
    changed, whole = frames(tmp_path / "changed"), frames(tmp_path / "whole")
    assert changed[schema.MOVIE_STATISTICS_VIEW].equals(whole[schema.MOVIE_STATISTICS_VIEW])
    assert changed[schema.MOVIE_STATISTICS_VIEW][schema.ITEM_AUDIENCE_AGE_MEAN].to_list() == [60.0]


def test_build_through_a_later_day_goes_on_counting_without_events(tmp_path: Path):
    build_state(tmp_path, event_table([("u0", "a", 0)]), through=date(1970, 1, 10))

    table = frames(tmp_path)[schema.MOVIE_STATISTICS_VIEW]

    assert table[schema.EVENT_TIMESTAMP].dt.date().to_list() == [date(1970, 1, day) for day in range(2, 11)]
    assert table[schema.ITEM_EVENTS_1D].to_list() == [1.0, *[0.0] * 8]
    assert table[schema.ITEM_EVENTS_7D].to_list() == [*[1.0] * 7, 0.0, 0.0]


def test_build_without_events_is_refused_and_leaves_nothing(tmp_path: Path):
    with pytest.raises(NotEnoughDataError):
        build_state(tmp_path, event_table([]))

    assert StateFolder(tmp_path).contents() is None


def test_update_before_any_build_is_refused(tmp_path: Path):
    with pytest.raises(FeatureStoreError, match="there is no state"):
        update_state(tmp_path, event_table([("u0", "a", 0)]))


def test_damaged_contents_are_one_clear_error(tmp_path: Path):
    build_state(tmp_path, event_table([("u0", "a", 0)]))
    (tmp_path / "current" / CONTENTS).write_text('{"version": 2}')

    with pytest.raises(FeatureStoreError, match="another version"):
        StateFolder(tmp_path).require()


def test_second_writer_is_refused_while_the_first_writes(tmp_path: Path):
    with StateFolder(tmp_path).writing(), pytest.raises(WarehouseError, match="another process"):
        build_state(tmp_path, event_table([("u0", "a", 0)]))


KILLED = textwrap.dedent(
    """
    import sys
    from marquee.features.state import update_state
    from marquee.features.state.folder import StateDraft
    from tests.factories import event_table

    n_writes, write = int(sys.argv[2]), StateDraft.write

    def write_and_stop(self, *arguments):
        global n_writes
        if n_writes == 0:
            print("stopped", flush=True)
            sys.stdin.read()
        n_writes -= 1
        write(self, *arguments)

    StateDraft.write = write_and_stop
    update_state(sys.argv[1], event_table([("u1", "c", 41 * 86400)]))
    """
)


@pytest.mark.parametrize("n_writes", [0, 2, 4])
def test_build_killed_between_two_files_leaves_the_state_before_and_can_be_repeated(
    tmp_path: Path, n_writes: int
):
    old, new = [("u0", "a", 0), ("u1", "b", 40 * DAY_S)], [("u1", "c", 41 * DAY_S)]
    before = build_state(tmp_path / "killed", event_table(old))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), str(n_writes)]
    root = Path(__file__).parents[4]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"stopped\n"
        process.send_signal(signal.SIGKILL)

    assert StateFolder(tmp_path / "killed").require().id == before.state_id
    repeated = update_state(tmp_path / "killed", event_table(new))

    whole = build_state(tmp_path / "whole", event_table([*old, *new]))
    assert repeated.state_id == whole.state_id
    assert not (tmp_path / "killed" / ".staging").exists()


def test_build_of_clicks_alone_has_a_file_for_every_view_and_grows_as_a_whole_build_does(tmp_path):
    clicks = event_table([("u", "a", 10, None, "click")])
    chosen = event_table([("u", "b", 20 * DAY_S, 4.0)])

    build_state(tmp_path / "grown", clicks)
    for view in schema.FEATURE_VIEWS:
        assert list((tmp_path / "grown" / "current" / view).rglob("*.parquet")), view
    grown = update_state(tmp_path / "grown", chosen)

    assert grown.state_id == build_state(tmp_path / "whole", pl.concat([clicks, chosen])).state_id
