"""From the offline to the online store: explicit windows, batches, a journal to resume from."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
from feast import FeatureStore, FeatureView

from marquee import schema
from marquee.adapters.feast.declarations import view_source
from marquee.adapters.feast.online import WRITE_ROWS, write_newer
from marquee.data.storage import write_atomically
from marquee.features.context import DAY_US

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WEEK: Final = "_week"
_SPAN: Final = "_span"
_WEEK_US: Final = 7 * DAY_US

SPAN_ROWS: Final = 30_000
"""Rows of the source that are read at a time; a week is never split."""

MaterialiseProgress = Callable[[str, int, int], None]
"""Hears view, rows done, rows in all."""


@dataclass(frozen=True)
class MaterialiseReport:
    """What one view's run did."""

    view: str
    rows: int
    """Keys with a row in the window."""
    written: int
    """Of them, written by this run; the store held newer ones of the others, or an earlier run wrote them."""
    resumed_at: int
    """Rows that an earlier run, which did not end, had done."""


class Journal:
    """How far a run has come, in a file that survives it; without a path, nothing is remembered."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.entries: dict[str, Any] = {}
        if path and path.exists():
            try:
                self.entries = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:  # torn by hand: starting over is always right, only slower
                self.entries = {}

    def done(self, view: str, run: str) -> int:
        """Rows that an unfinished run of the same content had written."""
        entry = self.entries.get(view, {})
        return int(entry["rows"]) if entry.get("run") == run else 0

    def record(self, view: str, run: str, rows: int) -> None:
        """So many rows are in the store."""
        self.entries[view] = {"run": run, "rows": rows}
        self._save()

    def finish(self, view: str) -> None:
        """The view is done."""
        if self.entries.pop(view, None) is not None:
            self._save()

    def _save(self) -> None:
        if self.path:
            write_atomically(self.path, json.dumps(self.entries, sort_keys=True).encode())


def materialise_view(
    store: FeatureStore,
    view: FeatureView,
    *,
    start: datetime,
    end: datetime,
    journal: Journal,
    on_progress: MaterialiseProgress,
) -> MaterialiseReport:
    """Write the newest row in [start, end] of each key, unless the store holds a newer one.

    Rows go in by week and key, so that a run that died goes on where it was; writing one twice is no
    harm. Memory holds one week of the source, or as many as have `SPAN_ROWS` rows together.
    """
    newest = _newest(store, view, [], start, end)
    run = _fingerprint(newest, (start, end))
    first = min(journal.done(view.name, run), len(newest))
    done, written = 0, 0
    for span in _spans(store, view, newest, start, end):
        if done + len(span) > first:
            rows = _rows(store, view, span, start, end)
            for offset in range(max(first - done, 0), len(rows), WRITE_ROWS):
                on_progress(view.name, done + offset, len(newest))
                written += write_newer(store, view, rows.slice(offset, WRITE_ROWS))
                journal.record(view.name, run, done + min(offset + WRITE_ROWS, len(rows)))
        done += len(span)
    on_progress(view.name, len(newest), len(newest))
    store.registry.apply_materialization(view, store.project, start, end)
    journal.finish(view.name)
    return MaterialiseReport(view.name, rows=len(newest), written=written, resumed_at=first)


def _spans(
    store: FeatureStore, view: FeatureView, newest: pl.DataFrame, start: datetime, end: datetime
) -> Iterator[pl.DataFrame]:
    """`newest` in runs of weeks that are read at once: each read looks at all rows of its weeks."""
    if newest.is_empty():
        return
    stored = _rows_a_week(store, view, start, end)
    groups, group, held = [], 0, 0
    for week in newest[_WEEK].unique(maintain_order=True):
        held += stored[week]
        if held > SPAN_ROWS and held > stored[week]:
            group, held = group + 1, stored[week]
        groups.append({_WEEK: week, _SPAN: group})
    table = pl.DataFrame(groups, schema={_WEEK: pl.Int64, _SPAN: pl.Int64})
    marked = newest.join(table, on=_WEEK, how="left", maintain_order="left")
    for span in marked.partition_by(_SPAN, maintain_order=True):
        yield span.drop(_SPAN)


def _rows_a_week(store: FeatureStore, view: FeatureView, start: datetime, end: datetime) -> dict[int, int]:
    """Rows of the source by week."""
    source = view_source(view)
    job = store._get_provider().offline_store.pull_all_from_table_or_query(
        config=store.config,
        data_source=source,
        join_key_columns=[column.name for column in view.entity_columns],
        feature_name_columns=[],
        timestamp_field=source.timestamp_field,
        start_date=start,
        end_date=end,
    )
    times = pl.DataFrame(job.to_arrow().select([source.timestamp_field]))
    counts = times.select(_week_of(source.timestamp_field)).to_series().value_counts()
    return dict(counts.iter_rows())


def _week_of(column: str) -> pl.Expr:
    return (pl.col(column).cast(schema.TIME_DTYPE).dt.epoch("us") // _WEEK_US).alias(_WEEK)


def _newest(
    store: FeatureStore, view: FeatureView, features: list[str], start: datetime, end: datetime
) -> pl.DataFrame:
    """Key, event time and features of the newest row of each key, sorted by week and key."""
    source = view_source(view)
    keys = [column.name for column in view.entity_columns]
    job = store._get_provider().offline_store.pull_latest_from_table_or_query(
        config=store.config,
        data_source=source,
        join_key_columns=keys,
        feature_name_columns=features,
        timestamp_field=source.timestamp_field,
        created_timestamp_column=source.created_timestamp_column,
        start_date=start,
        end_date=end,
    )
    rows = pl.DataFrame(job.to_arrow())
    return rows.with_columns(_week_of(source.timestamp_field)).sort(_WEEK, *keys)


def _rows(
    store: FeatureStore, view: FeatureView, span: pl.DataFrame, start: datetime, end: datetime
) -> pa.Table:
    """The complete rows of some weeks of `_newest`, in its order."""
    begin = _EPOCH + timedelta(microseconds=int(span[_WEEK][0]) * _WEEK_US)
    last = _EPOCH + timedelta(microseconds=(int(span[_WEEK][-1]) + 1) * _WEEK_US - 1)
    features = [field.name for field in view.features]
    complete = _newest(store, view, features, max(start, begin), min(end, last))
    keys = [column.name for column in view.entity_columns]
    # A key's newest row of these weeks may be an old one: its newest of all is in a later one.
    wanted = complete.join(span, on=keys, how="semi", maintain_order="left").drop(_WEEK)
    return wanted.to_arrow(compat_level=pl.CompatLevel.oldest())


def _fingerprint(newest: pl.DataFrame, window: tuple[datetime, datetime]) -> str:
    """Names a run by its window, keys and times: another state is another run."""
    digest = hashlib.sha256("/".join(moment.isoformat() for moment in window).encode())
    digest.update(newest.write_csv().encode())
    return digest.hexdigest()
