"""Retrieval jobs: a result that comes in chunks, so that it can be written without being held whole."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import OnDemandFeatureView
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.saved_dataset import SavedDatasetStorage

from marquee.adapters.feast_offline.location import Location
from marquee.adapters.feast_offline.opening import Opener
from marquee.errors import ConfigError

PARQUET_OPTIONS = {
    "compression": "zstd",
    "coerce_timestamps": "us",  # nanoseconds break Feast's materialisation from DuckDB
    "allow_truncated_timestamps": True,
}


@dataclass(frozen=True, eq=False)
class Request:
    """What Feast wants to know of a job besides its rows."""

    opener: Opener
    full_feature_names: bool = False
    on_demand: tuple[OnDemandFeatureView, ...] = ()
    metadata: RetrievalMetadata | None = None


class ChunkedJob(RetrievalJob):
    """A planned retrieval: a `to_*` or `persist` call runs it, and each call runs it anew."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def full_feature_names(self) -> bool:
        """Whether columns are called `view__feature`."""
        return self._request.full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """Views that Feast computes on each result; row by row, as they are online."""
        return list(self._request.on_demand)

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """What was asked and the span of label times; None for a pull."""
        return self._request.metadata

    @abstractmethod
    def chunks(self) -> Iterator[pa.Table]:
        """The result in order, at least one table, without on-demand features."""

    def to_parquet_stream(self, path: str | Path) -> int:
        """Write the result to one Parquet file chunk by chunk, on-demand features included.

        The file appears whole or not at all, and replaces what stood there.

        Returns:
            The number of rows written.
        """
        return self._write(self._request.opener.location(str(path)))

    def persist(
        self, storage: SavedDatasetStorage, allow_overwrite: bool = False, timeout: int | None = None
    ) -> None:
        """Write the result as a saved data set: a `.parquet` file, else a folder with one file.

        Raises:
            SavedDatasetLocationAlreadyExists: something stands there and `allow_overwrite` is off.
            ConfigError: the storage is not of files, or its path is a glob.
        """
        if not isinstance(storage, SavedDatasetFileStorage):
            raise ConfigError(
                f"The saved data set is stored as {type(storage).__name__}.",
                remedy="This offline store writes a SavedDatasetFileStorage.",
            )
        address = storage.file_options.uri
        location = self._request.opener.location(address, storage.to_data_source())
        if location.is_glob:
            raise ConfigError(f"{address} is a pattern.", remedy="Save to a file or to a folder.")
        if location.exists() and not allow_overwrite:
            raise SavedDatasetLocationAlreadyExists(location=address)
        if location.is_single_file:
            self._write(location)
            return
        old = location.files()
        whole = Location(location.filesystem, f"{location.path}/part-0.parquet", location.address)
        self._write(whole)
        for path in old:
            if path != whole.path:
                location.filesystem.delete_file(path)

    def _write(self, location: Location) -> int:
        written: int = 0
        chunks = self._finished_chunks()
        first = next(chunks)
        with (
            location.guarded(),
            location.replacing() as draft,
            pq.ParquetWriter(
                draft, first.schema, filesystem=location.filesystem, **PARQUET_OPTIONS
            ) as writer,
        ):
            writer.write_table(first)
            written += first.num_rows
            for chunk in chunks:
                # an on-demand view over a chunk of nulls may answer in another type
                writer.write_table(chunk.cast(first.schema))
                written += chunk.num_rows
        return written

    def _finished_chunks(self) -> Iterator[pa.Table]:
        for chunk in self.chunks():
            yield _FinishedChunk(chunk, self).to_arrow() if self._request.on_demand else chunk

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return pa.concat_tables(self.chunks())

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal().to_pandas()

    def to_sql(self) -> str:
        """Not offered: the join is no query.

        Raises:
            NotImplementedError: always, as Feast expects of a store without SQL.
        """
        raise NotImplementedError("this offline store joins without SQL: use to_arrow or to_parquet_stream")


class _FinishedChunk(RetrievalJob):
    """One chunk as a job of its own, so that Feast itself adds the on-demand features to it."""

    def __init__(self, chunk: pa.Table, whole: ChunkedJob) -> None:
        self._chunk = chunk
        self._whole = whole

    @property
    def full_feature_names(self) -> bool:
        return self._whole.full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._whole.on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata | None:
        return self._whole.metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return self._chunk

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._chunk.to_pandas()
