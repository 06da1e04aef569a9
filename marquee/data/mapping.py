"""How one source's fields become the contract's columns.

A mapping is a small YAML file (or a `Mapping` built in code); ready-made ones for GroupLens and
RecBole layouts lie in `marquee/data/mappings/` and are loaded by name.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Final, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from marquee import schema
from marquee.data.yaml_text import parse_yaml
from marquee.errors import ConfigError

TimeUnit = Literal["s", "ms", "us", "iso8601"]
TIME_UNITS: Final[tuple[TimeUnit, ...]] = get_args(TimeUnit)

_PRESETS: Final = resources.files("marquee.data") / "mappings"


class Mapping(BaseModel):
    """How one source's fields become the columns of the interactions contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["csv", "jsonl", "parquet"]
    """csv is any delimited text; jsonl one JSON object a line."""
    columns: dict[str, StrictStr | StrictInt]
    """Contract column to source field: its name (in jsonl, dots step into nested objects), or its position,
    counted from 0, in delimited text."""
    delimiter: str = ","
    """Between two fields of delimited text; more than one character ("::") only where `quoting` is off."""
    header: bool = True
    """Whether the first line of each delimited file names the fields."""
    quoting: bool = True
    """Whether double quotes enclose fields; where False they are ordinary characters (u.data, RecBole)."""
    fields: int | None = Field(default=None, ge=1)
    """How many fields a record has where there is no header; unset, just enough for `columns`."""
    typed_header: bool = False
    """Whether header names carry a ":type" suffix, which is stripped (RecBole atomic files)."""
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    """Of text sources; a byte order mark at the start of a UTF-8 file is dropped."""
    timestamp_unit: str = "s"
    """Since 1970-01-01 UTC in "s", "ms" or "us"; or "iso8601"; or a strptime format such as "%d/%m/%Y %H:%M"
    (fractions of a second are "%.f")."""
    time_zone: str | None = None
    """The IANA zone of times that are written without an offset; without it they are read as UTC."""
    constants: dict[str, StrictStr] = {}
    """Contract column to the one value that each row gets, e.g. `interaction_type: rating`."""
    interaction_types: dict[str, StrictStr] = {}
    """Source value to contract value of `interaction_type`; values not named here must be contract values."""
    null_values: tuple[str, ...] = ()
    """Texts that mean null besides the empty one, e.g. "NA"."""

    @field_validator("columns", "constants")
    @classmethod
    def _known_columns(cls, columns: dict[str, str | int]) -> dict[str, str | int]:
        for column, field in columns.items():
            if column not in schema.INTERACTIONS_SCHEMA:
                known = ", ".join(schema.INTERACTIONS_SCHEMA)
                raise ValueError(f"{column!r} is no column of the contract: use one of {known}")
            if isinstance(field, int) and field < 0:
                raise ValueError(f"{column!r} has position {field}: count from 0")
        return columns

    @field_validator("delimiter")
    @classmethod
    def _usable_delimiter(cls, delimiter: str) -> str:
        if not delimiter or any(mark in delimiter for mark in '"\r\n\0'):
            raise ValueError("a delimiter has at least one character and no quote, line end or NUL")
        return delimiter

    @field_validator("timestamp_unit")
    @classmethod
    def _known_unit(cls, unit: str) -> str:
        if unit not in TIME_UNITS and "%" not in unit:
            raise ValueError(
                f"use one of {', '.join(TIME_UNITS)} or a strptime format such as '%Y-%m-%d %H:%M:%S'"
            )
        if "%f" in unit:  # polars reads it as a count of nanoseconds and drops ".25" silently
            raise ValueError("write fractions of a second as '%.f', not '%f'")
        if unit not in TIME_UNITS and not _reads_back(unit):
            raise ValueError("this format does not give a date: it needs a year, a month and a day")
        return unit

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (ZoneInfoNotFoundError, ValueError, OSError) as err:
                raise ValueError("use an IANA zone such as 'Europe/Berlin'") from err
        return zone

    @field_validator("interaction_types")
    @classmethod
    def _known_types(cls, types: dict[str, str]) -> dict[str, str]:
        for target in types.values():
            _require_interaction_type(target)
        return types

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_required()
        named = [field for field in self.columns.values() if isinstance(field, str)]
        if self.format == "csv" and not self.header and named:
            raise ValueError(
                f"columns: {named[0]!r} is a name but header is false: give positions, counted from 0"
            )
        if self.format != "csv" and len(named) < len(self.columns):
            raise ValueError(f"columns: positions exist only in csv, {self.format} fields have names")
        if self.format == "csv" and self.quoting and len(self.delimiter) > 1:
            raise ValueError(
                f"delimiter: {self.delimiter!r} is longer than one character: set quoting to false"
            )
        return self

    @model_validator(mode="after")
    def _enough_fields(self) -> Self:
        highest = max((field for field in self.columns.values() if isinstance(field, int)), default=-1)
        if self.fields is not None and self.header:
            raise ValueError("fields: the header says how many there are: drop the key")
        if self.fields is not None and self.fields <= highest:
            raise ValueError(f"fields: {self.fields} is too few for position {highest}, counted from 0")
        return self

    def _check_required(self) -> None:
        for column in schema.REQUIRED_COLUMNS:
            if column not in self.columns and column not in self.constants:
                raise ValueError(f"columns: {column!r} is missing: map it, or give it under constants")
        if both := sorted(self.columns.keys() & self.constants.keys()):
            raise ValueError(f"constants: {both[0]!r} stands under columns too: keep one of them")
        if schema.TIMESTAMP in self.constants:
            raise ValueError(
                f"constants: {schema.TIMESTAMP!r} can't be the same for each row: map it under columns"
            )
        if schema.INTERACTION_TYPE in self.constants:
            _require_interaction_type(self.constants[schema.INTERACTION_TYPE])

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of what the mapping says, however it was written down."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read a YAML mapping file.

        Raises:
            ConfigError: the file can't be read, is no YAML mapping, or has a key or value that does
                not fit.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as err:
            raise ConfigError(
                f"mapping file {path} can't be read: {_cause(err)}.",
                remedy=f"Give a YAML mapping file or one of: {', '.join(preset_names())}.",
            ) from err
        return cls._from_text(text, origin=str(path))

    @classmethod
    def preset(cls, name: str) -> Self:
        """A ready-made mapping by name.

        Raises:
            ConfigError: there is none of that name.
        """
        if name not in preset_names():
            raise ConfigError(
                f"there is no mapping named {name!r}.",
                remedy=f"Use one of: {', '.join(preset_names())}; or give a YAML mapping file.",
            )
        return cls._from_text(
            (_PRESETS / f"{name}.yaml").read_text(encoding="utf-8"), origin=f"preset {name}"
        )

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """A ready-made mapping by name, else a YAML mapping file.

        Raises:
            ConfigError: as `from_file`.
        """
        return (
            cls.preset(str(name_or_path))
            if str(name_or_path) in preset_names()
            else cls.from_file(name_or_path)
        )

    @classmethod
    def from_dict(cls, content: object, *, origin: str) -> Self:
        """Build from parsed YAML; `origin` (a file, or a file and a key) stands in the error.

        Raises:
            ConfigError: a key or value that does not fit; the first one is named.
        """
        if not isinstance(content, dict):
            raise ConfigError(
                f"{origin}: a mapping has keys and values, this is {_shown(content)}.",
                remedy="Give at least the keys format and columns.",
            )
        if schema.INTERACTIONS in content:
            raise ConfigError(
                f"{origin} describes a whole folder: it has the key {schema.INTERACTIONS!r}.",
                remedy="Give a file with just what stands under its interactions.mapping, or train on the"
                " folder: `marquee train folder --source FOLDER`.",
            )
        try:
            return cls.model_validate(content)
        except ValidationError as err:
            raise _config_error(err.errors()[0], origin=origin, known=tuple(cls.model_fields)) from err

    @classmethod
    def _from_text(cls, text: str, *, origin: str) -> Self:
        return cls.from_dict(parse_yaml(text, origin=origin), origin=origin)


def preset_names() -> Sequence[str]:
    """Names of the ready-made mappings, sorted."""
    names = (entry.name for entry in _PRESETS.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def _reads_back(time_format: str) -> bool:
    """Whether a day written in the format can be read again."""
    day = pl.Series([datetime(2024, 5, 17, tzinfo=UTC)])
    try:
        read = day.dt.strftime(time_format).str.strptime(pl.Datetime("us"), time_format, strict=False)
    except pl.exceptions.PolarsError:
        return False
    return bool((read.dt.date() == day.dt.date()).fill_null(False).all())


def _require_interaction_type(value: str) -> None:
    if value not in schema.INTERACTION_TYPES:
        known = ", ".join(schema.INTERACTION_TYPES)
        raise ValueError(f"{value!r} is no interaction type: use one of {known}")


def _config_error(detail: ErrorDetails, *, origin: str, known: tuple[str, ...]) -> ConfigError:
    key = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if not key:  # a check of the whole mapping says its key itself
        return ConfigError(f"{origin}: {message}.", remedy="Mend the mapping.")
    if detail["type"] == "extra_forbidden":
        return ConfigError(f"{origin}: unknown key {key!r}.", remedy=f"Use one of: {', '.join(known)}.")
    if detail["type"] == "missing":
        return ConfigError(f"{origin}: the key {key!r} is missing.", remedy="Add it.")
    return ConfigError(f"{origin}: {key} = {_shown(detail['input'])}: {message}.", remedy=f"Correct {key}.")


def _cause(err: Exception) -> str:
    return err.strerror or str(err) if isinstance(err, OSError) else "it is not UTF-8 text"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
