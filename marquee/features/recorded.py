"""State that was read once and written down, so that who reads the same again needs no feature store."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee.data.storage import storage_errors
from marquee.errors import FeatureStoreError
from marquee.features.reader import StateReader

MAX_ROWS: Final = 1_000_000
"""Longer answers are not written down: who needs them asks again, and no disk fills up."""
_USERS: Final = "users"
_MOVIES: Final = "movies"


@dataclass(frozen=True, eq=False)
class Question:
    """What a `StateReader` is asked."""

    what: Literal["users", "movies"]
    ids: pl.Series
    time_us: NDArray[np.int64]  # (len(ids),), UTC microseconds

    def __len__(self) -> int:
        return len(self.ids)


def record(reader: StateReader, questions: Iterable[Question], folder: Path) -> None:
    """Write down the answers to questions, each under what was asked.

    A row depends on its own id and moment alone, so that many questions are asked as one: a feature
    store's join takes a quarter of a second before it looks at the first row.

    Raises:
        FeatureStoreError: as the reader, or the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting: dict[str, list[Question]] = {"users": [], "movies": []}
    for question in questions:
        if len(question) > MAX_ROWS:
            continue
        same = waiting[question.what]
        if sum(map(len, same)) + len(question) > MAX_ROWS:
            _record_together(reader, same, folder)
            same.clear()
        same.append(question)
    for same in waiting.values():
        _record_together(reader, same, folder)


def _record_together(reader: StateReader, questions: Sequence[Question], folder: Path) -> None:
    """Write down the answers to questions of one kind."""
    if not questions:
        return
    read = reader.users if questions[0].what == "users" else reader.movies
    ids = pl.concat([question.ids for question in questions])
    rows = read(ids, np.concatenate([question.time_us for question in questions]))
    start = 0
    for question in questions:
        path = _path(folder, question.what, question.ids, question.time_us)
        with storage_errors(path, what="the recorded state", error=FeatureStoreError):
            rows.slice(start, len(question)).write_parquet(path, compression="lz4")
        start += len(question)


class RecordedReader:
    """A `StateReader` of what was written down; whatever was not, it asks of another one."""

    def __init__(
        self, folder: Path, contracts: Mapping[str, str], open_other: Callable[[], StateReader]
    ) -> None:
        self._folder = folder
        self._open_other = open_other
        self._other: StateReader | None = None
        self.contracts: Mapping[str, str] = contracts

    def users(self, user_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """As `StateReader.users`.

        Raises:
            FeatureStoreError: what was written down can't be read, or as the other one.
        """
        found = self._found(_USERS, user_ids, time_us)
        return self._asked.users(user_ids, time_us) if found is None else found

    def movies(self, item_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """As `StateReader.movies`.

        Raises:
            FeatureStoreError: what was written down can't be read, or as the other one.
        """
        found = self._found(_MOVIES, item_ids, time_us)
        return self._asked.movies(item_ids, time_us) if found is None else found

    @property
    def _asked(self) -> StateReader:
        if self._other is None:
            self._other = self._open_other()
        return self._other

    def _found(self, what: str, ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame | None:
        path = _path(self._folder, what, ids, time_us)
        if not path.is_file():
            return None
        with storage_errors(path, what="the recorded state", error=FeatureStoreError):
            return pl.read_parquet(path)


def _path(folder: Path, what: str, ids: pl.Series, time_us: NDArray[np.int64]) -> Path:
    """The file of an answer: named by all that was asked."""
    digest = hashlib.sha256(np.ascontiguousarray(time_us, np.int64).tobytes())
    # Lengths before letters: "a", "bc" is not "ab", "c".
    digest.update(ids.str.len_bytes().to_numpy().astype(np.int64).tobytes())
    digest.update(ids.str.join("").item().encode())
    return folder / f"{what}-{digest.hexdigest()[:32]}.parquet"
