"""Answers that were written down are the answers; whatever was not asked goes to the other reader."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from marquee.errors import FeatureStoreError
from marquee.features import recorded
from marquee.features.recorded import Question, RecordedReader, record

TIMES = np.array([10, 20], np.int64)
IDS = pl.Series(["a", "bc"])


class Told:
    """A reader whose rows tell what was asked, and which counts."""

    def __init__(self) -> None:
        self.contracts = {"ranking_v1": "abc"}
        self.n_asked = 0

    def users(self, user_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        self.n_asked += 1
        return pl.DataFrame(
            {
                "who": user_ids.alias("who"),
                "at": time_us,
                "history": [[name, None] for name in user_ids],
                "mean": pl.Series([None] * len(user_ids), dtype=pl.Float32),
            }
        )

    def movies(self, item_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        self.n_asked += 1
        return pl.DataFrame({"what": item_ids.alias("what"), "at": time_us})


def refused() -> Told:
    raise AssertionError("nothing else was to be asked")


def test_recorded_answers_are_those_of_the_reader_and_it_is_not_opened(tmp_path: Path):
    told = Told()
    other = pl.Series(["d"]), np.array([30], np.int64)

    record(
        told,
        [Question("users", IDS, TIMES), Question("movies", IDS, TIMES), Question("users", *other)],
        tmp_path,
    )

    reader = RecordedReader(tmp_path, told.contracts, refused)
    assert told.n_asked == 2  # users together, movies together
    for ids, times in ((IDS, TIMES), other):
        assert reader.users(ids, times).equals(Told().users(ids, times))
        assert reader.users(ids, times).schema == Told().users(ids, times).schema
    assert reader.movies(IDS, TIMES).equals(Told().movies(IDS, TIMES))
    assert dict(reader.contracts) == told.contracts


@pytest.mark.parametrize(
    ("ids", "times"),
    [(["a", "bc"], [10, 21]), (["ab", "c"], [10, 20]), (["a"], [10]), (["bc", "a"], [10, 20])],
    ids=["another time", "the same letters", "fewer", "another order"],
)
def test_other_questions_go_to_the_other_reader_which_is_opened_once(
    tmp_path: Path, ids: list[str], times: list[int]
):
    record(Told(), [Question("users", IDS, TIMES)], tmp_path)
    opened: list[Told] = []

    def open_other() -> Told:
        opened.append(Told())
        return opened[-1]

    reader = RecordedReader(tmp_path, {}, open_other)
    asked = pl.Series(ids), np.array(times, np.int64)

    assert reader.users(*asked).equals(Told().users(*asked))
    assert reader.movies(*asked).equals(Told().movies(*asked))
    assert [other.n_asked for other in opened] == [2]


@pytest.mark.parametrize(("at_most", "n_asked", "n_kept"), [(4, 1, 2), (3, 2, 2), (2, 2, 2), (1, 0, 0)])
def test_questions_are_asked_together_up_to_a_limit_and_longer_ones_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_most: int, n_asked: int, n_kept: int
):
    monkeypatch.setattr(recorded, "MAX_ROWS", at_most)
    told = Told()

    record(told, [Question("users", IDS, TIMES), Question("users", IDS, TIMES + 1)], tmp_path)

    assert (told.n_asked, len(list(tmp_path.iterdir()))) == (n_asked, n_kept)


def test_damaged_answer_is_refused(tmp_path: Path):
    record(Told(), [Question("users", IDS, TIMES)], tmp_path)
    next(tmp_path.iterdir()).write_bytes(b"PAR1")

    with pytest.raises(FeatureStoreError, match="the recorded state"):
        RecordedReader(tmp_path, {}, refused).users(IDS, TIMES)
