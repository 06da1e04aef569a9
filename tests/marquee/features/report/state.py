"""Versions of a state with rows of one's own choosing; the last moment is day 4."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from marquee import schema
from marquee.features.report.measure import ViewPromise
from marquee.features.report.newest import StateVersion
from marquee.features.state import StateContents
from marquee.features.state.folder import StatePart

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_DAY = 4
PROMISE = ViewPromise("Described.", "me", slo_hours=24, ttl_seconds=None, is_static=False)
Row = tuple[str, float, dict[str, Any]]


def view_table(view: str, rows: Sequence[Row]) -> pl.DataFrame:
    """Rows of (key, day, features); what a row does not name is null."""
    columns = schema.view_columns(view)
    times = [EPOCH + timedelta(days=day) for _, day, _ in rows]
    values = {
        schema.VIEW_KEYS[view]: [key for key, _, _ in rows],
        schema.EVENT_TIMESTAMP: times,
        schema.CREATED_TIMESTAMP: times,
        **{name: [row.get(name) for _, _, row in rows] for name in schema.FEATURE_VIEWS[view]},
    }
    return pl.DataFrame(values, schema=columns)


def folder_of(root: Path, tables: dict[str, pl.DataFrame], *, last_day: int = LAST_DAY) -> None:
    """Install tables as the current version of the state in `root`."""
    made = {}
    staging = root / "versions" / "making"
    for view, table in tables.items():
        (staging / view).mkdir(parents=True)
        table.write_parquet(staging / view / "rows.parquet")
        made[view] = (
            StatePart(path=f"{view}/rows.parquet", sha256=f"{table.hash_rows().sum()}", rows=len(table)),
        )
    known = {"config": {}, "events": 0, "first_us": 0, "last_us": 0, "through_day": last_day, "tables": made}
    contents = StateContents.model_validate(known)
    (staging / "state.json").write_bytes(contents.to_json())
    staging.rename(root / "versions" / contents.id)
    (root / "current").unlink(missing_ok=True)
    (root / "current").symlink_to(Path("versions") / contents.id, target_is_directory=True)


def version_of(root: Path, view: str, rows: Sequence[Row]) -> StateVersion:
    """A version with one table."""
    folder_of(root, {view: view_table(view, rows)})
    path = (root / "current").resolve()
    return StateVersion(path, StateContents.model_validate_json((path / "state.json").read_bytes()))
