"""A split of the user's own: two files of user, item and, where there are, rating and timestamp."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.data.interactions import Interactions, Vocabulary
from marquee.data.literature_split import RandomSplit
from marquee.errors import NotEnoughDataError, SourceError

_NAMES: Final[dict[str, tuple[str, ...]]] = {
    schema.USER_ID: ("user", "userid", "uid", "username", "profileid"),
    schema.ITEM_ID: ("item", "itemid", "iid", "sid", "movie", "movieid", "productid"),
    schema.VALUE: ("rating", "value", "score", "stars", "label"),
    schema.TIMESTAMP: ("timestamp", "time", "date", "datetime", "unixtime"),
}
"""How headers call the columns, lower case without punctuation."""
_POSITIONS: Final = tuple(_NAMES)
_DELIMITERS: Final = ("\t", "::", ",", ";", "|", " ")
_SECONDS_BELOW: Final = 1e11
_MILLISECONDS_BELOW: Final = 1e14
_ROW: Final = "_row"
_ISO_FORMATS: Final = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d")


@dataclass(frozen=True, eq=False)
class GivenSplit:
    """The two files as events with common vocabularies, and what was left out of them."""

    split: RandomSplit
    has_times: bool  # both files carry timestamps; without them every event is at moment 0
    notes: tuple[str, ...]


def read_given_split(train: Path, test: Path) -> GivenSplit:
    """Read both files; a pair that occurs twice counts once, one that trains is not asked about.

    Columns are found by the header's names, or else by position: user, item, rating, timestamp. Times
    are seconds, milliseconds or microseconds since 1970 by their magnitude, or ISO 8601 in UTC.

    Raises:
        SourceError: a file can't be read; the message names file, line and field.
        NotEnoughDataError: nothing to learn from, or nothing to ask about.
    """
    tables = [read_events(path) for path in (train, test)]
    both = pl.concat([table.select(schema.USER_ID, schema.ITEM_ID) for table in tables])
    users, items = Vocabulary.of(both[schema.USER_ID]), Vocabulary.of(both[schema.ITEM_ID])
    has_times = all(schema.TIMESTAMP in table.columns for table in tables)
    learned, asked = (_events(table, users, items, has_times=has_times) for table in tables)
    learned, n_repeated = _first_of_each_pair(learned)
    asked, n_asked_twice = _first_of_each_pair(asked)
    known = np.isin(_pairs(asked), _pairs(learned))
    counts = {
        f"rows of {train.name} that repeat a pair of user and item: left out": n_repeated,
        f"rows of {test.name} that repeat a pair of user and item: left out": n_asked_twice,
        f"rows of {test.name} that are in {train.name}, too: left out": np.count_nonzero(known),
    }
    notes = tuple(f"{count} {what}" for what, count in counts.items() if count)
    asked = asked.take(~known)
    for events, path, what in ((learned, train, "to learn from"), (asked, test, "to ask about")):
        if not len(events):
            raise NotEnoughDataError(
                f"{path} holds no event {what}.", remedy="Give a file with rows of user and item."
            )
    return GivenSplit(RandomSplit(learned, asked), has_times, notes)


def read_events(path: Path) -> pl.DataFrame:
    """The columns that a file has, of user_id, item_id, value and timestamp, as text or parsed.

    Raises:
        SourceError: the file is missing, empty or binary, or a line of it does not fit.
    """
    text = _text(path)
    first = next((line for line in text.split("\n", 50)[:50] if line.strip()), "").rstrip("\r")
    if not first:
        raise SourceError(f"{path} is empty.", remedy="Give a file with rows of user and item.")
    delimiter = next((each for each in _DELIMITERS if each in first), None)
    if delimiter is None:
        raise SourceError(
            f"{path}, line 1: {first[:60]!r} is one field; a row holds at least user and item.",
            remedy="Separate the fields by tab, comma, semicolon or '::'.",
        )
    fields = [field.strip().strip('"') for field in first.split(delimiter)]
    columns, has_header = _columns(fields, path)
    table = _table(text, delimiter, len(fields), path=path).slice(int(has_header))
    table = table.rename({f"column_{at + 1}": name for name, at in columns.items()})
    return _parsed(table.select(_ROW, *columns), path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror}.", remedy="Check the path.") from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is no UTF-8 text: {error}.", remedy="Give CSV or TSV, not a compressed or binary file."
        ) from error


def _columns(fields: Sequence[str], path: Path) -> tuple[dict[str, int], bool]:
    """Position of each column, and whether the first line is a header."""
    plain = [re.sub(r"[^a-z]", "", field.split(":")[0].lower()) for field in fields]
    found = {
        name: plain.index(alias) for name, aliases in _NAMES.items() for alias in aliases if alias in plain
    }
    if not found:
        return {name: at for at, name in enumerate(_POSITIONS) if at < len(fields)}, False
    for name, what in ((schema.USER_ID, "user"), (schema.ITEM_ID, "item")):
        if name not in found:
            raise SourceError(
                f"{path}, line 1: the header {', '.join(fields)} names no {what} column.",
                remedy=f"Call it {name!r}, or leave the header out and give user, item, rating, timestamp.",
            )
    return found, True


def _table(text: str, delimiter: str, n_fields: int, *, path: Path) -> pl.DataFrame:
    """All fields as text in column_1, column_2 …, with the number of the line from 1."""
    lines = pl.Series("line", text.split("\n")).str.strip_chars_end("\r")
    numbered = lines.to_frame().with_row_index(_ROW, offset=1).filter(pl.col("line").str.strip_chars() != "")
    split = numbered.with_columns(field=pl.col("line").str.split(delimiter))
    wrong = split.filter(pl.col("field").list.len() != n_fields)
    if len(wrong):
        row = wrong.row(0, named=True)
        raise SourceError(
            f"{path}, line {row[_ROW]}: {len(row['field'])} fields where line 1 has {n_fields}: "
            f"{row['line'][:60]!r}.",
            remedy="Mend the line; fields that hold the delimiter are not supported.",
        )
    names = [f"column_{at + 1}" for at in range(n_fields)]
    fields = [
        pl.col("field").list.get(at).str.strip_chars().str.strip_chars('"').alias(name)
        for at, name in enumerate(names)
    ]
    return split.select(_ROW, *fields)


def _parsed(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    for name in (schema.USER_ID, schema.ITEM_ID):
        _refuse(table, table[name] == "", name, path=path, wanted="an id")
    if schema.VALUE in table.columns:
        value = table[schema.VALUE].cast(pl.Float32, strict=False)
        _refuse(table, value.is_null() | ~value.is_finite(), schema.VALUE, path=path, wanted="a number")
        table = table.with_columns(value)
    if schema.TIMESTAMP in table.columns:
        moment = _moments(table[schema.TIMESTAMP])
        _refuse(table, moment.is_null(), schema.TIMESTAMP, path=path, wanted="seconds since 1970 or ISO 8601")
        table = table.with_columns(moment)
    return table.drop(_ROW)


def _refuse(table: pl.DataFrame, is_bad: pl.Series, name: str, *, path: Path, wanted: str) -> None:
    bad = table.filter(is_bad.fill_null(value=True))
    if len(bad):
        row = bad.row(0, named=True)
        raise SourceError(
            f"{path}, line {row[_ROW]}: {name} = {row[name]!r} is not {wanted}.",
            remedy="Mend the line, or name the columns in a header.",
        )


def _moments(raw: pl.Series) -> pl.Series:
    number, text = pl.col("raw").cast(pl.Float64, strict=False), pl.col("raw").str.replace("T", " ")
    seconds = pl.when(number < _SECONDS_BELOW).then(number * 1_000_000)
    us = seconds.when(number < _MILLISECONDS_BELOW).then(number * 1_000).otherwise(number)
    plain = text.str.strip_suffix("Z")
    iso = [
        plain.str.to_datetime(style, time_unit="us", strict=False).dt.replace_time_zone("UTC")
        for style in _ISO_FORMATS
    ]
    moment = pl.coalesce(us.cast(pl.Int64, strict=False).cast(schema.TIME_DTYPE), *iso)
    return raw.alias("raw").to_frame().select(moment.alias(raw.name)).to_series()


def _events(table: pl.DataFrame, users: Vocabulary, items: Vocabulary, *, has_times: bool) -> Interactions:
    kind: schema.InteractionType = "rating" if schema.VALUE in table.columns else "view"
    columns = [pl.lit(kind).alias(schema.INTERACTION_TYPE)]
    if not has_times:
        columns.append(pl.lit(0).cast(schema.TIME_DTYPE).alias(schema.TIMESTAMP))
    return Interactions.from_table(table.with_columns(columns), users=users, items=items)


def _first_of_each_pair(events: Interactions) -> tuple[Interactions, int]:
    _, first = np.unique(_pairs(events), return_index=True)
    return events.take(np.sort(first)), len(events) - len(first)


def _pairs(events: Interactions) -> NDArray[np.int64]:
    return events.user_index.astype(np.int64) * len(events.items) + events.item_index


def read_negatives(path: Path, users: Vocabulary, items: Vocabulary) -> dict[int, NDArray[np.int32]]:
    """Candidates per user index: rows of user and item, or of a user and all of their items.

    A first field "(user,item)", as papers with sampled candidates publish them, names the user.
    Users and items that the split lacks are left out.

    Raises:
        SourceError: the file can't be read, or a line holds no item.
    """
    found: dict[int, list[str]] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        fields = [field.strip('"') for field in re.split(r"[\t;| ]+|,(?![^(]*\))", line.strip())]
        if len(fields) < 2:
            raise SourceError(
                f"{path}, line {number}: {line[:60]!r} names no candidate.",
                remedy="Give user and item, or user and all of their items.",
            )
        user = users.index_of(fields[0].strip("()").split(",")[0])
        if user >= 0:
            found.setdefault(user, []).extend(fields[1:])
    indexes = {user: np.unique(items.encode(ids)) for user, ids in found.items()}
    return {user: index[index >= 0].astype(np.int32) for user, index in indexes.items()}
