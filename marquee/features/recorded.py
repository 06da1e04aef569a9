"""State that was read once and written down, so that who reads the same again needs no feature store."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

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


class RecordingReader:
    """A `StateReader` that writes every answer of another one into a folder."""

    def __init__(self, reader: StateReader, folder: Path) -> None:
        self._reader = reader
        self._folder = folder

    @property
    def contracts(self) -> Mapping[str, str]:
        """Those of the other one."""
        return self._reader.contracts

    def users(self, user_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """As `StateReader.users`.

        Raises:
            FeatureStoreError: as the other one, or the disk refuses.
        """
        return self._kept(_USERS, user_ids, time_us, self._reader.users)

    def movies(self, item_ids: pl.Series, time_us: NDArray[np.int64]) -> pl.DataFrame:
        """As `StateReader.movies`.

        Raises:
            FeatureStoreError: as the other one, or the disk refuses.
        """
        return self._kept(_MOVIES, item_ids, time_us, self._reader.movies)

    def _kept(
        self,
        what: str,
        ids: pl.Series,
        time_us: NDArray[np.int64],
        read: Callable[[pl.Series, NDArray[np.int64]], pl.DataFrame],
    ) -> pl.DataFrame:
        rows = read(ids, time_us)
        if len(rows) <= MAX_ROWS:
            path = _path(self._folder, what, ids, time_us)
            with storage_errors(path, what="the recorded state", error=FeatureStoreError):
                path.parent.mkdir(parents=True, exist_ok=True)
                rows.write_parquet(path, compression="lz4")
        return rows


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
