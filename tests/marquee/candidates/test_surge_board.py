"""The file that servers take over, and how it is found in a warehouse."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from marquee import schema
from marquee.candidates.surge_board import BoardRow, SurgeBoard, find_surges
from marquee.candidates.surges import SurgeConfig
from marquee.data.interactions import Vocabulary
from marquee.data.warehouse import Warehouse
from marquee.errors import FeatureStoreError
from tests.factories import DAY_S, HOUR_S, event_table
from tests.marquee.steps.drift_place import add_events

NOW_S = 30 * DAY_S
NOW = datetime.fromtimestamp(NOW_S, UTC)


def row(item_id: str, score: float) -> BoardRow:
    return BoardRow(
        item_id=item_id, score=score, surprise=9, users=9, expected=0.5, hours=6, since=NOW
    )  # fmt: skip


def board(*rows: BoardRow) -> SurgeBoard:
    return SurgeBoard(as_of=NOW, config=SurgeConfig(), surges=rows)


def shop(root: Path, *more: tuple[object, ...]) -> Warehouse:
    """Ten movies, each chosen by one user every four hours for a month."""
    warehouse = Warehouse(root)
    ids = [f"i{item}" for item in range(10)]
    columns = {name: pl.Series([None] * 10, dtype=dtype) for name, dtype in schema.MOVIES_SCHEMA.items()}
    titles = {schema.ITEM_ID: ids, schema.TITLE: [f"Title {item}" for item in ids]}
    warehouse.write_table(schema.MOVIES, pl.DataFrame({**columns, **titles}, schema=schema.MOVIES_SCHEMA))
    usual = [(f"u{hour}{item}", item, hour * HOUR_S) for hour in range(0, NOW_S // HOUR_S, 4) for item in ids]
    add_events(warehouse, event_table([*usual, *more]))
    return warehouse


def fans(n: int, item: str, *, kind: str = "view", at: int = NOW_S - 7 * HOUR_S) -> list[tuple[object, ...]]:
    return [(f"fan{user}", item, at, None, kind) for user in range(n)]


def test_board_comes_back_from_its_file(tmp_path):
    written = board(row("a", 7.5), row("b", 3))

    written.write(tmp_path / "deep" / "surges.json")

    assert SurgeBoard.read(tmp_path / "deep" / "surges.json") == written


def test_scores_are_of_the_models_items_and_of_no_other():
    scores = board(row("c", 7.5), row("unheard of", 9)).scores(Vocabulary.of(["a", "b", "c"]))

    np.testing.assert_array_equal(scores, np.array([0, 0, 7.5], np.float32))


@pytest.mark.parametrize(("hours", "speaks"), [(-0.1, False), (0, True), (6, True), (6.1, False)])
def test_board_speaks_of_the_hours_after_it(hours, speaks):
    assert board().speaks_of(round((NOW_S + hours * 3600) * 1e6)) is speaks


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no board of surges: it"),
        ('{"as_of": "2024-01-01", "config": {}, "surges": []}', "as_of"),
        ('{"layout": 2, "as_of": "2024-01-01T00:00:00Z", "config": {}, "surges": []}', "layout"),
        ('{"as_of": "2024-01-01T00:00:00Z", "config": {}, "surges": [{"item_id": "a"}]}', "surges.0.score"),
    ],
)
def test_file_that_is_no_board_is_refused_with_where_and_what_to_do(tmp_path, content, said):
    file = tmp_path / "surges.json"
    file.write_text(content)

    with pytest.raises(FeatureStoreError, match=said) as caught:
        SurgeBoard.read(file)

    assert "--publish" in caught.value.remedy


def test_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(FeatureStoreError, match="can't be read"):
        SurgeBoard.read(tmp_path / "surges.json")


def test_warehouse_is_asked_up_to_the_step_after_its_newest_event(tmp_path):
    found = find_surges(shop(tmp_path, *fans(20, "i4")), now=NOW + timedelta(days=900))

    # The newest ordinary events are of 20:00, so 21:00 is when all are over: the crowd came at 17:00.
    assert found.as_of == NOW - timedelta(hours=3)
    assert [(each.item_id, each.users, each.since) for each in found.surges] == [
        ("i4", 22, NOW - timedelta(hours=6))
    ]


def test_warehouse_is_never_asked_for_what_is_to_come(tmp_path):
    found = find_surges(shop(tmp_path, *fans(20, "i4")), now=NOW - timedelta(hours=6))

    assert found.as_of == NOW - timedelta(hours=6)


@pytest.mark.parametrize("kind", ["impression", "click"])
def test_what_was_shown_or_clicked_is_no_choice(tmp_path, kind):
    assert find_surges(shop(tmp_path, *fans(50, "i4", kind=kind)), now=NOW).surges == ()


def test_moment_before_the_crowd_knows_of_none(tmp_path):
    warehouse = shop(tmp_path, *fans(20, "i4"))

    found = find_surges(warehouse, now=NOW, until=NOW - timedelta(hours=8))

    assert (found.as_of, found.surges) == (NOW - timedelta(hours=8), ())


def test_what_lies_before_the_look_back_does_not_matter(tmp_path):
    old = [(f"old{user}", "i4", 60 * user) for user in range(500)]
    plain, aged = (
        find_surges(shop(tmp_path / name, *fans(20, "i4"), *more), now=NOW)
        for name, more in (("plain", ()), ("aged", old))
    )

    assert SurgeConfig().look_back_hours < (NOW_S - 3 * DAY_S) / HOUR_S
    assert plain == aged
    assert [each.item_id for each in plain.surges] == ["i4"]
