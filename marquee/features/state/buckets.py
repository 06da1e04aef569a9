"""What one bucket of users chose, and their activity: only what new choices change is made and written."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from marquee import schema
from marquee.features.movie_statistics import DAY_US
from marquee.features.state.activity import activity_counts, activity_rows, history_facts
from marquee.features.state.events import EVENT_COLUMNS, first_choices
from marquee.features.state.folder import CHOICES, StateDraft
from marquee.features.state.slices import Layout

_FEW_EVENTS: Final = 2_000_000
"""Histories with so many events together are made in one go."""
_SINCE: Final = "_since"
_START: Final = "_start"
_VIEW: Final = schema.USER_ACTIVITY_VIEW
_KEY: Final = [schema.USER_ID, schema.TIMESTAMP]
_ORDER: Final = {CHOICES: list(EVENT_COLUMNS), _VIEW: [schema.USER_ID, schema.EVENT_TIMESTAMP]}
_TIME: Final = {CHOICES: schema.TIMESTAMP, _VIEW: schema.EVENT_TIMESTAMP}


@dataclass(eq=False)
class Bucket:
    """One bucket's parts of two tables: choices and activity.

    A user's rows before their first new choice stay as they are; those from it on are made anew.
    """

    draft: StateDraft
    layout: Layout
    number: int

    def __post_init__(self) -> None:
        self.file = f"bucket={self.number:03}.parquet"
        self.old = {
            table: self.layout.by_slice(self.draft.old_names(table), file=self.file)
            for table in (CHOICES, _VIEW)
        }

    def update(self, new: pl.DataFrame) -> None:
        """Write the parts that new choices of this bucket's users change, and keep the others."""
        if new.is_empty():
            self._keep(CHOICES)
            self._keep(_VIEW)
            return
        since = new.group_by(schema.USER_ID).agg(pl.col(schema.TIMESTAMP).min().alias(_SINCE))
        before = self._choices_of(since)
        consumed = first_choices(before, new)
        old, fresh = (_from(rows.lazy(), since).collect() for rows in (before, consumed))
        self._write_choices(old, fresh, since=since)
        self._write_activity(consumed, self._moments(since, new), since=since)

    def _write_choices(self, before: pl.DataFrame, now: pl.DataFrame, *, since: pl.DataFrame) -> None:
        """Put some users' choices from their `_SINCE` on in the place of those of before."""
        old, fresh = _of_slices(before, self.layout), _of_slices(now, self.layout)
        nothing = now.clear()
        changed = {
            start for start in {*old, *fresh} if not old.get(start, nothing).equals(fresh.get(start, nothing))
        }
        self._keep(CHOICES, but=changed)
        for start in sorted(changed):
            self._replace(CHOICES, start, fresh.get(start, nothing), since=since)

    def _write_activity(self, consumed: pl.DataFrame, moments: pl.DataFrame, *, since: pl.DataFrame) -> None:
        """Put rows of some users at these moments in the place of those from their `_SINCE` on."""
        counts, facts = activity_counts(consumed, moments), history_facts(consumed)
        if counts[schema.USER_EVENTS_ALL].clip(0, schema.HISTORY_WIDTH).sum() <= _FEW_EVENTS:
            rows = _of_slices(activity_rows(counts, facts), self.layout, schema.EVENT_TIMESTAMP)
            made = iter(sorted(rows.items()))
            starts = set(rows)
        else:  # histories of one slice at a time
            slices = _of_slices(counts, self.layout)
            made = ((start, activity_rows(each, facts)) for start, each in sorted(slices.items()))
            starts = set(slices)
        self._keep(_VIEW, but=starts)
        for start, each in made:
            self._replace(_VIEW, start, each, since=since)

    def _keep(self, table: str, *, but: Collection[int] = ()) -> None:
        """Take over slices, in one piece where their days have become a month."""
        for start, names in self.old[table].items():
            name = self.layout.name(start, self.file)
            if start in but:
                continue
            if names == [name]:
                self.draft.keep(table, name)
            else:
                rows = self.draft.scan_old(table, names).sort(_ORDER[table], nulls_last=True)
                self.draft.write(table, name, rows.collect())

    def _choices_of(self, since: pl.DataFrame) -> pl.DataFrame:
        """All that some users had chosen so far."""
        names = _flat(self.old[CHOICES].values())
        if not names:
            return pl.DataFrame(schema=EVENT_COLUMNS)
        rows = self.draft.scan_old(CHOICES, names)
        return rows.join(since.lazy(), on=schema.USER_ID, how="semi", maintain_order="left").collect()

    def _moments(self, since: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
        """Users and times of the rows to be made: those that there were, and those of new choices."""
        first_us: int = since[_SINCE].dt.epoch("us").min()  # type: ignore[assignment]  # int64
        first = self.layout.start(first_us // DAY_US)
        names = _flat(names for start, names in self.old[_VIEW].items() if start >= first)
        moments = [new.select(_KEY).lazy()]
        if names:
            time = pl.col(schema.EVENT_TIMESTAMP).alias(schema.TIMESTAMP)
            moments.append(_from(self.draft.scan_old(_VIEW, names).select(schema.USER_ID, time), since))
        return pl.concat(moments).unique().sort(_KEY).collect()

    def _replace(self, table: str, start: int, rows: pl.DataFrame, *, since: pl.DataFrame) -> None:
        """Write a slice with these users' rows from their `_SINCE` on replaced."""
        name, names = self.layout.name(start, self.file), self.old[table].get(start, [])
        if names:
            is_stale = pl.col(_TIME[table]) >= pl.col(_SINCE)
            others = (
                self.draft.scan_old(table, names)
                .join(since.lazy(), on=schema.USER_ID, how="left")
                .filter(~is_stale.fill_null(False))
                .drop(_SINCE)
            )
            rows = pl.concat([others, rows.lazy()]).sort(_ORDER[table], nulls_last=True).collect()
        if len(rows):
            self.draft.write(table, name, rows)


def _from(rows: pl.LazyFrame, since: pl.DataFrame) -> pl.LazyFrame:
    """Rows of some users from their `_SINCE` on, in their order."""
    joined = rows.join(since.lazy(), on=schema.USER_ID, maintain_order="left")
    return joined.filter(pl.col(schema.TIMESTAMP) >= pl.col(_SINCE)).drop(_SINCE)


def _of_slices(
    rows: pl.DataFrame, layout: Layout, column: str = schema.TIMESTAMP
) -> dict[int, pl.DataFrame]:
    """Rows by slice, in their order."""
    marked = rows.with_columns(layout.starts(column).alias(_START))
    parts = marked.partition_by(_START, maintain_order=True, as_dict=True, include_key=False)
    return {start: part for (start,), part in parts.items()}


def _flat(names: Iterable[list[str]]) -> list[str]:
    return [name for each in names for name in each]
