"""A sample of the users' rows that were served, for the parity test: `marquee.features.request_log`."""

from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from typing import Final

from marquee.adapters.exposures.file_names import writer_name
from marquee.errors import ConfigError, WarehouseError
from marquee.features.request_log import LoggedRequest, RequestLogger, logging_to

_HASH_BYTES: Final = 8


class SampledRows:
    """A file of its own in a folder, opened with the first row.

    Args:
        folder: made where it is missing.
        share: of the requests, from 0 to 1, chosen by the hash of their id.

    Raises:
        ConfigError: the share is outside of its range.
    """

    def __init__(self, folder: Path, share: float) -> None:
        if not 0 <= share <= 1:
            raise ConfigError(f"the share of logged rows is {share}.", remedy="Give one from 0 to 1.")
        self.path = folder / f"requests-{writer_name()}.jsonl"
        self._limit: int = round(share * 2 ** (8 * _HASH_BYTES))
        self._open = ExitStack()
        self._logger: RequestLogger | None = None

    def takes(self, request_id: str) -> bool:
        """Whether the sample holds a request: the same answer for the same id everywhere."""
        digest = blake2b(request_id.encode(errors="surrogatepass"), digest_size=_HASH_BYTES).digest()
        return int.from_bytes(digest) < self._limit

    def write(self, row: LoggedRequest) -> None:
        """Append one row.

        Raises:
            ContractError: it can't be written as JSON.
            WarehouseError: the disk is full or fails; the next row tries again, on a whole line.
        """
        if self._logger is None:
            self._logger = self._open.enter_context(logging_to(self.path))  # removes a torn last line
        try:
            self._logger.write(row)
        except WarehouseError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; a row after that opens it again."""
        self._logger = None
        self._open.close()
