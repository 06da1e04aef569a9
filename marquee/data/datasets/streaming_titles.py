"""Catalogues of streaming services in the well-known twelve columns, as a movie table.

show_id, type, title, director, cast, country, date_added, release_year, rating, duration, listed_in,
description. One file a service, `<service>_titles.csv`; `show_id` is unique within a file only, so the
item id is `<service>:<show_id>`. No row is ever dropped: a value that can't be read is null in the
table and a row among the issues.
"""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl

from marquee import schema
from marquee.data.content_ratings import is_known, min_ages_of
from marquee.data.datasets.archive import list_files, take_files
from marquee.data.datasets.dates import read_date
from marquee.data.datasets.raw import Progress, RawDataset, conform
from marquee.data.datasets.side_tables import Issues, read_csv
from marquee.errors import SourceError

NAME: Final = "streaming-titles"
FILE_SUFFIX: Final = "_titles.csv"
COLUMNS: Final = (
    *("show_id", "type", "title", "director", "cast", "country", "date_added", "release_year", "rating"),
    *("duration", "listed_in", "description"),
)

_KINDS: Final = {"Movie": "movie", "TV Show": "series"}
_MINUTES: Final = re.compile(r"(\d{1,4}) min")
_SEASONS: Final = re.compile(r"(\d{1,3}) Seasons?")
_ZERO_WIDTH: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
_LONGEST_NAME: Final = 100  # characters; the director column of Hulu holds three misplaced sentences


def load_streaming_titles(root: Path, *, work: Path, source: str, on_progress: Progress) -> RawDataset:
    """Read a folder or zip of `<service>_titles.csv` files.

    Raises:
        SourceError: there is no such file, or one lacks a column.
    """
    listing = list_files(root)
    for folder, names in listing.names_by_folder.items():
        if wanted := [name for name in names if name.endswith(FILE_SUFFIX)]:
            files = take_files(listing, wanted, folder=folder, into=work, on_progress=on_progress)
            return _load(files, source=source)
    raise SourceError(f"{root} holds no *{FILE_SUFFIX}.", remedy=f"Name the files <service>{FILE_SUFFIX}.")


def _load(files: dict[str, Path], *, source: str) -> RawDataset:
    issues = Issues()
    rows = [row for name, path in sorted(files.items()) for row in _rows(name, path, issues=issues)]
    columns = {column: dtype for column, dtype in schema.MOVIES_SCHEMA.items() if column != schema.MIN_AGE}
    table = pl.DataFrame(rows, schema=columns)
    table = table.with_columns(min_ages_of(table[schema.CONTENT_RATING]))
    return RawDataset(
        name=NAME,
        interactions=(),
        mapping=None,
        source=source,
        movies=conform(table, name=schema.MOVIES),
        notes=("a catalogue without events", "licence not established: not to be redistributed"),
        issues=issues.to_table(),
    )


def _rows(name: str, path: Path, *, issues: Issues) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for line, raw in read_csv(path, COLUMNS, issues=issues):
        row = _Title(raw, path=path, line=line, issues=issues).to_row(service=name.removesuffix(FILE_SUFFIX))
        if (item_id := row[schema.ITEM_ID]) in seen:
            reason = "stands there already: the line number was added"
            issues.add(path, line, column="show_id", value=raw["show_id"], reason=reason)
            row[schema.ITEM_ID] = f"{item_id}-line-{line}"
        seen.add(item_id)
        yield row


class _Title:
    """One record: its fields without zero-width and outer blanks, and where its issues belong."""

    def __init__(self, raw: dict[str, str], *, path: Path, line: int, issues: Issues) -> None:
        self.fields = {column: text.translate(_ZERO_WIDTH).strip() for column, text in raw.items()}
        self._where = (path, line)
        self._issues = issues

    def to_row(self, *, service: str) -> dict[str, Any]:
        rating, length = self._rating_and_duration()
        minutes, seasons = self._length(length)
        return {
            schema.ITEM_ID: f"{service}:{self._id()}",
            schema.TITLE: self.fields["title"] or None,
            schema.YEAR: self._issues.number(
                self.fields["release_year"], source=self._where[0], line=self._where[1], column="release_year"
            ),
            schema.RELEASED_ON: None,
            schema.ADDED_ON: self._added_on(),
            schema.KIND: self._kind(),
            schema.GENRES: self._names("listed_in"),
            schema.DIRECTORS: self._names("director"),
            schema.CAST: self._names("cast"),
            schema.COUNTRIES: self._names("country"),
            schema.DURATION_MINUTES: minutes,
            schema.SEASONS: seasons,
            schema.CONTENT_RATING: rating,
            schema.DESCRIPTION: self.fields["description"] or None,
            schema.SERVICE: service,
            schema.IMDB_ID: None,
        }

    def _issue(self, column: str, value: str, reason: str) -> None:
        self._issues.add(*self._where, column=column, value=value, reason=reason)

    def _id(self) -> str:
        if not self.fields["show_id"]:
            self._issue("show_id", "", "empty: the line number stands in for it")
        return self.fields["show_id"] or f"line-{self._where[1]}"

    def _kind(self) -> str | None:
        kind = _KINDS.get(self.fields["type"])
        if kind is None:
            self._issue("type", self.fields["type"], f"not one of {', '.join(_KINDS)}")
        return kind

    def _rating_and_duration(self) -> tuple[str | None, str]:
        """The two texts, with a duration that stands under `rating` moved to where it belongs."""
        rating, duration = self.fields["rating"], self.fields["duration"]
        if _MINUTES.fullmatch(rating) or _SEASONS.fullmatch(rating):
            if duration:
                self._issue("rating", rating, "a duration, and duration has one already")
            return None, duration or rating
        if rating and not is_known(rating):
            self._issue("rating", rating, "no known content rating: kept, without a minimum age")
        return rating or None, duration

    def _length(self, text: str) -> tuple[int | None, int | None]:
        """Minutes and seasons; "0 min" means that nobody knows."""
        if found := _MINUTES.fullmatch(text):
            return int(found[1]) or None, None
        if found := _SEASONS.fullmatch(text):
            return None, int(found[1]) or None
        if text:
            self._issue("duration", text, "neither minutes nor seasons")
        return None, None

    def _added_on(self) -> date | None:
        text = self.fields["date_added"]
        added_on = read_date(text)
        if text and added_on is None:
            self._issue("date_added", text, "not a date such as 25-Sep-21 or September 25, 2021")
        return added_on

    def _names(self, column: str) -> list[str] | None:
        """The comma-separated names; some lists begin or end with a comma. None where there are none."""
        text = self.fields[column]
        if column == "director" and len(text) > _LONGEST_NAME and text.endswith("."):
            self._issue(column, text, "a sentence, not names")
            return None
        return [name for part in text.split(",") if (name := part.strip())] or None
