from pathlib import Path

import pytest

from marquee.data.warehouse import Warehouse
from marquee.errors import ConfigError, NotEnoughDataError, WarehouseError
from marquee.steps.drift_windows import Wanted, read_windows, spans_of, window_name
from tests.factories import event_table
from tests.marquee.steps.drift_place import add_events

DAY_S = 86_400
DAY_US = DAY_S * 1_000_000


def days(*numbers: float, user: str = "a") -> list[tuple[str, str, float, float]]:
    """Events at noon of days since 1970-01-01."""
    return [(user, f"m{number}", (number + 0.5) * DAY_S, 3.0) for number in numbers]


@pytest.fixture
def ten_days(tmp_path: Path) -> Path:
    add_events(Warehouse(tmp_path / "main"), event_table(days(*range(10))))
    return tmp_path / "main"


def wanted(text: str) -> Wanted:
    return Wanted.of(text, option="--current")


def test_length_counts_back_from_the_newest_event(ten_days: Path):
    reference, current = read_windows(None, wanted("3d"), ten_days)

    # The newest event is at noon of day 9, which the window ends with and a microsecond.
    assert current.events["item_id"].to_list() == ["m7", "m8", "m9"]
    assert (current.start_us, current.end_us) == (int(6.5 * DAY_US) + 1, int(9.5 * DAY_US) + 1)
    assert reference.events["item_id"].to_list() == [f"m{number}" for number in range(7)]
    assert reference.end_us == current.start_us


def test_length_of_the_reference_counts_back_from_the_window(ten_days: Path):
    reference, _ = read_windows(wanted("2d"), wanted("3d"), ten_days)

    assert reference.events["item_id"].to_list() == ["m5", "m6"]


def test_dates_are_days_of_utc_without_the_last(ten_days: Path):
    reference, current = read_windows(
        wanted("1970-01-01..1970-01-04"), wanted("1970-01-06..1970-01-08"), ten_days
    )

    assert reference.events["item_id"].to_list() == ["m0", "m1", "m2"]
    assert current.events["item_id"].to_list() == ["m5", "m6"]


def test_open_dates_reach_to_the_ends(ten_days: Path):
    _, current = read_windows(None, wanted("1970-01-09.."), ten_days)

    assert current.events["item_id"].to_list() == ["m8", "m9"]
    assert current.history.height == 10


def test_reference_never_reaches_into_the_window(ten_days: Path):
    reference, current = read_windows(
        wanted("1970-01-01..1970-02-01"), wanted("1970-01-06..1970-01-08"), ten_days
    )

    assert reference.end_us == current.start_us


def test_other_warehouse_is_read_whole(ten_days: Path, tmp_path: Path):
    add_events(Warehouse(tmp_path / "other"), event_table(days(3, 4, user="b")))

    reference, current = read_windows(None, wanted(str(tmp_path / "other")), ten_days)

    assert current.events["user_id"].unique().to_list() == ["b"]
    assert reference.events.height == 10


def test_source_and_range_stand_together(ten_days: Path, tmp_path: Path):
    add_events(Warehouse(tmp_path / "other"), event_table(days(3, 4, user="b")))

    _, current = read_windows(None, wanted(f"{tmp_path / 'other'}@1d"), ten_days)

    assert current.events["item_id"].to_list() == ["m4"]


def test_of_two_snapshots_what_the_first_does_not_reach_is_new(ten_days: Path):
    warehouse = Warehouse(ten_days)
    first = warehouse.snapshot()
    add_events(warehouse, event_table(days(*range(13))))
    second = warehouse.snapshot()

    reference, current = read_windows(wanted(first.id[:8]), wanted(second.id[:12]), ten_days)

    assert current.events["item_id"].to_list() == ["m10", "m11", "m12"]
    assert (reference.id, current.id) == (first.id, second.id)


@pytest.mark.parametrize("text", ["", "@", "7x", "x@7x", "2024-02-30..", "2024-02-02..2024-02-02", "..."])
def test_text_that_names_no_window_is_refused(text: str, ten_days: Path):
    with pytest.raises(ConfigError):
        read_windows(None, wanted(text), ten_days)


def test_window_without_events_says_where_there_are_some(ten_days: Path):
    with pytest.raises(NotEnoughDataError, match=r"events are of 1970-01-01T12:00\.\.1970-01-10T12:00"):
        read_windows(None, wanted("1990-01-01..1990-02-01"), ten_days)


def test_snapshot_that_is_not_there_is_refused(ten_days: Path):
    with pytest.raises(WarehouseError, match="has 0 snapshots"):
        read_windows(None, wanted("0123456789"), ten_days)


def test_spans_count_back_and_leave_the_rest(ten_days: Path):
    reference, current = read_windows(None, wanted("3d"), ten_days)

    spans = list(spans_of(reference, current.length_us))

    assert spans == [
        (int(3.5 * DAY_US) + 1, int(6.5 * DAY_US) + 1),
        (int(0.5 * DAY_US) + 1, int(3.5 * DAY_US) + 1),
    ]
    assert list(spans_of(current, 100 * DAY_US)) == [(current.start_us, current.end_us)]


def test_name_of_a_window_is_its_time(ten_days: Path):
    _, current = read_windows(None, wanted("1970-01-06..1970-01-08"), ten_days)

    assert window_name("ml-100k", current) == "ml-100k-19700106T000000-19700108T000000"
