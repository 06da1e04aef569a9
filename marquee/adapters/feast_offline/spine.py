"""The label frame of a request without one: every key seen in a span of time, as of its end."""

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from marquee.adapters.feast_offline.columns import as_timestamps, comparable, microseconds
from marquee.adapters.feast_offline.labels import EVENT_TIMESTAMP, LabelFrame
from marquee.adapters.feast_offline.table import Span
from marquee.adapters.feast_offline.views import ViewRequest


def seen_keys(views: Sequence[ViewRequest], *, first_us: int, last_us: int) -> LabelFrame:
    """One row for each combination of keys that any view has an event of within the span, sorted.

    Views of different entities give rows of their own, null in the keys that they lack. The time of
    each row is the end of the span. Views without entities alone give one row.
    """
    parts = [_keys(view, first_us=first_us, last_us=last_us) for view in views if view.keys]
    if not parts:
        return LabelFrame.of(pa.table({EVENT_TIMESTAMP: _moments(last_us, 1)}))
    frame = pl.concat(parts, how="diagonal_relaxed").unique()
    frame = frame.sort(frame.columns, nulls_last=True)
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return LabelFrame.of(table.append_column(EVENT_TIMESTAMP, _moments(last_us, table.num_rows)))


def _moments(moment_us: int, rows: int) -> pa.Array:
    return as_timestamps(pl.Series([moment_us] * rows, dtype=pl.Int64))


def _keys(view: ViewRequest, *, first_us: int, last_us: int) -> pl.DataFrame:
    table = view.table.read([*view.keys, view.event], time=view.event, span=Span(first_us, last_us))
    where = view.table.location.address
    event = microseconds(table.column(len(view.keys)), what=f"{view.event!r} of {where}")
    keys = [
        comparable(table.column(place), what=f"Key {name!r} of {where}").alias(name)
        for place, name in enumerate(view.label_keys)
    ]
    within = event.is_between(first_us, last_us)
    return pl.DataFrame(keys).filter(within).drop_nulls().unique()
