"""From events and side tables to the views' tables, whole or by what is new; both ways end in the same state.

A late event changes its user's rows from its time on and the movies' days after it; nothing else is
computed or written again. Memory holds one bucket of users, and one of its slices with histories, at a time.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from marquee import schema
from marquee.features.context import DAY_US
from marquee.features.state.buckets import Buckets
from marquee.features.state.events import BUCKET, bucket_of
from marquee.features.state.facts import movie_profile, movie_publicity, user_profile
from marquee.features.state.folder import EVENTS, StateDraft, StateFolder
from marquee.features.state.log import LogChanges, Progress, merge_events
from marquee.features.state.movies import MovieTables
from marquee.features.state.slices import days_of

_PROFILE: Final = "profile.parquet"
_FEW_CHANGES: Final = 20_000
"""So many changed events touch so few users that they need no buckets."""
_EMPTY = "empty.parquet"


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
    with StateFolder(root).writing(anew=True) as draft:
        build = _Build(draft, tables or SideTables(), config or StateConfig(), on_progress)
        return build.run(events.lazy(), through)


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
        return _Build(draft, tables or SideTables(), config, on_progress).run(events.lazy(), through)


@dataclass(frozen=True, eq=False)
class _Build:
    """One build: the steps share the draft."""

    draft: StateDraft
    tables: SideTables
    config: StateConfig
    on_progress: Progress

    def run(self, events: pl.LazyFrame, through: date | None) -> BuildReport:
        """All steps."""
        changes = merge_events(self.draft, events, on_progress=self.on_progress)
        profiles = user_profile(self.tables.users)
        same_profiles = self._fact(schema.USER_PROFILE_VIEW, _PROFILE, profiles)
        self._fact(schema.MOVIE_PROFILE_VIEW, _PROFILE, movie_profile(self.tables.movies))
        publicity = movie_publicity(self.tables.publicity, self.tables.movies)
        self._fact(schema.MOVIE_PUBLICITY_VIEW, "publicity.parquet", publicity)
        self._users(changes)
        first_day = changes.first_us // DAY_US
        last_day = days_of(through) if through else changes.last_us // DAY_US + 1
        chosen_us = changes.chosen_since_us
        changed_from = None if chosen_us is None else chosen_us // DAY_US
        movies = MovieTables(
            draft=self.draft,
            layout=changes.layout,
            first_day=first_day,
            last_day=last_day,
            changed_from=changed_from if same_profiles else first_day,
        )
        movies.write(profiles, on_progress=self.on_progress)
        return self._commit(changes, last_day)

    def _users(self, changes: LogChanges) -> None:
        """Choices and activity: bucket by bucket, or all at once where little is new."""
        buckets = bucket_of(changes.users[schema.USER_ID], self.config.n_buckets)
        numbers = range(self.config.n_buckets)
        is_little = self.draft.before is not None and changes.events <= _FEW_CHANGES
        groups = [list(numbers)] if is_little else [[number] for number in numbers]
        for done, group in enumerate(groups):
            self.on_progress("user activity", done, len(groups))
            members = buckets.filter(pl.col(BUCKET).is_in(group))
            new = changes.choices.join(members.lazy(), on=schema.USER_ID, how="semi").collect()
            Buckets(self.draft, changes.layout, group).update(new, members)

    def _fact(self, view: str, name: str, rows: pl.DataFrame) -> bool:
        """Write a table that comes whole; whether it is the same as before."""
        is_same = self.draft.old_names(view) == [name] and self.draft.scan_old(view, [name]).collect().equals(
            rows
        )
        if is_same:
            self.draft.keep(view, name)
        else:
            self.draft.write(view, name, rows)
        return is_same

    def _commit(self, changes: LogChanges, last_day: int) -> BuildReport:
        for view in schema.FEATURE_VIEWS:
            if not self.draft.drafted_names(view):  # Feast takes a folder without files for a fault
                self.draft.write(view, _EMPTY, pl.DataFrame(schema=schema.view_columns(view)))
        contents = self.draft.commit(
            {
                "config": self.config.model_dump(mode="json"),
                "events": self.draft.rows(EVENTS),
                "first_us": changes.first_us,
                "last_us": changes.last_us,
                "through_day": last_day,
            }
        )
        kept = len(self.draft.kept)
        return BuildReport(
            state_id=contents.id,
            events=contents.events,
            changed_events=changes.events,
            touched_users=len(changes.users),
            changed_since_us=changes.since_us,
            rows=contents.rows,
            written_parts=sum(len(parts) for parts in contents.tables.values()) - kept,
            kept_parts=kept,
        )
