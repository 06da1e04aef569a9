"""What was served, one JSON object a line: enough to ask the offline store the same question again.

A line holds the user's row exactly as it was read from the online store. Floats are written as the
shortest decimal that reads back to the same bits; NaN, which JSON lacks, is null inside of lists, since
lists of the feature store hold no null.
"""

import json
import os
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan, nan
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marquee import schema
from marquee.data.log_lines import RejectedLine, read_entries
from marquee.data.storage import exclusive_lock, storage_errors
from marquee.errors import ContractError

VERSION: Final = 1
MAX_LINE_BYTES: Final = 4 * 2**20
"""A history of the greatest width takes less than 100 kB."""
_DTYPES: Final = {name: dtype for fields in schema.FEATURE_VIEWS.values() for name, dtype in fields.items()}
_LIMITS: Final[dict[pl.DataType, int]] = {pl.Int32(): 2**31, pl.Int64(): 2**63}
_FLOAT32_MAX: Final = 3.4028234663852886e38
_Text = Annotated[str, Field(min_length=1)]


class LoggedRequest(BaseModel):
    """One request and the row of its user that was served."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = VERSION
    """Of this format."""
    request_id: _Text
    time_us: int
    """UTC microseconds: the moment that the online store was asked with, taken before the read."""
    service: _Text
    """The feature service."""
    service_hash: _Text
    """What the service meant then (`FeatureDoor.service_hash`)."""
    user_id: _Text
    row: dict[str, Any]
    """By feature, in the order of the service; what is missing or expired is None."""
    items: tuple[str, ...] | None = None
    """The list that was answered."""

    def to_line(self) -> bytes:
        """The request as one line of the log, line end included.

        Raises:
            ContractError: a value does not fit its feature, or is a number that JSON lacks.
        """
        values = self.model_dump(exclude_none=True, exclude={"row"})
        try:
            row = {name: _encoded(name, value) for name, value in self.row.items()}
        except _FeatureError as err:
            raise ContractError(
                f"request {self.request_id!r} has row.{err.feature} = {err}.",
                remedy="Log the row as FeatureDoor.get_user_row gives it.",
            ) from err
        text = json.dumps(values | {"row": row}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode() + b"\n"


LogEntry: TypeAlias = LoggedRequest | RejectedLine


class RequestLogger:
    """Appends requests; made by `logging_to`. A kill leaves whole lines and at most one torn one."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def write(self, request: LoggedRequest) -> None:
        """Append one request.

        Raises:
            ContractError: as `LoggedRequest.to_line`; nothing was written.
            WarehouseError: the disk is full or fails.
        """
        line = request.to_line()
        with storage_errors(self.path, what="the request log"):
            while line:  # one call for the whole line, but where the disk is full
                line = line[os.write(self._descriptor, line) :]


@contextmanager
def logging_to(path: Path) -> Iterator[RequestLogger]:
    """Open a log to append to: one process a file. A line that an earlier writer left torn is removed.

    Raises:
        WarehouseError: another process writes it, or the disk fails.
    """
    with storage_errors(path, what="the request log"):
        path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(path.with_name(f".{path.name}.lock")):
        with storage_errors(path, what="the request log"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            with storage_errors(path, what="the request log"):
                os.ftruncate(descriptor, _whole_bytes(descriptor))
            yield RequestLogger(path, descriptor)
        finally:
            os.close(descriptor)


def _whole_bytes(descriptor: int) -> int:
    """Where the last whole line ends."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(end - 65_536, 0)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def read_requests(path: Path) -> Iterator[LogEntry]:
    """Each line of a log, plain or gzip, in its order: a request, or why it is none. One line is held.

    Raises:
        SourceError: the file is missing, empty or binary.
    """
    return read_entries(path, parsed, max_line_bytes=MAX_LINE_BYTES)


def parsed(text: str, *, line: int) -> LogEntry:
    """One line of a log."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as err:
        # Only the last line of a file has no line end.
        is_torn = not text.endswith("\n")
        reason = "torn: its writer was stopped" if is_torn else f"is no JSON: {err}"
        return RejectedLine(line, None, reason, is_torn=is_torn)
    if not isinstance(values, dict):
        return RejectedLine(line, None, f"is a {type(values).__name__}, not an object")
    try:
        if isinstance(values.get("items"), list):
            values["items"] = tuple(values["items"])
        request = LoggedRequest.model_validate(values)
        row = {name: _decoded(name, value) for name, value in request.row.items()}
    except ValidationError as err:
        fault = err.errors()[0]
        return RejectedLine(line, ".".join(map(str, fault["loc"])), fault["msg"])
    except _FeatureError as err:
        return RejectedLine(line, f"row.{err.feature}", str(err))
    return request.model_copy(update={"row": row})


class _FeatureError(ValueError):
    """A value that is none of its feature."""

    def __init__(self, feature: str, reason: str) -> None:
        super().__init__(reason)
        self.feature = feature


def _encoded(feature: str, value: Any) -> Any:  # noqa: ANN401 - any feature
    """A feature's value for JSON: NaN in lists as None."""
    _require_fit(feature, value)
    if isinstance(value, list) and _inner(feature) == pl.Float32:
        return [None if isnan(each) else each for each in value]
    return value


def _decoded(feature: str, value: Any) -> Any:  # noqa: ANN401 - any feature
    """A feature's value from JSON: None in lists of numbers as NaN."""
    if isinstance(value, list) and feature in _DTYPES and _inner(feature) == pl.Float32:
        value = [nan if each is None else each for each in value]
    _require_fit(feature, value)
    return value


def _inner(feature: str) -> pl.DataType:
    dtype = _DTYPES[feature]
    return dtype.inner if isinstance(dtype, pl.List) else dtype  # type: ignore[return-value]  # never a class


def _require_fit(feature: str, value: Any) -> None:  # noqa: ANN401 - any feature
    """Check a value against the schema.

    Raises:
        _FeatureError: there is no such feature, or the value is not exactly of its dtype.
    """
    if feature not in _DTYPES:
        raise _FeatureError(feature, f"{_short(value)}: the schema has no such feature")
    is_list = isinstance(_DTYPES[feature], pl.List)
    if value is None:
        return
    elements = value if is_list else [value]
    if not isinstance(elements, list) or not _are(elements, _inner(feature), nan_fits=is_list):
        raise _FeatureError(feature, f"{_short(value)}, which is not {_DTYPES[feature]}")


def _are(values: list[Any], dtype: pl.DataType, *, nan_fits: bool) -> bool:
    """Whether plain values are exactly representable in a dtype."""
    if dtype == pl.String:
        return all(type(each) is str for each in values)
    if dtype in _LIMITS:
        limit = _LIMITS[dtype]
        return all(type(each) is int and -limit <= each < limit for each in values)
    if not all(type(each) in (float, int) for each in values):
        return False
    known = [float(each) for each in values if each == each]  # noqa: PLR0124 - NaN alone differs from itself
    is_finite = all(abs(each) <= _FLOAT32_MAX for each in known)
    return is_finite and array("f", known).tolist() == known and (nan_fits or len(known) == len(values))


def _short(value: Any) -> str:  # noqa: ANN401 - any value
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
