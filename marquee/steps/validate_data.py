"""Look at a snapshot before anything learns from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from marquee import schema
from marquee.adapters.object_store import open_store
from marquee.data.snapshot import Snapshot
from marquee.data.warehouse import Warehouse
from marquee.errors import DataQualityError
from marquee.feed_gate import look_at_snapshot, require_fit
from marquee.monitoring.quality import QualityCheck, QualityConfig
from marquee.steps.folders import Data
from marquee.steps.knobs import ConfigPart, read_part
from marquee.steps.task import Task

_SIZES: Final = ("events", "users", "items")


class DataLimits(BaseModel):
    """What a snapshot must have to be learned from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_events: int = Field(default=200, ge=1)
    min_users: int = Field(default=10, ge=1)
    min_items: int = Field(default=10, ge=1)


@dataclass(frozen=True)
class DataCheck:
    """One thing that was looked at."""

    name: str
    seen: float
    limit: str
    passed: bool


class _Knobs(ConfigPart):
    quality: QualityConfig = QualityConfig()


def validate_data(
    folder: Path, *, config: str, task: Task, limits: DataLimits | None = None
) -> list[DataCheck]:
    """Verify a snapshot by its hashes, hold its size against limits, and its feeds against earlier looks.

    Args:
        folder: of `ingest_interactions`.
        config: as `read_config`.
        task: where earlier looks are kept, and the present.
        limits: of the size.

    Raises:
        DataQualityError: a limit is broken, or a feed is; it names each one.
        WarehouseError: a part is missing or damaged.
        ObjectStoreError: the store of earlier looks does not answer.
    """
    facts = Data.read(folder)
    warehouse = Warehouse(folder)
    snapshot = warehouse.open_snapshot(facts.snapshot)
    sizes = list(_sizes(facts, warehouse, snapshot, limits or DataLimits()))
    what = f"snapshot {facts.snapshot[:12]} of {facts.name}"
    if broken := [check for check in sizes if not check.passed]:
        seen = "; ".join(f"{check.name} = {check.seen:g}, should be {check.limit}" for check in broken)
        raise DataQualityError(
            f"{what} is not fit to learn from: {seen}.",
            remedy="Look at the source and at the quarantine: `marquee data ingest` names its file.",
        )
    report = look_at_snapshot(
        warehouse, snapshot, storage=facts.storage, store=open_store(task.settings.models_uri),
        config=read_part(config, _Knobs).quality, now=task.now,
    )  # fmt: skip
    require_fit(report, what)
    return [*sizes, *map(_as_check, report.checks)]


def as_markdown(checks: list[DataCheck]) -> str:
    """The checks as a table, those that warn on top."""
    rows = (
        f"| {'' if check.passed else '**warning** '}{check.name} | {check.seen:g} | {check.limit} |"
        for check in sorted(checks, key=lambda one: one.passed)
    )
    return "\n".join(["| looked at | seen | should be |", "| --- | ---: | --- |", *rows, ""])


def _as_check(check: QualityCheck) -> DataCheck:
    return DataCheck(f"{check.source}: {check.name}", check.seen, check.limit, check.passed)


def _sizes(facts: Data, warehouse: Warehouse, snapshot: Snapshot, limits: DataLimits) -> Iterator[DataCheck]:
    events = warehouse.scan_interactions(snapshot)
    counts = events.select(
        pl.len().alias("events"),
        pl.col(schema.USER_ID).n_unique().alias("users"),
        pl.col(schema.ITEM_ID).n_unique().alias("items"),
    ).collect()
    for name in _SIZES:
        least, seen = int(getattr(limits, f"min_{name}")), int(counts[name][0])
        yield DataCheck(name, seen, f"at least {least}", seen >= least)
    for table in (schema.USERS, schema.MOVIES, schema.PUBLICITY):
        stated, rows = facts.rows.get(table, 0), snapshot.rows.get(table, 0)
        yield DataCheck(f"rows of {table}", rows, f"{stated}, as the snapshot says", rows == stated)
