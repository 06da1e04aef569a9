"""A store in a bucket of S3, or of whatever speaks its protocol."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from marquee.adapters.object_store.keys import require_key
from marquee.adapters.object_store.local_files import entry_of, receiving, require_entry, stamp_of
from marquee.adapters.object_store.s3_errors import error_code, s3_errors
from marquee.adapters.object_store.store import Document, ObjectStoreConfig
from marquee.bundle import FileEntry
from marquee.errors import ConflictError, ObjectMissingError, ObjectStoreError

_MB: Final = 2**20
_LOST: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "NoSuchKey", "404"})
"""How S3 says that somebody else was faster: changed, being changed, or deleted."""
_MISSING: Final = frozenset({"NoSuchKey", "404"})
_SHA256: Final = "sha256"
_WRITER: Final = "writer"
"""Metadata of our objects: a file's hash over all of its parts, and who wrote a document."""


class S3Store:
    """Objects below a prefix of a bucket. Made by `at`; safe to share between threads."""

    def __init__(self, client: Any, bucket: str, prefix: str, *, config: ObjectStoreConfig) -> None:  # noqa: ANN401 - boto3 makes its classes at run time
        self.client = client
        self.config = config
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._transfer = TransferConfig(
            multipart_threshold=config.multipart_threshold_mb * _MB,
            multipart_chunksize=config.part_mb * _MB,
            max_concurrency=config.parallel,
        )

    @classmethod
    def at(cls, bucket: str, prefix: str, *, config: ObjectStoreConfig) -> Self:
        """The store of a bucket and prefix, with boto3's own settings.

        Raises:
            ObjectStoreError: those don't fit, such as a profile that is unknown.
        """
        with s3_errors(f"s3://{bucket}/{prefix}"):
            client = boto3.session.Session().client(
                "s3",
                config=Config(
                    retries={"mode": config.retry_mode, "total_max_attempts": config.attempts},
                    connect_timeout=config.connect_timeout_s,
                    read_timeout=config.read_timeout_s,
                    max_pool_connections=max(10, 2 * config.parallel),
                ),
            )
        return cls(client, bucket, prefix, config=config)

    @property
    def uri(self) -> str:
        """As `ObjectStore`."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put_file(self, key: str, file: Path) -> FileEntry:
        """As `ObjectStore`."""
        name, entry, stamp = self._name(key), entry_of(file), stamp_of(file)
        extra = {"ChecksumAlgorithm": "SHA256", "Metadata": {_SHA256: entry.sha256}}
        with s3_errors(self.uri):
            self.client.upload_file(str(file), self._bucket, name, ExtraArgs=extra, Config=self._transfer)
        if stamp_of(file) != stamp:  # the transfer read it again, part by part
            raise ObjectStoreError(
                f"{file} changed while it was being stored.", remedy="Store a finished file."
            )
        return entry

    def get_file(self, key: str, target: Path, *, expected: FileEntry | None = None) -> FileEntry:
        """As `ObjectStore`."""
        name = self._name(key)
        if expected is None:
            expected = self._remembered(key)
        with receiving(target) as temporary:
            with self._errors(key):
                self.client.download_file(
                    self._bucket,
                    name,
                    str(temporary),
                    ExtraArgs={"ChecksumMode": "ENABLED"},
                    Config=self._transfer,
                )
            return require_entry(temporary, expected, origin=f"{self.uri}/{key}")

    def read(self, key: str) -> Document:
        """As `ObjectStore`."""
        with self._errors(key):
            answer = self.client.get_object(Bucket=self._bucket, Key=self._name(key), ChecksumMode="ENABLED")
            with closing(answer["Body"]) as body:  # its own context is the raw stream, with other errors
                if answer["ContentLength"] > self.config.max_document_mb * _MB:
                    raise ObjectStoreError(
                        f"{self.uri}/{key} has {answer['ContentLength']:,} bytes, more than"
                        f" {self.config.max_document_mb} MB.",
                        remedy="Fetch it as a file.",
                    )
                content: bytes = body.read()
        return Document(content, str(answer["ETag"]))

    def write(self, key: str, content: bytes, *, expected: str | None) -> str:
        """As `ObjectStore`."""
        name, writer = self._name(key), uuid.uuid4().hex
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        with s3_errors(self.uri):
            try:
                answer = self.client.put_object(
                    Bucket=self._bucket,
                    Key=name,
                    Body=content,
                    ChecksumAlgorithm="SHA256",
                    Metadata={_WRITER: writer},
                    **condition,
                )
            except ClientError as err:
                if error_code(err) not in _LOST:
                    raise
                # The first attempt may have won while its answer was lost on the way: the next one
                # then loses against ourselves.
                head = self._head(key)
                if head is None or head["Metadata"].get(_WRITER) != writer:
                    raise ConflictError(
                        f"{self.uri}/{key} was written by somebody else meanwhile.",
                        remedy="Read it again, decide again, then write.",
                    ) from err
                answer = head
        return str(answer["ETag"])

    def list_keys(self, prefix: str = "") -> list[str]:
        """As `ObjectStore`."""
        if folder := prefix.rpartition("/")[0]:
            require_key(folder, prefix=self._prefix)
        pages = self.client.get_paginator("list_objects_v2")
        with s3_errors(self.uri):
            found = pages.paginate(Bucket=self._bucket, Prefix=f"{self._prefix}{prefix}")
            names = [str(entry["Key"]) for page in found for entry in page.get("Contents", ())]
        return sorted(name.removeprefix(self._prefix) for name in names if not name.endswith("/"))

    def exists(self, key: str) -> bool:
        """As `ObjectStore`."""
        self._name(key)
        with s3_errors(self.uri):
            return self._head(key) is not None

    def delete(self, key: str) -> None:
        """As `ObjectStore`."""
        with s3_errors(self.uri):
            self.client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def _name(self, key: str) -> str:
        return f"{self._prefix}{require_key(key, prefix=self._prefix)}"

    def _head(self, key: str) -> dict[str, Any] | None:
        """An object's metadata, None where it is the object that is missing and not the bucket."""
        try:
            head: dict[str, Any] = self.client.head_object(Bucket=self._bucket, Key=self._name(key))
        except ClientError as err:
            if error_code(err) not in _MISSING:
                raise
            self._require_bucket()
            return None
        return head

    def _require_bucket(self) -> None:
        """HEAD answers 404 for both; a bucket that may not be looked at is taken to be there."""
        try:
            self.client.head_bucket(Bucket=self._bucket)
        except ClientError as err:
            if error_code(err) == "403":
                return
            if error_code(err) == "404":
                err.response["Error"]["Code"] = "NoSuchBucket"
            raise

    def _remembered(self, key: str) -> FileEntry | None:
        """Length and hash that `put_file` left with an object; None where another tool wrote it."""
        with s3_errors(self.uri):
            head = self._head(key)
        if head is None:
            raise self._missing(key)
        sha256 = head["Metadata"].get(_SHA256)
        return FileEntry(sha256=sha256, size_bytes=head["ContentLength"]) if sha256 else None

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        with s3_errors(self.uri):
            try:
                yield
            except ClientError as err:
                if error_code(err) not in _MISSING:
                    raise
                self._require_bucket()
                raise self._missing(key) from err

    def _missing(self, key: str) -> ObjectMissingError:
        return ObjectMissingError(
            f"{self.uri} holds no {key}.", remedy="Check the key and the store's address."
        )
