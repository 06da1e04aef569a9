"""From an address to a store."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from marquee.adapters.object_store.folder import FolderStore
from marquee.adapters.object_store.keys import require_key
from marquee.adapters.object_store.store import ObjectStore, ObjectStoreConfig
from marquee.errors import ObjectStoreError

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REMEDY: Final = "Give s3://bucket/prefix, file:///folder, or the path of a folder."


def open_store(uri: str, config: ObjectStoreConfig | None = None) -> ObjectStore:
    """The store at an address; nothing is read or written yet.

    Args:
        uri: `s3://bucket/prefix`, `file:///folder`, or a path, from the working folder on where it is
            relative.
        config: how to speak to it.

    Raises:
        ObjectStoreError: it is no such address, boto3 is not installed, or its settings don't fit.
    """
    config = config or ObjectStoreConfig()
    scheme, separator, rest = uri.partition("://")
    if not separator and uri:
        return FolderStore(Path(uri).absolute(), config)
    if scheme == "file":
        return FolderStore(_local_path(uri), config)
    if scheme != "s3":
        raise ObjectStoreError(f"{uri!r} is no address of an object store.", remedy=_REMEDY)
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise ObjectStoreError(f"{uri!r} names no bucket: {bucket!r} can't be one.", remedy=_REMEDY)
    if prefix:
        require_key(prefix)
    if not find_spec("boto3"):
        raise ObjectStoreError(
            f"{uri} needs boto3, which is not installed.", remedy="pip install 'marquee[pipeline]'"
        )
    from marquee.adapters.object_store.s3 import S3Store  # noqa: PLC0415 - only who has a bucket needs boto3

    return S3Store.at(bucket, prefix, config=config)


def _local_path(uri: str) -> Path:
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if parts.netloc not in {"", "localhost"} or not path or "\0" in path:
        raise ObjectStoreError(f"{uri!r} is no folder of this machine.", remedy=_REMEDY)
    return Path(path)
