"""The point-in-time match: for each label, which stored row was the newest that counted by then.

Only keys and times enter, and only row numbers come out. Values are gathered afterwards, so a match
costs a few bytes a label whatever the number of features, no label can be lost or moved, and no
feature name can collide with a column of the join.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

KEY = "key"
MOMENT = "moment"
EVENT = "event"
CREATED = "created"
ROW = "row"
RANK = "rank"


@dataclass(frozen=True, eq=False)
class Labels:
    """What is asked: dense or integer keys and times, in the caller's order.

    `by_time` is the stable order of time; it is computed once and serves all views.
    """

    time_us: pl.Series
    by_time: pl.Series

    @classmethod
    def of(cls, time_us: pl.Series) -> "Labels":
        """Times are `(n_labels,) int64`, microseconds since 1970 UTC, without nulls."""
        return cls(time_us, time_us.arg_sort())


@dataclass(frozen=True, eq=False)
class History:
    """Stored rows of one view, in stored order.

    `key` is null where the row has no key; `event_us` where it has no time: such rows match nothing.
    `created_us` is None for a source without a created column. All are `(n_rows,)` and times are
    int64 microseconds since 1970 UTC.
    """

    key: pl.Series | None  # None for a view without entities: one history for all labels
    event_us: pl.Series
    created_us: pl.Series | None


def match(
    history: History, labels: Labels, *, label_key: pl.Series | None, ttl_us: int, known_at: bool
) -> pa.Array:
    """Row numbers `(n_labels,) uint32` into the history, in label order, null where nothing counts.

    The newest event at or before the label's time wins; of rows with the same event time, the one
    created last, and of those the one stored last. A row without a created time counts as created
    before any other. With `known_at` a row counts only from the moment it was created, too.
    The winner is taken back where it is older than `ttl_us` (0: no limit; the edge itself counts),
    so that an expired value never uncovers an older one.
    """
    timeline = _known_timeline(history) if known_at else _event_timeline(history)
    asked = pl.DataFrame({MOMENT: labels.time_us.gather(labels.by_time).set_sorted()})
    by = None
    if label_key is not None:
        asked = asked.with_columns(label_key.gather(labels.by_time).alias(KEY))
        by = KEY
    found = asked.join_asof(timeline, on=MOMENT, by=by, strategy="backward", check_sortedness=False)
    row = found[ROW]
    if ttl_us:
        fresh = found[EVENT] >= found[MOMENT] - ttl_us
        row = found.select(pl.when(fresh).then(pl.col(ROW)))[ROW]
    return _in_label_order(row, labels.by_time)


def latest(keys: list[pl.Series], event_us: pl.Series, created_us: pl.Series | None) -> NDArray[np.uint32]:
    """Row numbers of the newest row of each key, in stored order, by the tie rules of `match`.

    Rows with a null in any key or in the time are left out; without keys all rows are one history.
    """
    frame = _ordered(_frame(None, event_us, created_us))
    names = [f"{KEY}{i}" for i in range(len(keys))]
    columns = [key.gather(frame[ROW]).alias(name) for key, name in zip(keys, names, strict=True)]
    if not names:
        return frame[ROW].tail(1).to_numpy()
    frame = frame.with_columns(columns).drop_nulls(names)
    return frame.unique(names, keep="last")[ROW].sort().to_numpy()


def in_time_order(event_us: pl.Series, created_us: pl.Series | None) -> NDArray[np.uint32]:
    """Row numbers from the oldest to the newest, by the tie rules of `match`; rows without time left out."""
    return _ordered(_frame(None, event_us, created_us))[ROW].to_numpy()


def _frame(key: pl.Series | None, event_us: pl.Series, created_us: pl.Series | None) -> pl.DataFrame:
    frame = pl.DataFrame({EVENT: event_us, ROW: np.arange(len(event_us), dtype=np.uint32)})
    if created_us is not None:
        frame = frame.with_columns(created_us.alias(CREATED))
    required = [EVENT]
    if key is not None:
        frame = frame.with_columns(key.alias(KEY))
        required.append(KEY)
    return frame.drop_nulls(required)


def _ordered(frame: pl.DataFrame) -> pl.DataFrame:
    """By event, then created (nulls first), then stored row: of equals the last one wins."""
    if CREATED in frame.columns:
        frame = frame.sort(CREATED, nulls_last=False, maintain_order=True)
    return frame.sort(EVENT, maintain_order=True)


def _event_timeline(history: History) -> pl.DataFrame:
    frame = _ordered(_frame(history.key, history.event_us, history.created_us))
    return frame.with_columns(pl.col(EVENT).alias(MOMENT).set_sorted())


def _known_timeline(history: History) -> pl.DataFrame:
    """Per key, at each moment at which something became known, the newest event of all known by then.

    Rows are ranked by (event, created, row); a running maximum of the rank along the time of
    knowledge names the winner, because a late row with an older event must not replace a newer one.
    """
    ranked = _ordered(_frame(history.key, history.event_us, history.created_us)).with_row_index(RANK)
    if CREATED not in ranked.columns:
        return ranked.with_columns(pl.col(EVENT).alias(MOMENT).set_sorted())
    known = ranked.with_columns(pl.max_horizontal(EVENT, CREATED).alias(MOMENT))
    known = known.sort(MOMENT, maintain_order=True)
    newest = pl.col(RANK).cum_max()
    if history.key is not None:
        newest = newest.over(KEY)
    best = known.select(newest).to_series()
    return known.with_columns(ranked[ROW].gather(best).alias(ROW), ranked[EVENT].gather(best).alias(EVENT))


def _in_label_order(row: pl.Series, by_time: pl.Series) -> pa.Array:
    place = by_time.to_numpy()
    rows = np.empty(len(row), dtype=np.uint32)
    rows[place] = row.fill_null(0).to_numpy()
    if not row.null_count():
        return pa.array(rows)
    missing = np.empty(len(row), dtype=np.bool_)
    missing[place] = row.is_null().to_numpy()
    return pa.array(rows, mask=missing)
