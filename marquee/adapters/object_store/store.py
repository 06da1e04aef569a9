"""What an object store can do, whichever it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from marquee.bundle import FileEntry


class ObjectStoreConfig(BaseModel):
    """How a store is spoken to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    multipart_threshold_mb: int = Field(default=16, ge=5, le=5_000)
    """Files from this size on travel in parts; S3 takes at most 5 GB in one piece."""
    part_mb: int = Field(default=16, ge=5, le=5_000)
    """Size of a part, which S3 wants to have at least 5 MB; grown where a file had more than 10,000 parts."""
    parallel: int = Field(default=8, ge=1, le=64)
    """Requests at a time: parts of a file, files of a folder."""
    attempts: int = Field(default=4, ge=1, le=20)
    """Of each request, the first one counted; waits between them grow and are drawn at random."""
    retry_mode: Literal["standard", "adaptive"] = "standard"
    """botocore's; `adaptive` slows down all requests of a store that says SlowDown."""
    connect_timeout_s: float = Field(default=5, gt=0, le=300)
    """For a connection to be made."""
    read_timeout_s: float = Field(default=30, gt=0, le=3_600)
    """Without a byte of the answer."""
    lock_patience_s: float = Field(default=30, ge=0, le=3_600)
    """A local folder's: how long a conditional write waits for another one."""
    max_document_mb: int = Field(default=16, ge=1, le=1_000)
    """What `read` takes into memory."""


@dataclass(frozen=True)
class Document:
    """A small object as it was read."""

    content: bytes
    version: str
    """What `write` compares; equal content may have equal versions."""


class ObjectStore(Protocol):
    """Objects by key: relative paths with forward slashes, at most 1,024 bytes with the store's prefix.

    Every method raises ObjectStoreError for a key that is none, a store that can't be reached or
    refuses, and a full disk.
    """

    config: ObjectStoreConfig

    @property
    def uri(self) -> str:
        """The store's address."""

    def put_file(self, key: str, file: Path) -> FileEntry:
        """Store a file, replacing what was there; readers see the old one or the new one.

        Returns:
            Length and hash of what was stored.
        """

    def get_file(self, key: str, target: Path, *, expected: FileEntry | None = None) -> FileEntry:
        """Fetch a file, replacing the target in one step once all of it is there and verified.

        Args:
            key: the object.
            target: the local file; its parent is made.
            expected: what `put_file` returned; a store on S3 remembers that itself.

        Raises:
            ObjectMissingError: there is none.
            ObjectStoreError: it is torn or tampered with.
        """

    def read(self, key: str) -> Document:
        """A small object and its version.

        Raises:
            ObjectMissingError: there is none.
            ObjectStoreError: it is larger than configured.
        """

    def write(self, key: str, content: bytes, *, expected: str | None) -> str:
        """Write a small object if the store still holds what the writer knows.

        Args:
            key: the object.
            content: all of it.
            expected: the version that was read, None where there must be none yet.

        Returns:
            The new version.

        Raises:
            ConflictError: another writer was faster; nothing was changed.
        """

    def list_keys(self, prefix: str = "") -> list[str]:
        """Keys that begin with a text, sorted."""

    def exists(self, key: str) -> bool:
        """Whether there is an object."""

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens where there is none."""
