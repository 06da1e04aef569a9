"""`marquee monitor trending` as its user meets it."""

import json
from pathlib import Path

import pytest

from marquee.candidates.surge_board import BOARD, SurgeBoard
from tests.factories import HOUR_S
from tests.marquee.candidates.test_surge_board import NOW_S, fans, shop
from tests.small_run import Place, run_here


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A month of ordinary traffic in 1970, and crowds on its last day."""
    place = Place(tmp_path)
    shop(place.settings.warehouse("ml-100k"), *fans(20, "i4"), *fans(40, "i7", at=NOW_S - 20 * HOUR_S))
    return place


def test_surging_movies_are_listed_with_titles_numbers_and_since_when(place):
    done = run_here("monitor", "trending", at=place)

    assert done.code == 0, done
    first, _, *rows = (line.split() for line in done.out.splitlines())
    assert " ".join(first) == "Surging at 1970-01-30 21:00 UTC"
    assert [row[:2] for row in rows] == [["Title", "i4"], ["Title", "i7"]]  # the newest first
    assert (rows[0][3], rows[0][5:9]) == ("22", ["6", "h", "01-30", "18:00"])
    assert (rows[1][3], rows[1][5:9]) == ("46", ["24", "h", "01-30", "05:00"])


def test_no_more_than_the_top_is_listed_and_the_rest_counted(place):
    done = run_here("monitor", "trending", "--top", "1", at=place)

    assert "Title i4" in done.out
    assert "Title i7" not in done.out
    assert "1 more." in done.out


def test_quiet_moment_says_so(place):
    done = run_here("monitor", "trending", "--until", "1970-01-29T12:30", at=place)

    assert (done.code, done.out.strip()) == (0, "Nothing surges at 1970-01-29 12:00 UTC.")


def test_json_is_the_board_which_servers_find_where_they_look(place, tmp_path):
    done = run_here("monitor", "trending", "--publish", "--out", tmp_path / "kept.json", "--json", at=place)

    published = place.settings.item_matrix("ml-100k") / BOARD
    assert published.read_bytes() == (tmp_path / "kept.json").read_bytes()
    assert done.json == json.loads(published.read_bytes())
    assert [row.item_id for row in SurgeBoard.read(published).surges] == ["i4", "i7"]


def test_moment_that_is_none_is_refused_with_an_example(place):
    done = run_here("monitor", "trending", "--until", "yesterday", at=place)

    assert done.code != 0
    assert "--until = 'yesterday' is no moment" in done.err
    assert "2024-03-01T18:00" in done.err


def test_data_set_that_is_not_there_is_an_error_in_words(tmp_path):
    done = run_here("monitor", "trending", at=Place(tmp_path))

    assert done.code != 0
    assert "error:" in done.err
    assert "Traceback" not in done.err
