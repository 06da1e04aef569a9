"""Events to online rows as they happen: read the user's row, add the event, write; no build in between."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from marquee import schema
from marquee.adapters.feast.door import FeatureDoor
from marquee.adapters.feast.faults import store_errors
from marquee.adapters.feast.online import UserLookup
from marquee.features.state.events import EVENT_COLUMNS
from marquee.features.state.folder import EVENTS, StateFolder
from marquee.features.state.live import chosen, has_whole_history, newest_activity

OlderEvents = Callable[[list[str]], pl.DataFrame]
"""From ids of users to all of their events that are known, with the builder's columns."""
_VIEW: Final = schema.USER_ACTIVITY_VIEW
_FIELDS: Final = schema.FEATURE_VIEWS[_VIEW]
_NO_MOMENT: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Only a limit of age asks what time it is."""


@dataclass(frozen=True)
class LiveReport:
    """What became of a batch of events."""

    events: int
    """Each counted once."""
    users: int
    """Users whose row was looked at; an event that chooses nothing touches none."""
    written: int
    superseded: int
    """Rows that were left out because somebody else had written a newer one meanwhile."""


class LiveUsers:
    """Keeps the online rows of users in step with a stream of events.

    Order, repeats and late events do not matter: after each call a user's row is the batch build's of
    all events that it was given. The row is read, changed and written, so one process works on one user
    at a time: partition the stream by `user_id`. Of users who chose more than a history holds, it keeps
    the events that the state does not know yet; where a restart loses one that no history shows, the
    user's next push is refused until the state is updated.

    Args:
        door: of an applied profile.
        older_events: asked for users who have no row, or chose more than a row's history holds; by
            default nobody is expected to have events that the online store does not know.
    """

    def __init__(self, door: FeatureDoor, *, older_events: OlderEvents | None = None) -> None:
        self.door = door
        self.older_events = older_events
        self._unbuilt: dict[str, pl.DataFrame] = {}
        # No limit of age: however old a row is, it is what the next one is made from.
        self._lookup = UserLookup(door.store, dict.fromkeys(_FIELDS, _VIEW), {_VIEW: None})

    def push(self, events: pl.DataFrame) -> LiveReport:
        """Bring the users of some events up to date.

        Args:
            events: a table of the contract.

        Raises:
            ContractError: a column is missing or does not fit the contract.
            FeatureStoreError: the store does not answer, or older events are needed that nobody has.
        """
        new = chosen(events)
        users = new[schema.USER_ID].unique().sort().to_list()
        if not users:
            return LiveReport(len(new), 0, 0, 0)
        before = self._rows(users)
        whole = before.filter(has_whole_history())[schema.USER_ID].to_list()
        lacking = sorted(set(users) - set(whole))
        made = newest_activity(new, before, older=self._older(lacking))
        pushed = self.door.push(_VIEW, made)
        for part in new.join(_cut(made), on=schema.USER_ID, how="semi").partition_by(schema.USER_ID):
            user = part[schema.USER_ID][0]
            self._unbuilt[user] = pl.concat([self._unbuilt.get(user, part.clear()), part])
        return LiveReport(len(new), len(users), pushed.written, pushed.superseded)

    def _older(self, users: list[str]) -> pl.DataFrame | None:
        """Earlier events of users, from the state and from the pushes since it was built."""
        if not users or self.older_events is None:
            return None
        known = self.older_events(users)
        parts = [known]
        for user in [user for user in users if user in self._unbuilt]:
            fresh = self._unbuilt.pop(user).join(known, on=list(EVENT_COLUMNS), how="anti", nulls_equal=True)
            if len(fresh):
                self._unbuilt[user] = fresh
                parts.append(fresh)
        return pl.concat(parts)

    def _rows(self, users: list[str]) -> pl.DataFrame:
        """Online rows of those who have one."""
        columns: dict[str, Any] = {schema.USER_ID: pl.String(), **_FIELDS}
        with store_errors("users to push to", profile=self.door.profile.name):
            read = [self._lookup.read(user, now=_NO_MOMENT) for user in users]
        rows = [{schema.USER_ID: row.user_id, **row.values} for row in read if row.is_known]
        return pl.DataFrame(rows, schema=columns, orient="row")


def _cut(rows: pl.DataFrame) -> pl.DataFrame:
    """Users whose history does not hold all that they chose."""
    return rows.filter(~has_whole_history()).select(schema.USER_ID)


def state_events(state: StateFolder) -> OlderEvents:
    """Older events from the state's own log, as far as it was built."""

    def read(users: list[str]) -> pl.DataFrame:
        if state.contents() is None:
            return pl.DataFrame(schema=EVENT_COLUMNS)
        return (
            state.scan(EVENTS)
            .filter(pl.col(schema.USER_ID).is_in(users))
            .select(list(EVENT_COLUMNS))
            .collect()
        )

    return read
