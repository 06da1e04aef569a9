"""Which events a drift check compares: from what a person types to two tables.

A window is named as SOURCE, RANGE or SOURCE@RANGE. A source is a warehouse's folder or the id of one of the
main warehouse's snapshots, at least eight characters of it; without one it is the main warehouse as it is
now. A range is a length such as 36h, 7d or 4w, or two dates such as 2024-01-01..2024-02-01, UTC, the second
one not included, either may be missing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Self

import polars as pl

from marquee import schema
from marquee.data.snapshot import Snapshot
from marquee.data.splits import CONSUMPTION_TYPES
from marquee.data.warehouse import CONTENTS, Warehouse
from marquee.errors import ConfigError, NotEnoughDataError
from marquee.steps.folders import FACTS, Data

HOUR_US: Final = 3_600_000_000
_LENGTHS: Final = {"h": HOUR_US, "d": 24 * HOUR_US, "w": 7 * 24 * HOUR_US}
_LENGTH: Final = re.compile(r"([1-9]\d{0,4})([hdw])")
_DATE: Final = r"(\d{4}-\d{2}-\d{2})?"
_DATES: Final = re.compile(rf"{_DATE}\.\.{_DATE}")
_REMEDY: Final = (
    "Give a warehouse's folder, a snapshot's id, a length such as 7d, dates such as 2024-01-01..2024-02-01, "
    "or SOURCE@RANGE."
)


@dataclass(frozen=True)
class Wanted:
    """A window as it was asked for."""

    source: str = ""
    """A folder or a snapshot's id; empty for the main warehouse."""
    length_us: int | None = None
    start_us: int | None = None
    end_us: int | None = None
    """Not included."""

    @property
    def has_range(self) -> bool:
        """Whether it is less than all of its source."""
        return any(each is not None for each in (self.length_us, self.start_us, self.end_us))

    @classmethod
    def of(cls, text: str, *, option: str) -> Self:
        """Read what a person typed.

        Raises:
            ConfigError: it names no window.
        """
        source, separator, span = text.rpartition("@")
        if not separator:
            is_range = bool(_LENGTH.fullmatch(text) or _DATES.fullmatch(text))
            source, span = ("", text) if is_range else (text, "")
        if not span and not source:
            raise ConfigError(f"{option} = {text!r} names no window.", remedy=_REMEDY)
        if found := _LENGTH.fullmatch(span):
            return cls(source, length_us=int(found[1]) * _LENGTHS[found[2]])
        if found := _DATES.fullmatch(span):
            try:
                start, end = (None if part is None else _midnight_us(part) for part in found.groups())
            except ValueError as error:
                raise ConfigError(
                    f"{option} = {text!r}: {error}.", remedy="Give dates that exist."
                ) from error
            if start is not None and end is not None and start >= end:
                raise ConfigError(f"{option} = {text!r} ends before it begins.", remedy="Turn it round.")
            return cls(source, start_us=start, end_us=end)
        if span:
            raise ConfigError(f"{option} = {text!r}: {span!r} is no range.", remedy=_REMEDY)
        return cls(source)


def _midnight_us(text: str) -> int:
    day = date.fromisoformat(text)
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000


@dataclass(frozen=True, eq=False)
class Events:
    """The events that users chose items by, of one window, and the tables beside them."""

    id: str
    """Of the content that they were read from."""
    start_us: int
    end_us: int
    """Not included."""
    events: pl.DataFrame
    history: pl.DataFrame
    """Those of the same source up to the window's end: what was known of its users."""
    users: pl.DataFrame
    movies: pl.DataFrame
    publicity: pl.DataFrame

    @property
    def length_us(self) -> int:
        """Of the window."""
        return self.end_us - self.start_us


def read_windows(reference: Wanted | None, current: Wanted, main: Path) -> tuple[Events, Events]:
    """The two windows: what to compare with, and what is new.

    Lengths count back: the current one's from the newest event on, the reference's, where both are of one
    warehouse, from the beginning of the current one, with which it ends at the latest. Of a current snapshot
    without a range only what the reference's snapshot does not reach is new.

    Args:
        reference: None for all of the main warehouse before the current window.
        current: the new one.
        main: folder of the main warehouse, or of `ingest_interactions`.

    Raises:
        ConfigError: a source is none.
        WarehouseError: a warehouse or snapshot is missing or damaged.
        NotEnoughDataError: a window holds no event.
    """
    asked = reference or Wanted()
    there, here = _opened(asked.source, main), _opened(current.source, main)
    if there.root != here.root:
        return _events(there, asked, what="reference"), _events(here, current, what="current")
    if current.has_range:
        new = _events(here, current, what="current")
        return _events(there, asked, what="reference", before_us=new.start_us), new
    old = _events(there, asked, what="reference")
    rest = replace(current, start_us=old.end_us)
    return old, _events(here, rest, what="current")


@dataclass(frozen=True, eq=False)
class _Opened:
    warehouse: Warehouse
    snapshot: Snapshot | None

    @property
    def root(self) -> Path:
        return Path(self.warehouse.root)

    @property
    def id(self) -> str:
        return (self.snapshot or Snapshot.of(self.warehouse.contents)).id

    def table(self, name: str) -> pl.DataFrame:
        return self.warehouse.read_table(name, snapshot=self.snapshot)


def _opened(source: str, main: Path) -> _Opened:
    folder = Path(source) if source else main
    if (folder / FACTS).is_file():
        warehouse = Warehouse(folder)
        return _Opened(warehouse, warehouse.open_snapshot(Data.read(folder).snapshot))
    if (folder / CONTENTS).is_file() or not source:
        return _Opened(Warehouse(folder), None)
    if re.fullmatch(r"[0-9a-f]{8,64}", source):
        warehouse = Warehouse(main)
        return _Opened(warehouse, warehouse.open_snapshot(source))
    raise ConfigError(f"{source!r} is neither a warehouse's folder nor a snapshot's id.", remedy=_REMEDY)


def _events(opened: _Opened, wanted: Wanted, *, what: str, before_us: int | None = None) -> Events:
    columns = [*schema.REQUIRED_COLUMNS, schema.VALUE]
    chosen = pl.col(schema.INTERACTION_TYPE).cast(pl.String).is_in(list(CONSUMPTION_TYPES))
    history = opened.warehouse.read_interactions(opened.snapshot, columns=columns).filter(chosen)
    time = history[schema.TIMESTAMP].dt.epoch("us")
    newest, oldest = time.max(), time.min()
    if not isinstance(newest, int) or not isinstance(oldest, int):
        raise NotEnoughDataError(f"{opened.root} holds no event.", remedy="Ingest events into it.")
    end = newest + 1 if wanted.end_us is None else wanted.end_us
    end = end if before_us is None else min(end, before_us)
    start = wanted.start_us if wanted.start_us is not None else oldest
    if wanted.length_us is not None:
        start = end - wanted.length_us
    events = history.filter((time >= start) & (time < end))
    if events.is_empty():
        raise NotEnoughDataError(
            f"The {what} window {_iso(start)}..{_iso(end)} of {opened.root} holds no event.",
            remedy=f"Its events are of {_iso(oldest)}..{_iso(newest)}: ask for another window.",
        )
    return Events(
        id=opened.id, start_us=start, end_us=end, events=events, history=history.filter(time < end),
        users=opened.table(schema.USERS), movies=opened.table(schema.MOVIES),
        publicity=opened.table(schema.PUBLICITY),
    )  # fmt: skip


def spans_of(window: Events, length_us: int) -> Iterator[tuple[int, int]]:
    """Beginnings and ends of the spans of a length that a window is cut into, the newest first.

    What is left at its beginning is no span. A window that is no longer than that is one span.
    """
    end = window.end_us
    if window.length_us <= length_us:
        yield window.start_us, end
        return
    while end - length_us >= window.start_us:
        yield end - length_us, end
        end -= length_us


def _iso(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us / 1e6, UTC):%Y-%m-%dT%H:%M}"


def window_name(storage: str, window: Events) -> str:
    """A name that two windows share only where they are the same time of the same data set."""
    start, end = (
        f"{datetime.fromtimestamp(each / 1e6, UTC):%Y%m%dT%H%M%S}"
        for each in (window.start_us, window.end_us)
    )
    return f"{storage}-{start}-{end}"
