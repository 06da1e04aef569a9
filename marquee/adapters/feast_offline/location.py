"""Where files are: a filesystem and a path on it, local or S3, one file, a folder or a glob."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from marquee.errors import SourceError

_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class S3Access:
    """How to reach S3: an endpoint other than Amazon's, credentials other than the ambient ones.

    Without an endpoint, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL names one, as for Amazon's own clients.
    """

    endpoint: str | None
    credentials: dict[str, str]
    connect_timeout_seconds: float
    request_timeout_seconds: float

    def filesystem(self) -> fs.FileSystem:
        """A client whose calls give up; the endpoint may carry a scheme (`http://host:port`)."""
        options: dict[str, object] = {
            "connect_timeout": self.connect_timeout_seconds,
            "request_timeout": self.request_timeout_seconds,
        }
        # boto3 asks for these variables by itself, Arrow does not.
        endpoint = self.endpoint or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            scheme, found, host = endpoint.rpartition("://")
            options["endpoint_override"] = host.rstrip("/")
            if found:
                options["scheme"] = scheme
        names = {
            "access_key": "AWS_ACCESS_KEY_ID",
            "secret_key": "AWS_SECRET_ACCESS_KEY",
            "session_token": "AWS_SESSION_TOKEN",
            "region": "AWS_DEFAULT_REGION",
        }
        given = {option: self.credentials.get(name) for option, name in names.items()}
        return fs.S3FileSystem(**options, **{option: value for option, value in given.items() if value})


@dataclass(frozen=True)
class Location:
    """A path on a filesystem, and the address that the user wrote."""

    filesystem: fs.FileSystem
    path: str
    address: str

    @classmethod
    def of(cls, address: str, *, relative_to: str | Path | None, s3: S3Access) -> "Location":
        """Resolve an address: a path (absolute, or relative to the feature repository) or a URI.

        Raises:
            SourceError: no filesystem for the scheme of the URI.
        """
        scheme = urlsplit(address).scheme if "://" in address else ""
        if scheme == "s3":
            return cls(s3.filesystem(), address.removeprefix("s3://").rstrip("/"), address)
        if scheme:
            try:
                filesystem, path = fs.FileSystem.from_uri(address)
            except (pa.ArrowInvalid, OSError) as err:
                raise SourceError(
                    f"{address} can't be opened: {err}.", remedy="Use a path or s3://."
                ) from err
            return cls(filesystem, path, address)
        path = Path(relative_to or ".", address).absolute()
        return cls(fs.LocalFileSystem(), path.as_posix(), address)

    @property
    def is_single_file(self) -> bool:
        """Whether the path is, or by its name is to become, one Parquet file."""
        kind = self.info().type
        named = self.path.endswith(".parquet") and not _GLOB.search(self.path)
        return kind == fs.FileType.File or (kind == fs.FileType.NotFound and named)

    @property
    def is_glob(self) -> bool:
        """Whether the path is a pattern; a file that exists under that very name is none."""
        return bool(_GLOB.search(self.path)) and self.info().type == fs.FileType.NotFound

    @property
    def root(self) -> str:
        """The folder that all of the files are under."""
        if self.is_glob:
            return _fixed_part(self.path)
        return str(PurePosixPath(self.path).parent) if self.is_single_file else self.path

    def info(self) -> fs.FileInfo:
        """What stands at the path now.

        Raises:
            SourceError: the filesystem does not answer or refuses.
        """
        with self.guarded():
            return self.filesystem.get_file_info(self.path)

    def exists(self) -> bool:
        """Whether a file or a folder with files in it stands there."""
        return bool(self.files())

    def files(self) -> list[str]:
        """Paths of the visible files: of a folder or a glob sorted, of a file itself."""
        if self.is_single_file:
            return [self.path] if self.info().type == fs.FileType.File else []
        pattern = re.compile(_as_regex(self.path)) if self.is_glob else None
        everything = fs.FileSelector(self.root, allow_not_found=True, recursive=True)
        with self.guarded():
            found = self.filesystem.get_file_info(everything)
        paths = [info.path for info in found if info.type == fs.FileType.File]
        paths = [path for path in paths if not _hidden(path, everything.base_dir)]
        return sorted(path for path in paths if pattern is None or pattern.fullmatch(path))

    @property
    def has_folders(self) -> bool:
        """Whether a folder must be made before a file is put into it: object stores have none."""
        return self.filesystem.type_name not in {"s3", "gcs", "abfs"}

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it, where the filesystem has any."""
        if self.has_folders:
            self.filesystem.create_dir(path, recursive=True)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn what a filesystem or Parquet itself says into an error that names the address.

        Raises:
            SourceError: anything inside failed to reach, read or write the address.
        """
        try:
            yield
        except (OSError, pa.ArrowException) as err:
            reason = str(err).splitlines()[0] if str(err) else type(err).__name__
            raise SourceError(
                f"{self.address} can't be read or written: {reason}.",
                remedy="Check the path, the rights to it, and that all files are Parquet of one schema.",
            ) from err

    @contextmanager
    def replacing(self) -> Iterator[str]:
        """A hidden path beside this one to write to; it takes this name once the block succeeds.

        A failure inside leaves what stood here as it was and nothing else behind.
        """
        parent = str(PurePosixPath(self.path).parent)
        self.make_folder(parent)
        draft = f"{parent}/.{PurePosixPath(self.path).name}.{uuid.uuid4().hex}"
        try:
            yield draft
            self.filesystem.move(draft, self.path)
        finally:
            if self.filesystem.get_file_info(draft).type == fs.FileType.File:
                self.filesystem.delete_file(draft)


def _hidden(path: str, root: str) -> bool:
    parts = PurePosixPath(path).relative_to(root or ".").parts
    return any(part.startswith((".", "_")) and "=" not in part for part in parts)


def _fixed_part(pattern: str) -> str:
    parts = pattern.split("/")
    first = next(place for place, part in enumerate(parts) if _GLOB.search(part))
    return "/".join(parts[:first]) or "/"


def _as_regex(pattern: str) -> str:
    """`**/` any folders, `*` and `?` within a name, `[…]` a character class."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    return "".join(
        words.get(piece) or (piece.replace("[!", "[^") if piece.startswith("[") else re.escape(piece))
        for piece in pieces
    )
