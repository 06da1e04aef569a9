"""From Feast's description of files to files: addresses, credentials and limits in one place."""

from dataclasses import dataclass
from pathlib import Path

from feast import FileSource
from feast.data_source import DataSource

from marquee.adapters.feast_offline.location import Location, S3Access
from marquee.adapters.feast_offline.table import ParquetTable


@dataclass(frozen=True)
class Opener:
    """Opens what the definitions of one feature repository name."""

    repo_path: Path | None  # what relative addresses are relative to; None: the working directory
    s3_connect_timeout_seconds: float
    s3_request_timeout_seconds: float

    def location(
        self, address: str, source: DataSource | None = None, *, endpoint: str | None = None
    ) -> Location:
        """Where an address leads; endpoint and credentials of S3 come from the source, else ambient."""
        credentials = source.resolve_credentials() if source else None
        if isinstance(source, FileSource):
            endpoint = source.s3_endpoint_override
        access = S3Access(
            endpoint=endpoint or None,
            credentials=credentials or {},
            connect_timeout_seconds=self.s3_connect_timeout_seconds,
            request_timeout_seconds=self.s3_request_timeout_seconds,
        )
        return Location.of(address, relative_to=self.repo_path, s3=access)

    def table(self, source: FileSource) -> ParquetTable:
        """The table behind a source; its files are looked at when it is asked for something."""
        return ParquetTable(self.location(source.path, source))
