"""How rows go into a store: in batches that fit, and leaving the process as it was."""

import gc
from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.adapters.feast import FeatureDoor, online
from marquee.features.state.activity import user_activity
from marquee.features.state.events import resolved
from tests.factories import DAY_S, event_table
from tests.marquee.adapters.feast.place import REPO, at, build, door

ROWS = user_activity(resolved(event_table([(f"p{number}", "a", DAY_S) for number in range(5)])))


@pytest.fixture
def store(tmp_path: Path) -> FeatureDoor:
    build(tmp_path)
    made = door(tmp_path)
    made.apply(made.declarations(REPO))
    return made


def test_large_rows_go_in_by_as_many_as_fit_and_none_is_left_out(
    store: FeatureDoor, monkeypatch: pytest.MonkeyPatch
):
    write, sizes = online.write_newer_rows, []

    def counted(made, view, data):
        sizes.append(len(data))
        return write(made, view, data)

    monkeypatch.setattr(online, "write_newer_rows", counted)
    two_rows = ROWS.to_arrow(compat_level=pl.CompatLevel.oldest()).nbytes * 2 // 5
    monkeypatch.setattr(online, "WRITE_BYTES", two_rows)

    report = store.push("user_activity", ROWS)

    assert (report.written, sum(sizes)) == (5, 5)
    assert max(sizes) <= 2
    for user in ROWS[schema.USER_ID]:
        assert store.get_user_row("candidates_v1", user, now=at(14)).values[schema.USER_EVENTS_ALL] == 1


@pytest.mark.parametrize("is_on", [True, False])
def test_push_leaves_the_collector_as_it_was_even_where_it_fails(
    store: FeatureDoor, monkeypatch: pytest.MonkeyPatch, is_on: bool
):
    seen = []

    def fails(*_arguments):
        seen.append(gc.isenabled())
        raise KeyboardInterrupt

    monkeypatch.setattr(online, "write_newer_rows", fails)
    (gc.enable if is_on else gc.disable)()
    try:
        with pytest.raises(KeyboardInterrupt):
            store.push("user_activity", ROWS)
        after = gc.isenabled()
    finally:
        gc.enable()

    assert (seen, after) == ([False], is_on)
