"""The log of events: new ones are merged into the slices that they fall into; the others stay as they are."""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from marquee import schema
from marquee.errors import NotEnoughDataError
from marquee.features.context import DAY_US
from marquee.features.state.events import EVENT_COLUMNS, is_choice, resolved
from marquee.features.state.folder import EVENTS, StateDraft
from marquee.features.state.slices import Layout, in_month

Progress = Callable[[str, int, int | None], None]
"""Hears what is done, how far it is, and of how much."""
_FILE = "events.parquet"


@dataclass(eq=False)
class LogChanges:
    """What merging events into the log changed; rows that were there before do not count."""

    layout: Layout
    first_us: int
    """Time of the log's first event, UTC microseconds."""
    last_us: int
    events: int = 0
    since_us: int | None = None
    """Time of the earliest event that changed."""
    users: pl.DataFrame = field(default_factory=lambda: _no_events().select(schema.USER_ID))
    """Ids of their users, unique."""
    choices: pl.LazyFrame = field(default_factory=lambda: _no_events().lazy())
    """Those by which something was chosen."""

    @property
    def chosen_since_us(self) -> int | None:
        """Time of the earliest choice that changed."""
        first = self.choices.select(pl.col(schema.TIMESTAMP).min().dt.epoch("us")).collect().item()
        return None if first is None else int(first)


def merge_events(draft: StateDraft, events: pl.LazyFrame, *, on_progress: Progress) -> LogChanges:
    """Write the log's next version; memory holds one month of new events and one slice of the log.

    Raises:
        NotEnoughDataError: there was no event before and there is none now.
    """
    changes = _bounds(draft, events)
    old = changes.layout.by_slice(draft.old_names(EVENTS))
    found, users = [_no_events()], [changes.users]
    spans = _months(events)
    for done, month in enumerate(spans):
        on_progress("sorting events", done, len(spans))
        here = in_month(schema.TIMESTAMP, month)
        new = resolved(events.filter(here).select(list(EVENT_COLUMNS)).collect())
        for start, rows in _by_slice(new, changes.layout):
            differs = _merge(draft, rows, name=changes.layout.name(start, _FILE), old=old.pop(start, []))
            changes.events += len(differs)
            users.append(differs.select(pl.col(schema.USER_ID).unique()))
            if draft.before is not None:
                found.append(differs)
    for start, names in old.items():
        name = changes.layout.name(start, _FILE)
        if names == [name]:
            draft.keep(EVENTS, name)
        else:
            draft.write(EVENTS, name, resolved(draft.scan_old(EVENTS, names).collect()))
    changes.users = pl.concat(users).unique().sort(schema.USER_ID)
    _note_times(changes, draft, pl.concat(found))
    return changes


def _bounds(draft: StateDraft, events: pl.LazyFrame) -> LogChanges:
    """An empty report with the new log's first and last times."""
    time = pl.col(schema.TIMESTAMP).dt.epoch("us")
    low, high = events.select(time.min().alias("low"), time.max().alias("high")).collect().row(0)
    before = draft.before
    lows = [each for each in (low, before.first_us if before else None) if each is not None]
    highs = [each for each in (high, before.last_us if before else None) if each is not None]
    if not lows:
        raise NotEnoughDataError("there is no event to build state from.", remedy="Ingest events first.")
    return LogChanges(Layout.of(max(highs) // DAY_US), first_us=min(lows), last_us=max(highs))


def _months(events: pl.LazyFrame) -> list[int]:
    """The months that events fall into, by their first days."""
    month = pl.col(schema.TIMESTAMP).dt.date().dt.month_start()
    days = events.select(month.unique().to_physical()).collect().to_series()
    return sorted(days.to_list())


def _note_times(changes: LogChanges, draft: StateDraft, found: pl.DataFrame) -> None:
    if draft.before is None:  # everything is new: read it from the log, a bucket at a time
        changes.since_us = changes.first_us
        changes.choices = draft.scan_drafted(EVENTS).filter(is_choice())
    elif len(found):
        changes.since_us = int(found[schema.TIMESTAMP].dt.epoch("us").min())  # type: ignore[arg-type]  # int64
        changes.choices = found.lazy().filter(is_choice())


def _by_slice(events: pl.DataFrame, layout: Layout) -> list[tuple[int, pl.DataFrame]]:
    """Events by slice, in their order."""
    marked = events.with_columns(layout.starts(schema.TIMESTAMP).alias("_start"))
    parts = marked.partition_by("_start", maintain_order=True, as_dict=True, include_key=False)
    return [(start, part) for (start,), part in sorted(parts.items())]


def _merge(draft: StateDraft, new: pl.DataFrame, *, name: str, old: list[str]) -> pl.DataFrame:
    """Write a slice, or keep it where nothing changes; gives the rows that are not as they were."""
    if not old:
        draft.write(EVENTS, name, new)
        return new
    before = draft.scan_old(EVENTS, old).collect()
    merged = resolved(pl.concat([before, new]))
    differs = merged.join(before, on=list(EVENT_COLUMNS), how="anti", nulls_equal=True)
    if differs.is_empty() and old == [name]:
        draft.keep(EVENTS, name)
    else:
        draft.write(EVENTS, name, merged)
    return differs


def _no_events() -> pl.DataFrame:
    return pl.DataFrame(schema=EVENT_COLUMNS)
