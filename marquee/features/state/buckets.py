"""What users chose, and their activity, by bucket of users: only what new choices change is written."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from marquee import schema
from marquee.features.context import DAY_US
from marquee.features.state.activity import activity_counts, activity_rows, history_facts
from marquee.features.state.events import BUCKET, EVENT_COLUMNS, first_choices
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

Place = tuple[int, int]
"""Where a part is: bucket and slice."""


@dataclass(eq=False)
class Buckets:
    """Some buckets' parts of two tables: choices and activity.

    A user's rows before their first new choice stay as they are; those from it on are made anew.
    """

    draft: StateDraft
    layout: Layout
    numbers: Collection[int]

    def __post_init__(self) -> None:
        self.old = {
            table: {
                (number, start): names
                for number in self.numbers
                for start, names in self.layout.by_slice(
                    self.draft.old_names(table), file=_file(number)
                ).items()
            }
            for table in (CHOICES, _VIEW)
        }

    def update(self, new: pl.DataFrame, buckets: pl.DataFrame) -> None:
        """Write the parts that new choices of these buckets' users change, and keep the others.

        Args:
            new: the choices.
            buckets: at least their users, as `bucket_of` gives them.
        """
        if new.is_empty():
            self._keep(CHOICES, but=())
            self._keep(_VIEW, but=())
            return
        first = new.group_by(schema.USER_ID).agg(pl.col(schema.TIMESTAMP).min().alias(_SINCE))
        since = first.join(buckets, on=schema.USER_ID)
        before = self._choices_of(since)
        consumed = first_choices(before, new)
        self._write_choices(before, consumed, since=since)
        self._write_activity(consumed, self._moments(since, new), since=since)

    def _write_choices(self, before: pl.DataFrame, now: pl.DataFrame, *, since: pl.DataFrame) -> None:
        """Put these users' choices from their `_SINCE` on in the place of those of before."""
        old, fresh = (
            self._by_place(_from(rows.lazy(), since).collect(), since, schema.TIMESTAMP)
            for rows in (before, now)
        )
        nothing = now.clear()
        changed = {
            place for place in {*old, *fresh} if not old.get(place, nothing).equals(fresh.get(place, nothing))
        }
        self._keep(CHOICES, but=changed)
        for place in sorted(changed):
            self._replace(CHOICES, place, fresh.get(place, nothing), since=since)

    def _write_activity(self, consumed: pl.DataFrame, moments: pl.DataFrame, *, since: pl.DataFrame) -> None:
        """Put rows of these users at these moments in the place of those from their `_SINCE` on."""
        counts = activity_counts(consumed, moments)
        written = set()
        for place, rows in self._activity(counts, history_facts(consumed), since):
            self._replace(_VIEW, place, rows, since=since)
            del rows  # or the next place's would be made beside them
            written.add(place)
        self._keep(_VIEW, but=written)

    def _activity(
        self, counts: pl.DataFrame, facts: pl.DataFrame, since: pl.DataFrame
    ) -> Iterator[tuple[Place, pl.DataFrame]]:
        """Complete rows by place; where they are many, with the histories of one place at a time."""
        if counts[schema.USER_EVENTS_ALL].clip(0, schema.HISTORY_WIDTH).sum() <= _FEW_EVENTS:
            rows = activity_rows(counts, facts)
            yield from sorted(self._by_place(rows, since, schema.EVENT_TIMESTAMP).items())
            return
        for place, some in sorted(self._by_place(counts, since, schema.TIMESTAMP).items()):
            yield place, activity_rows(some, facts)

    def _by_place(self, rows: pl.DataFrame, since: pl.DataFrame, time: str) -> dict[Place, pl.DataFrame]:
        """Rows of these users by place, in their order."""
        marked = rows.lazy().with_columns(self.layout.starts(time).alias(_START))
        placed = marked.join(
            since.lazy().select(schema.USER_ID, BUCKET), on=schema.USER_ID, maintain_order="left"
        )
        parts = placed.collect().partition_by(
            [BUCKET, _START], maintain_order=True, as_dict=True, include_key=False
        )
        return {(number, start): part for (number, start), part in parts.items()}

    def _name(self, place: Place) -> str:
        number, start = place
        return self.layout.name(start, _file(number))

    def _keep(self, table: str, *, but: Collection[Place]) -> None:
        """Take over slices, in one piece where their days have become a month."""
        for place, names in self.old[table].items():
            if place in but:
                continue
            if names == [self._name(place)]:
                self.draft.keep(table, names[0])
            else:
                rows = self.draft.scan_old(table, names).sort(_ORDER[table], nulls_last=True)
                self.draft.write(table, self._name(place), rows.collect())

    def _choices_of(self, since: pl.DataFrame) -> pl.DataFrame:
        """All that these users had chosen so far."""
        names = _flat(self.old[CHOICES].values())
        if not names:
            return pl.DataFrame(schema=EVENT_COLUMNS)
        rows = self.draft.scan_old(CHOICES, names)
        return rows.join(since.lazy(), on=schema.USER_ID, how="semi", maintain_order="left").collect()

    def _moments(self, since: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
        """Users and times of the rows to be made: those that there were, and those of new choices."""
        first_us: int = since[_SINCE].dt.epoch("us").min()  # type: ignore[assignment]  # int64
        first = self.layout.start(first_us // DAY_US)
        names = _flat(names for (_, start), names in self.old[_VIEW].items() if start >= first)
        moments = [new.select(_KEY).lazy()]
        if names:
            time = pl.col(schema.EVENT_TIMESTAMP).alias(schema.TIMESTAMP)
            moments.append(_from(self.draft.scan_old(_VIEW, names).select(schema.USER_ID, time), since))
        return pl.concat(moments).unique().sort(_KEY).collect()

    def _replace(self, table: str, place: Place, rows: pl.DataFrame, *, since: pl.DataFrame) -> None:
        """Write a part with these users' rows from their `_SINCE` on replaced."""
        names = self.old[table].get(place, [])
        if names:
            is_stale = pl.col(_TIME[table]) >= pl.col(_SINCE)
            others = (
                self.draft.scan_old(table, names)
                .join(since.lazy().select(schema.USER_ID, _SINCE), on=schema.USER_ID, how="left")
                .filter(~is_stale.fill_null(False))
                .drop(_SINCE)
            )
            rows = pl.concat([others, rows.lazy()]).sort(_ORDER[table], nulls_last=True).collect()
        if len(rows):
            self.draft.write(table, self._name(place), rows)


def _file(number: int) -> str:
    return f"bucket={number:03}.parquet"


def _from(rows: pl.LazyFrame, since: pl.DataFrame) -> pl.LazyFrame:
    """Rows of some users from their `_SINCE` on, in their order."""
    joined = rows.join(since.lazy().select(schema.USER_ID, _SINCE), on=schema.USER_ID, maintain_order="left")
    return joined.filter(pl.col(schema.TIMESTAMP) >= pl.col(_SINCE)).drop(_SINCE)


def _flat(names: Iterable[list[str]]) -> list[str]:
    return [name for each in names for name in each]
