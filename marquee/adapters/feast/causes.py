"""Why a served row of user_activity differs from the offline row of its moment, as far as that can be told.

Told from the events that the state holds now and from what the served row knew by itself: its history and
the time of its newest event. A cause is only named where the build's own functions, given what the row can
have known, make exactly the row that was served.
"""

from typing import Any, Final, Literal

import polars as pl

from marquee import schema
from marquee.adapters.feast.live import OlderEvents
from marquee.features.request_log import LoggedRequest
from marquee.features.state.activity import user_activity
from marquee.features.state.events import EVENT_COLUMNS, consumed_events

Cause = Literal["late event", "stale", "ahead", "other", "not looked for"]
"""Late event: older than the newest one that the row knew, it reached the store after the request; a
correction of an event's value is one, too. Stale: the row lacks only events newer than those that it knew:
pushed after the request, or never. Whether such an event was late itself or its push slow, no log can
tell. Ahead: the row knew an event of after the request's moment. Other: the missing events do not explain
it: another view, a changed profile, an event that was removed, or a defect."""
_WAS: Final = "_served_value"
_FIELDS: Final = schema.FEATURE_VIEWS[schema.USER_ACTIVITY_VIEW]


def cause_of(request: LoggedRequest, served: dict[str, Any], events_of: OlderEvents | None) -> Cause:
    """The cause of a difference in user_activity.

    Args:
        request: as it was logged.
        served: its row.
        events_of: gives the state's events of a user.
    """
    seen_us = served.get(schema.USER_SEEN_US, served.get(schema.USER_LAST_US))
    if seen_us is not None and seen_us > request.time_us:
        return "ahead"
    if events_of is None:
        return "other"
    time_us = pl.col(schema.TIMESTAMP).dt.epoch("us")
    events = events_of([request.user_id]).filter(time_us <= request.time_us)
    if all(served.get(name) is None for name in _FIELDS):  # no row was served
        return "stale" if len(user_activity(events)) else "other"
    if seen_us is None or not _has_history(served):
        return "other"
    by_then = events.filter(time_us <= seen_us)
    known = _known_to(served, by_then)
    if not _makes(served, known):
        return "other"
    return "stale" if known.equals(by_then) else "late event"


def _known_to(served: dict[str, Any], events: pl.DataFrame) -> pl.DataFrame:
    """Of some events those that the row can have known, with the values that it knew."""
    history = _history(served)
    # A history that was cut says nothing of what is older than it.
    is_cut = served[schema.USER_EVENTS_ALL] > len(history)
    begin = history[schema.TIMESTAMP].min() if is_cut else None
    key = [schema.ITEM_ID, schema.INTERACTION_TYPE, schema.TIMESTAMP]
    # Without an unknown first choice, a later one of the same movie is the first: look again.
    while True:
        unknown = consumed_events(events).join(history, on=key, how="anti")
        if begin is not None:
            unknown = unknown.filter(pl.col(schema.TIMESTAMP) > begin)
        if unknown.is_empty():
            break
        events = events.join(unknown, on=schema.EVENT_KEY, how="anti", maintain_order="left")
    values = events.join(history, on=key, how="left", maintain_order="left")
    value = pl.when(pl.col(_WAS).is_null()).then(pl.col(schema.VALUE)).otherwise(pl.col(_WAS))
    return values.with_columns(value.fill_nan(None).alias(schema.VALUE)).select(list(EVENT_COLUMNS))


def _has_history(served: dict[str, Any]) -> bool:
    lists = [served.get(name) for name in schema.USER_HISTORY]
    is_whole = all(lists) and len({len(each or ()) for each in lists}) == 1
    return is_whole and served.get(schema.USER_EVENTS_ALL) is not None


def _history(served: dict[str, Any]) -> pl.DataFrame:
    """The history of a row: key of each event, and the value that it had; NaN for none."""
    items, times, types, values = (served[name] for name in schema.USER_HISTORY)
    known_types = pl.Series(schema.INTERACTION_TYPES, dtype=EVENT_COLUMNS[schema.INTERACTION_TYPE])
    return pl.DataFrame(
        {
            schema.ITEM_ID: pl.Series(items, dtype=pl.String),
            schema.TIMESTAMP: pl.Series(times, dtype=pl.Int64).cast(schema.TIME_DTYPE),
            schema.INTERACTION_TYPE: known_types.gather(pl.Series(types, dtype=pl.UInt32)),
            _WAS: pl.Series(values, dtype=pl.Float32),
        }
    )


def _makes(served: dict[str, Any], events: pl.DataFrame) -> bool:
    """Whether the build makes the served row of these events."""
    made = user_activity(events)[-1:]
    columns = {name: dtype for name, dtype in _FIELDS.items() if name in served}
    row = pl.DataFrame([{name: served[name] for name in columns}], schema=columns)
    return made.select(list(columns)).equals(row)
