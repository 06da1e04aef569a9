"""Any other data: a folder with a `mapping.yaml` that says which files are the events and how they read.

Example of a mapping.yaml:

    interactions:
      files: events/*.csv
      mapping: {format: csv, columns: {...}, timestamp_unit: iso8601}   # or the name of a ready-made one
    users: users.csv          # optional, with the contract's column names; CSV or Parquet
    movies: movies.parquet    # optional, as is publicity

In CSV, a list (genres, cast) is one field with `|` between its elements.
"""

from pathlib import Path
from typing import Any, Final

import polars as pl

from marquee import schema
from marquee.data.datasets.raw import RawDataset, conform
from marquee.data.mapping import Mapping
from marquee.data.yaml_text import parse_yaml
from marquee.errors import ConfigError, ContractError, SourceError

MAPPING_FILE: Final = "mapping.yaml"
_TABLES: Final = (schema.USERS, schema.MOVIES, schema.PUBLICITY)
_ID_COLUMN: Final = {
    schema.USERS: schema.USER_ID,
    schema.MOVIES: schema.ITEM_ID,
    schema.PUBLICITY: schema.ITEM_ID,
}
_LIST_SEPARATOR: Final = "|"


def load_own_folder(root: Path, *, source: str) -> RawDataset:
    """Read a folder as its `mapping.yaml` says; paths in it are relative to the folder.

    Raises:
        SourceError: the folder, its mapping.yaml, or a file that it names is missing or unreadable.
        ConfigError: mapping.yaml is not as above.
        ContractError: a table lacks its id, or has a value that does not fit its column.
    """
    content = _read_yaml(root / MAPPING_FILE)
    if unknown := sorted(content.keys() - {schema.INTERACTIONS, *_TABLES}):
        known = ", ".join((schema.INTERACTIONS, *_TABLES))
        raise ConfigError(
            f"{root / MAPPING_FILE}: unknown key {unknown[0]!r}.", remedy=f"Use one of: {known}."
        )
    files, mapping = _read_interactions(content.get(schema.INTERACTIONS), root=root)
    tables = {
        name: _read_table(root / str(content[name]), name=name) for name in _TABLES if content.get(name)
    }
    return RawDataset(
        name=root.resolve().name,
        interactions=files,
        mapping=mapping,
        source=source,
        users=tables.get(schema.USERS),
        movies=tables.get(schema.MOVIES),
        publicity=tables.get(schema.PUBLICITY),
    )


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise SourceError(
            f"{path} can't be read: {err}.",
            remedy=f"A folder of your own data needs a {MAPPING_FILE} with the key {schema.INTERACTIONS}.",
        ) from err
    content = parse_yaml(text, origin=str(path))
    if not isinstance(content, dict):
        raise ConfigError(f"{path} has no keys.", remedy=f"Give at least the key {schema.INTERACTIONS}.")
    return content


def _read_interactions(content: object, *, root: Path) -> tuple[tuple[Path, ...], Mapping]:
    where = f"{root / MAPPING_FILE}: {schema.INTERACTIONS}"
    if not isinstance(content, dict) or content.keys() != {"files", "mapping"}:
        raise ConfigError(
            f"{where} is {content!r:.80}.", remedy="Give it exactly the keys files and mapping."
        )
    pattern, mapping = content["files"], content["mapping"]
    if not isinstance(pattern, str) or not pattern or pattern.startswith("/") or ".." in Path(pattern).parts:
        raise ConfigError(f"{where}.files is {pattern!r}.", remedy="Give a file or glob inside the folder.")
    files = _matching(root, pattern, where=where)
    if not files:
        raise SourceError(
            f"{where}.files: nothing in {root} matches {pattern!r}.", remedy="Correct the pattern."
        )
    if isinstance(mapping, str):
        return files, Mapping.preset(mapping)
    return files, Mapping.from_dict(mapping, origin=f"{where}.mapping")


def _matching(root: Path, pattern: str, *, where: str) -> tuple[Path, ...]:
    """The files below `root` that a pattern names, sorted."""
    try:
        return tuple(sorted(path for path in root.glob(pattern) if path.is_file()))
    except (ValueError, IndexError, NotImplementedError) as err:  # "a**", "." and the like
        raise ConfigError(
            f"{where}.files is {pattern!r}, which is no glob.",
            remedy="Name a file or a glob such as 'events/*.csv'; '**' stands alone between two slashes.",
        ) from err


def _read_table(path: Path, *, name: str) -> pl.DataFrame:
    columns = schema.TABLE_SCHEMAS[name]
    try:
        is_parquet = path.suffix == ".parquet"
        if is_parquet:  # a path is a path, even one with brackets in it
            table = pl.read_parquet(path, glob=False)
        else:
            table = pl.read_csv(path, infer_schema=False, glob=False)
    except (OSError, pl.exceptions.PolarsError) as err:
        reason = str(err).splitlines()[0]
        raise SourceError(f"{path} can't be read: {reason}.", remedy="Give a CSV or Parquet file.") from err
    if _ID_COLUMN[name] not in table.columns:
        raise ContractError(
            f"{path} has no column {_ID_COLUMN[name]!r}; it has {', '.join(table.columns)}.",
            remedy=f"Name its columns as the contract does: {', '.join(columns)}.",
        )
    ids = table[_ID_COLUMN[name]]
    may_repeat = name == schema.PUBLICITY  # an item is observed again and again
    if ids.null_count() or (ids.is_duplicated().any() and not may_repeat):
        shown = "an empty one" if ids.null_count() else f"{ids.filter(ids.is_duplicated())[0]!r} twice"
        raise ContractError(f"{path}: {ids.name} has {shown}.", remedy="Give each row an id of its own.")
    lists = [
        column for column, dtype in columns.items() if column in table.columns and dtype == pl.List(pl.String)
    ]
    texts = [column for column in lists if table.schema[column] == pl.String]
    return _conform(table.with_columns(pl.col(texts).str.split(_LIST_SEPARATOR)), path=path, name=name)


def _conform(table: pl.DataFrame, *, path: Path, name: str) -> pl.DataFrame:
    for column, dtype in schema.TABLE_SCHEMAS[name].items():
        if column not in table.columns:
            continue
        try:
            table = table.with_columns(_read_as(table, column, dtype))
        except pl.exceptions.PolarsError as err:
            reason = str(err).splitlines()[0]
            raise ContractError(
                f"{path}: {column}: {reason.rstrip('.')}.", remedy=f"Give values of type {dtype}."
            ) from err
    return conform(table, name=name)


def _read_as(table: pl.DataFrame, column: str, dtype: pl.DataType) -> pl.Expr:
    """The column in its dtype; polars parses text as a time only when asked to."""
    if table.schema[column] == pl.String and dtype == schema.TIME_DTYPE:
        return pl.col(column).str.to_datetime(time_zone="UTC", time_unit="us")
    if table.schema[column] == pl.String and dtype == pl.Date:
        return pl.col(column).str.to_date("%Y-%m-%d")
    return pl.col(column).cast(dtype)
