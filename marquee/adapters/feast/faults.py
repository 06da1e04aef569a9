"""What stores raise, turned into one clear error."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from feast.errors import (
    EntityNotFoundException,
    FeastEntityDFMissingColumnsError,
    FeastExtrasDependencyImportError,
    FeatureServiceNotFoundException,
    FeatureViewNotFoundException,
    RequestDataNotFoundInEntityDfException,
)
from google.protobuf.message import DecodeError
from redis.exceptions import RedisError, ResponseError

from marquee.errors import ConfigError, ContractError, FeatureStoreError

_APPLY: Final = "Run `marquee features apply`, which makes its tables."
_RUNS: Final = "Check that it runs and is reachable from here."
_ROOM: Final = "Make room, then run again: it goes on where it was."
_RIGHTS: Final = "Check who owns it and whether its disk is mounted for writing."
_SAID: Final = (
    ("no such table", "lacks its tables", _APPLY),
    ("locked", "is being written by another process", "Wait until that is done, then run again."),
    ("not a database", "is damaged", "Remove its file, then `marquee features apply` and `materialize`."),
    ("malformed", "is damaged", "Remove its file, then `marquee features apply` and `materialize`."),
    ("readonly", "can't be written", _RIGHTS),
    ("unable to open", "can't be opened", _RIGHTS),
    ("is full", "has no room", _ROOM),
    ("disk i/o", "has a disk that fails or is full", _ROOM),
)
"""What SQLite says, what that means, and what helps."""
_NUMBERS: Final = {
    errno.ENOSPC: ("has no room", _ROOM),
    errno.EDQUOT: ("has no room", _ROOM),
    errno.EFBIG: ("has no room", _ROOM),
    errno.EACCES: ("may not be touched", _RIGHTS),
    errno.EPERM: ("may not be touched", _RIGHTS),
    errno.EROFS: ("can't be written", _RIGHTS),
    errno.EISDIR: ("has a folder in the place of a file", "Move the folder away."),
}
"""The same of what the system says."""


def _store_faults() -> tuple[type[Exception], ...]:
    faults: tuple[type[Exception], ...] = (OSError, sqlite3.Error, RedisError)
    if find_spec("botocore"):
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only where AWS is installed

        faults = (*faults, BotoCoreError, ClientError)
    if find_spec("sqlalchemy"):
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - only where a SQL registry is installed

        faults = (*faults, SQLAlchemyError)
    return faults


def _meaning(err: Exception) -> tuple[str, str]:
    """What is the matter with a store, as the end of a sentence, and what to do."""
    if isinstance(err, OSError) and err.errno in _NUMBERS:
        return _NUMBERS[err.errno]
    if isinstance(err, ResponseError):
        return "refuses", "Look at that server's memory, role and permissions."
    said = str(err).lower()
    for words, meaning, remedy in _SAID:
        if words in said:
            return meaning, remedy
    return "does not answer", _RUNS


@contextmanager
def store_errors(what: str, *, profile: str) -> Iterator[None]:
    """Name what failed and in which profile.

    Raises:
        FeatureStoreError: a store or registry does not answer, can't be read or written, or lacks what is
            asked.
        ConfigError: a part of Feast that the profile needs is not installed.
        ContractError: a frame lacks a column.
    """
    try:
        yield
    except (
        FeatureServiceNotFoundException,
        FeatureViewNotFoundException,
        EntityNotFoundException,
    ) as err:
        raise FeatureStoreError(
            f"{what}: {err} (profile {profile}).", remedy="`marquee features apply` declares what there is."
        ) from err
    except (FeastEntityDFMissingColumnsError, RequestDataNotFoundInEntityDfException) as err:
        raise ContractError(f"{what}: {err}", remedy="Add the column to the frame.") from err
    except DecodeError as err:
        raise FeatureStoreError(
            f"{what}: the registry of profile {profile} is damaged or of another version.",
            remedy="Restore it, or remove it and run `marquee features apply`.",
        ) from err
    except (FeastExtrasDependencyImportError, ModuleNotFoundError) as err:
        raise ConfigError(
            f"{what}: profile {profile} needs what is not installed: {' '.join(str(err).split())}.",
            remedy='Install the part of Feast, as "feast[aws]", or the driver of its registry\'s address.',
        ) from err
    except _store_faults() as err:
        meaning, remedy = _meaning(err)
        reason = " ".join(str(err).split())[:200] or type(err).__name__
        raise FeatureStoreError(
            f"{what}: a store of profile {profile} {meaning}: {reason}.", remedy=remedy
        ) from err
