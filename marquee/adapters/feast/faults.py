"""What stores raise, turned into one clear error."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from feast.errors import (
    EntityNotFoundException,
    FeastEntityDFMissingColumnsError,
    FeatureServiceNotFoundException,
    FeatureViewNotFoundException,
    RequestDataNotFoundInEntityDfException,
)
from google.protobuf.message import DecodeError
from redis.exceptions import RedisError

from marquee.errors import ContractError, FeatureStoreError


def _unreachable() -> tuple[type[Exception], ...]:
    faults: tuple[type[Exception], ...] = (OSError, sqlite3.Error, RedisError)
    if find_spec("botocore"):
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only where AWS is installed

        faults = (*faults, BotoCoreError, ClientError)
    if find_spec("sqlalchemy"):
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - only where a SQL registry is installed

        faults = (*faults, SQLAlchemyError)
    return faults


@contextmanager
def store_errors(what: str, *, profile: str) -> Iterator[None]:
    """Name what failed and in which profile.

    Raises:
        FeatureStoreError: a store or registry does not answer, can't be read, or lacks what is asked.
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
    except _unreachable() as err:
        reason = " ".join(str(err).split())[:200] or type(err).__name__
        raise FeatureStoreError(
            f"{what}: the store of profile {profile} does not answer: {reason}.",
            remedy="Check that it runs and is reachable; `marquee features apply` makes its tables.",
        ) from err
