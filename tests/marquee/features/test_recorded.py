"""Answers that were written down are the answers; whatever was not asked goes to the other reader."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from marquee.errors import FeatureStoreError
from marquee.features import recorded
from marquee.features.recorded import RecordedReader, RecordingReader

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
    recording = RecordingReader(told, tmp_path)
    users, movies = recording.users(IDS, TIMES), recording.movies(IDS, TIMES)

    reader = RecordedReader(tmp_path, told.contracts, refused)

    assert reader.users(IDS, TIMES).equals(users)
    assert reader.users(IDS, TIMES).schema == users.schema
    assert reader.movies(IDS, TIMES).equals(movies)
    assert dict(reader.contracts) == dict(recording.contracts) == told.contracts


@pytest.mark.parametrize(
    ("ids", "times"),
    [(["a", "bc"], [10, 21]), (["ab", "c"], [10, 20]), (["a"], [10]), (["bc", "a"], [10, 20])],
    ids=["another time", "the same letters", "fewer", "another order"],
)
def test_other_questions_go_to_the_other_reader_which_is_opened_once(
    tmp_path: Path, ids: list[str], times: list[int]
):
    RecordingReader(Told(), tmp_path).users(IDS, TIMES)
    opened: list[Told] = []

    def open_other() -> Told:
        opened.append(Told())
        return opened[-1]

    reader = RecordedReader(tmp_path, {}, open_other)
    asked = pl.Series(ids), np.array(times, np.int64)

    assert reader.users(*asked).equals(Told().users(*asked))
    assert reader.movies(*asked).equals(Told().movies(*asked))
    assert [other.n_asked for other in opened] == [2]


def test_answers_that_are_too_long_are_given_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recorded, "MAX_ROWS", 1)

    rows = RecordingReader(Told(), tmp_path).users(IDS, TIMES)

    assert len(rows) == 2
    assert list(tmp_path.iterdir()) == []


def test_damaged_answer_is_refused(tmp_path: Path):
    RecordingReader(Told(), tmp_path).users(IDS, TIMES)
    next(tmp_path.iterdir()).write_bytes(b"PAR1")

    with pytest.raises(FeatureStoreError, match="the recorded state"):
        RecordedReader(tmp_path, {}, refused).users(IDS, TIMES)
