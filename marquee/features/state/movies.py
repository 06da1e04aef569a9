"""Parts of the movies' statistics: daily sums of what was chosen, totals up to a month, rows of each day.

A new choice changes the sums of its day, and the totals and statistics of later ones; these need the
sums of the look-back and one total before it, whatever the age of the data.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from marquee import schema
from marquee.features.state.folder import CHOICES, SUMS, TOTALS, StateDraft
from marquee.features.state.log import Progress
from marquee.features.state.slices import Layout, month_name, month_start, months
from marquee.features.state.statistics import LOOK_BACK_DAYS, SUMS_SCHEMA, DailySums, movie_statistics

_SPAN_DAYS: Final = 27
_VIEW: Final = schema.MOVIE_STATISTICS_VIEW
_SUMS_FILE: Final = "sums.parquet"
_TOTALS_FILE: Final = "totals.parquet"
_FILE: Final = "statistics.parquet"


@dataclass(frozen=True, eq=False)
class MovieTables:
    """Three tables, of the days from `first_day` to `last_day`."""

    draft: StateDraft
    layout: Layout
    """Of the choices; statistics have one of their own, since they may go on without events."""
    first_day: int
    """Of the first event."""
    last_day: int
    """The last that gets statistics."""
    changed_from: int | None
    """The first day on which something else was chosen than in the version before."""

    def write(self, profiles: pl.DataFrame, *, on_progress: Progress) -> None:
        """Write what changed and keep the rest; `changed_from` is `first_day` where profiles changed."""
        self._write_sums(profiles)
        for month in months(self.first_day, _base(self.last_day))[1:]:
            self._write_total(month)
        spans = _spans(self._keep_statistics())
        for done, starts in enumerate(spans):
            on_progress("movie statistics", done, len(spans))
            self._write_statistics(starts)

    def _is_touched(self, last_day: int) -> bool:
        """Whether something changed up to and with a day."""
        return self.changed_from is not None and self.changed_from <= last_day

    def _write_sums(self, profiles: pl.DataFrame) -> None:
        choices = self.layout.by_slice(self.draft.drafted_names(CHOICES))
        old = self.layout.by_slice(self.draft.old_names(SUMS))
        for start, names in sorted(choices.items()):
            name = self.layout.name(start, _SUMS_FILE)
            if old.get(start) == [name] and not self._is_touched(self.layout.end(start)):
                self.draft.keep(SUMS, name)
            else:
                consumed = self.draft.scan_drafted(CHOICES, names).collect()
                self.draft.write(SUMS, name, DailySums.of(consumed, profiles).table)

    def _write_total(self, month: int) -> None:
        """The sums of all days before a month."""
        name = month_name(month, _TOTALS_FILE)
        if name in self.draft.old_names(TOTALS) and not self._is_touched(month - 1):
            self.draft.keep(TOTALS, name)
            return
        before = month_start(month - 1)
        parts = [self._total_before(before), self._sums(before, month - 1)]
        self.draft.write(TOTALS, name, DailySums(pl.concat(parts)).total(day=month - 1).table)

    def _total_before(self, month: int) -> pl.DataFrame:
        name = month_name(month, _TOTALS_FILE)
        if name not in self.draft.drafted_names(TOTALS):
            return pl.DataFrame(schema=SUMS_SCHEMA)
        return self.draft.scan_drafted(TOTALS, [name]).collect()

    def _sums(self, first: int, last: int) -> pl.DataFrame:
        """Daily sums of whole months, by day."""
        found = self.layout.by_slice(self.draft.drafted_names(SUMS))
        names = [name for start, each in sorted(found.items()) if first <= start <= last for name in each]
        return self.draft.scan_drafted(SUMS, names).collect() if names else pl.DataFrame(schema=SUMS_SCHEMA)

    def _keep_statistics(self) -> list[int]:
        """Take over the slices before the first change; gives the others."""
        layout, old = Layout.of(self.last_day), set(self.draft.old_names(_VIEW))
        stale = []
        for start in sorted({layout.start(day) for day in range(self.first_day + 1, self.last_day + 1)}):
            name = layout.name(start, _FILE)
            if name in old and not self._is_touched(layout.end(start) - 1):
                self.draft.keep(_VIEW, name)
            else:
                stale.append(start)
        return stale

    def _write_statistics(self, starts: list[int]) -> None:
        """Slices that follow each other."""
        layout = Layout.of(self.last_day)
        first, last = max(starts[0], self.first_day + 1), min(layout.end(starts[-1]), self.last_day)
        base = _base(first)
        past = pl.concat([self._total_before(base), self._sums(base, last - 1)])
        rows = movie_statistics(DailySums(past), first_day=first, last_day=last)
        marked = rows.with_columns(layout.starts(schema.EVENT_TIMESTAMP).alias("_start"))
        parts = marked.partition_by("_start", maintain_order=True, as_dict=True, include_key=False)
        for start in starts:
            part = parts.get((start,), rows.clear())
            self.draft.write(_VIEW, layout.name(start, _FILE), part)


def _base(day: int) -> int:
    """The month whose total stands for all days before it in the statistics of a day."""
    return month_start(day - LOOK_BACK_DAYS)


def _spans(starts: list[int]) -> list[list[int]]:
    """Slices in groups that begin within a month of each other: memory holds the days of one group."""
    spans: list[list[int]] = []
    for start in starts:
        if spans and start - spans[-1][0] <= _SPAN_DAYS:
            spans[-1].append(start)
        else:
            spans.append([start])
    return spans
