"""Keys that mean the same in a bucket and in a folder, and lead nowhere else."""

from typing import Final

from marquee.errors import ObjectStoreError

MAX_KEY_BYTES: Final = 1_024
"""S3's limit of a key in UTF-8, the store's prefix included."""
_MAX_PART_BYTES: Final = 255
"""A file system's limit of a name."""
RESERVED: Final = ".marquee"
"""First part of no key: a local store's own folder."""


def require_key(key: str, *, prefix: str = "") -> str:
    """The key as it is, where it is one.

    Args:
        key: what a caller gave.
        prefix: of the store; counts for the length.

    Raises:
        ObjectStoreError: it is empty, absolute, too long, not printable, or has parts such as "..".
    """
    if fault := _fault(key, prefix):
        raise ObjectStoreError(
            f"{key[:100]!r} is no key: {fault}.",
            remedy="Give a relative path with forward slashes, such as bundles/1a2b3c/manifest.json.",
        )
    return key


def _fault(key: str, prefix: str) -> str | None:
    parts = key.split("/")
    try:
        length = len(f"{prefix}{key}".encode())
        longest = max(len(part.encode()) for part in parts)
    except UnicodeEncodeError:
        return "it is no Unicode text"
    faults = {
        "it is empty": not key,
        "it is absolute": key.startswith("/"),
        "a part of it is empty, '.' or '..'": bool({"", ".", ".."} & set(parts)),
        f"{RESERVED} is the store's own": parts[0] == RESERVED,
        "it holds a backslash or a character that can't be printed": "\\" in key or not key.isprintable(),
        f"it has {length} bytes, more than {MAX_KEY_BYTES}": length > MAX_KEY_BYTES,
        f"a part of it has more than {_MAX_PART_BYTES} bytes": longest > _MAX_PART_BYTES,
    }
    return next((fault for fault, found in faults.items() if found), None)
