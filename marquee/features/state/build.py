"""From events and side tables to the views' tables, whole or by what is new; both ways end in the same state.

A late event changes its user's rows from its time on and the movies' days after it; nothing else is
computed again. Memory holds one bucket of users, and one of its months with histories, at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from marquee import schema
from marquee.errors import NotEnoughDataError
from marquee.features.movie_statistics import DAY_US
from marquee.features.state.activity import activity_counts, with_history
from marquee.features.state.events import (
    EVENT_COLUMNS,
    bucket_of,
    choice_moments,
    consumed_events,
    month_of,
    resolved,
)
from marquee.features.state.facts import movie_profile, movie_publicity, user_profile
from marquee.features.state.folder import EVENTS, StateContents, StateDraft, StateFolder, content_hash
from marquee.features.state.statistics import DailySums, movie_statistics

Progress = Callable[[str, int, int | None], None]
_EPOCH: Final = date(1970, 1, 1)
_SINCE: Final = "_since"
_MONTH: Final = "_month"


class StateConfig(BaseModel):
    """How the tables are laid out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_buckets: int = Field(default=4, ge=1)
    """Users are worked on in so many groups: more of them need less memory and make more files."""


@dataclass(frozen=True, eq=False)
class SideTables:
    """Tables of the contract that come whole; None where a data set has none."""

    users: pl.DataFrame | None = None
    movies: pl.DataFrame | None = None
    publicity: pl.DataFrame | None = None


@dataclass(frozen=True)
class BuildReport:
    """What a build did."""

    state_id: str
    events: int
    """Events in the state."""
    changed_events: int
    """Events that were new, or replaced one of the same key."""
    touched_users: int
    changed_since_us: int | None
    """Time of the earliest of the changed events, UTC microseconds: where a materialisation begins."""
    rows: dict[str, int]
    written_parts: int
    kept_parts: int


def _silent(_what: str, _done: int, _total: int | None) -> None:
    return None


def build_state(
    root: str | Path,
    events: pl.DataFrame | pl.LazyFrame,
    *,
    tables: SideTables | None = None,
    config: StateConfig | None = None,
    through: date | None = None,
    on_progress: Progress = _silent,
) -> BuildReport:
    """Build the state of all `events` anew; equal input gives an equal state id.

    Args:
        root: folder of the state; the version before stays readable until this one is complete.
        events: a table of the contract.
        tables: side tables.
        config: layout.
        through: the last day with statistics; by default the day after the last event.
        on_progress: hears what is being done.

    Raises:
        NotEnoughDataError: there is no event.
        WarehouseError: another process builds, or the disk fails; nothing half-written is kept.
    """
    with StateFolder(root).writing() as draft:
        draft.before = None
        return _Build(draft, tables or SideTables(), config or StateConfig(), on_progress).run(
            events, through
        )


def update_state(
    root: str | Path,
    events: pl.DataFrame | pl.LazyFrame,
    *,
    tables: SideTables | None = None,
    through: date | None = None,
    on_progress: Progress = _silent,
) -> BuildReport:
    """Add events to the state, in any order, late or again; the result is that of a whole build.

    Raises:
        FeatureStoreError: nothing was built yet.
        WarehouseError: as `build_state`.
    """
    folder = StateFolder(root)
    with folder.writing() as draft:
        config = StateConfig.model_validate(folder.require().config)
        return _Build(draft, tables or SideTables(), config, on_progress).run(events, through)


class _Build:
    """One build: the steps share the draft."""

    def __init__(
        self, draft: StateDraft, tables: SideTables, config: StateConfig, on_progress: Progress
    ) -> None:
        self.draft = draft
        self.tables = tables
        self.config = config
        self.on_progress = on_progress
        self.kept = 0

    def run(self, events: pl.DataFrame | pl.LazyFrame, through: date | None) -> BuildReport:
        """All steps."""
        changed = self._log_events(events.lazy())
        bounds = self.draft.scan_drafted(EVENTS).select(
            pl.col(schema.TIMESTAMP).min().dt.epoch("us").alias("first"),
            pl.col(schema.TIMESTAMP).max().dt.epoch("us").alias("last"),
            pl.len().alias("n"),
        )
        first_us, last_us, n_events = bounds.collect().row(0)
        touched = changed.group_by(schema.USER_ID).agg(pl.col(schema.TIMESTAMP).min().alias(_SINCE))
        profiles = user_profile(self.tables.users)
        last_day = (through - _EPOCH).days if through else last_us // DAY_US + 1
        sums = self._activity(touched, profiles)
        self._statistics(
            sums, content_hash(profiles), _first_time(changed), (first_us // DAY_US + 1, last_day)
        )
        self._facts(profiles)
        contents = self.draft.commit(
            {
                "config": self.config.model_dump(mode="json"),
                "profiles_sha256": content_hash(profiles),
                "events": n_events,
                "first_us": first_us,
                "last_us": last_us,
                "through_day": last_day,
            }
        )
        n_parts = sum(len(parts) for parts in contents.tables.values())
        return BuildReport(
            state_id=contents.id,
            events=n_events,
            changed_events=len(changed),
            touched_users=len(touched),
            changed_since_us=_first_time(changed),
            rows=contents.rows,
            written_parts=n_parts - self.kept,
            kept_parts=self.kept,
        )

    def _log_events(self, events: pl.LazyFrame) -> pl.DataFrame:
        """Merge events into the log, month by month; gives user and time of those that changed it."""
        months = events.select(month_of(schema.TIMESTAMP).unique()).collect().to_series().sort().to_list()
        if not months and self.draft.before is None:
            raise NotEnoughDataError("there is no event to build state from.", remedy="Ingest events first.")
        changed = [pl.DataFrame(schema={name: EVENT_COLUMNS[name] for name in _KEY})]
        names = {f"month={month}/events.parquet" for month in months}
        for done, month in enumerate(months):
            self.on_progress("sorting events", done, len(months))
            name = f"month={month}/events.parquet"
            new = events.filter(month_of(schema.TIMESTAMP) == month).select(list(EVENT_COLUMNS)).collect()
            old = self.draft.old_part(EVENTS, name)
            merged = resolved(new if old is None else pl.concat([old, resolved(new)]))
            self.draft.write(EVENTS, name, merged)
            differs = merged if old is None else _differing(merged, old)
            changed.append(differs.select(_KEY))
        for name in self.draft.old_names(EVENTS):
            if name not in names:
                self._keep(EVENTS, name)
        return pl.concat(changed)

    def _activity(self, touched: pl.DataFrame, profiles: pl.DataFrame) -> DailySums:
        """Write the activity of touched users, bucket by bucket; gives all days' sums on the way."""
        users = self.draft.scan_drafted(EVENTS).select(pl.col(schema.USER_ID).unique()).collect().to_series()
        buckets = bucket_of(users, self.config.n_buckets)
        parts = []
        for bucket in range(self.config.n_buckets):
            self.on_progress("user activity", bucket, self.config.n_buckets)
            members = buckets.filter(pl.col("bucket") == bucket).select(schema.USER_ID)
            events = (
                self.draft.scan_drafted(EVENTS).join(members.lazy(), on=schema.USER_ID, how="semi").collect()
            )
            consumed = consumed_events(events)
            parts.append(DailySums.of(consumed, profiles).table)
            here = members.join(touched, on=schema.USER_ID)
            theirs = [
                rows.join(here, on=schema.USER_ID, how="semi", maintain_order="left")
                for rows in (consumed, choice_moments(events))
            ]
            self._write_bucket(bucket, theirs[0], moments=theirs[1], touched=here)
        return DailySums.combined(parts)

    def _write_bucket(
        self, bucket: int, consumed: pl.DataFrame, *, moments: pl.DataFrame, touched: pl.DataFrame
    ) -> None:
        """Replace the touched users' rows from their `_SINCE` on, in each month that has or had some."""
        view, file = schema.USER_ACTIVITY_VIEW, f"bucket={bucket:03}.parquet"
        counts = (
            activity_counts(consumed, moments)
            .join(touched, on=schema.USER_ID, how="left", maintain_order="left")
            .filter(pl.col(schema.TIMESTAMP) >= pl.col(_SINCE))
            .with_columns(month_of(schema.TIMESTAMP).alias(_MONTH))
        )
        old_names = {name for name in self.draft.old_names(view) if name.endswith(file)}
        months = counts[_MONTH].unique().to_list()
        first = touched.select(month_of(_SINCE).min()).item()
        for name in sorted(old_names | {f"month={month}/{file}" for month in months}):
            month = name.removeprefix("month=")[:7]
            if first is None or month < first:
                self._keep(view, name)
                continue
            rows = with_history(counts.filter(pl.col(_MONTH) == month), consumed)
            old = self.draft.old_part(view, name)
            merged = rows if old is None else _replaced(old, rows, touched)
            if len(merged):
                self.draft.write(view, name, merged)

    def _statistics(
        self, sums: DailySums, profiles_hash: str, changed_us: int | None, days: tuple[int, int]
    ) -> None:
        """Write the months from the first changed day on."""
        before, months = self.draft.before, _months(*days)
        stale_from = days[1] + 1 if changed_us is None else changed_us // DAY_US + 1
        kept = set(_months_of(before)) if before and before.profiles_sha256 == profiles_hash else set()
        for done, span in enumerate(months):
            month, start, end = span
            self.on_progress("movie statistics", done, len(months))
            name = f"month={month}/statistics.parquet"
            if span in kept and end < stale_from:
                self._keep(schema.MOVIE_STATISTICS_VIEW, name)
            else:
                rows = movie_statistics(sums, first_day=start, last_day=end)
                self.draft.write(schema.MOVIE_STATISTICS_VIEW, name, rows)

    def _facts(self, profiles: pl.DataFrame) -> None:
        publicity = movie_publicity(self.tables.publicity, self.tables.movies)
        self.draft.write(schema.USER_PROFILE_VIEW, "profile.parquet", profiles)
        self.draft.write(schema.MOVIE_PROFILE_VIEW, "profile.parquet", movie_profile(self.tables.movies))
        self.draft.write(schema.MOVIE_PUBLICITY_VIEW, "publicity.parquet", publicity)

    def _keep(self, table: str, name: str) -> None:
        self.draft.keep(table, name)
        self.kept += 1


_KEY: Final = [schema.USER_ID, schema.TIMESTAMP]


def _first_time(changed: pl.DataFrame) -> int | None:
    first = changed[schema.TIMESTAMP].dt.epoch("us").min()
    return int(first) if first is not None else None  # type: ignore[arg-type]  # an int64 column


def _differing(merged: pl.DataFrame, old: pl.DataFrame) -> pl.DataFrame:
    """Rows of `merged` that `old` does not hold as they are."""
    return merged.join(old, on=list(EVENT_COLUMNS), how="anti", nulls_equal=True)


def _replaced(old: pl.DataFrame, rows: pl.DataFrame, touched: pl.DataFrame) -> pl.DataFrame:
    """Old rows but the touched users' later ones, with the new rows, sorted by key and time."""
    is_stale = pl.col(schema.EVENT_TIMESTAMP) >= pl.col(_SINCE)
    fresh = old.join(touched, on=schema.USER_ID, how="left").filter(~is_stale.fill_null(False)).drop(_SINCE)
    return pl.concat([fresh, rows]).sort(schema.USER_ID, schema.EVENT_TIMESTAMP)


def _months(first_day: int, last_day: int) -> list[tuple[str, int, int]]:
    """Months as ("2024-05", first day, last day) that cover the days from `first_day` to `last_day`."""
    months: dict[str, list[int]] = {}
    for day in range(first_day, last_day + 1):
        months.setdefault(date.fromordinal(_EPOCH.toordinal() + day).strftime("%Y-%m"), []).append(day)
    return [(month, days[0], days[-1]) for month, days in months.items()]


def _months_of(contents: StateContents) -> list[tuple[str, int, int]]:
    """The months that a state has statistics of."""
    if contents.first_us is None or contents.through_day is None:
        return []
    return _months(contents.first_us // DAY_US + 1, contents.through_day)
