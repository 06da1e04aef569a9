"""Look at a snapshot before anything learns from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from marquee import schema
from marquee.data.warehouse import Warehouse
from marquee.errors import DataQualityError
from marquee.steps.folders import Data

_SIZES: Final = ("events", "users", "items")


class DataLimits(BaseModel):
    """What a snapshot must have to be learned from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_events: int = Field(default=200, ge=1)
    min_users: int = Field(default=10, ge=1)
    min_items: int = Field(default=10, ge=1)
    max_quarantined_share: float = Field(default=0.05, ge=0, le=1)
    """Of the rows of the last ingest."""


@dataclass(frozen=True)
class DataCheck:
    """One thing that was looked at."""

    name: str
    seen: float
    limit: str
    passed: bool


def validate_data(folder: Path, limits: DataLimits | None = None) -> list[DataCheck]:
    """Verify every part of a snapshot by its hash, and hold its size against limits.

    Raises:
        DataQualityError: a limit is broken; it names each one.
        WarehouseError: a part is missing or damaged.
    """
    limits = limits or DataLimits()
    facts = Data.read(folder)
    warehouse = Warehouse(folder)
    checks = list(_checks(facts, warehouse, limits))
    if broken := [check for check in checks if not check.passed]:
        seen = "; ".join(f"{check.name} = {check.seen:g}, should be {check.limit}" for check in broken)
        raise DataQualityError(
            f"snapshot {facts.snapshot[:12]} of {facts.name} is not fit to learn from: {seen}.",
            remedy="Look at the source and at the quarantine: `marquee data ingest` names its file.",
        )
    return checks


def as_markdown(checks: list[DataCheck]) -> str:
    """The checks as a table."""
    rows = (f"| {check.name} | {check.seen:g} | {check.limit} |" for check in checks)
    return "\n".join(["| looked at | seen | should be |", "| --- | ---: | --- |", *rows, ""])


def _checks(facts: Data, warehouse: Warehouse, limits: DataLimits) -> Iterator[DataCheck]:
    snapshot = warehouse.open_snapshot(facts.snapshot)
    events = warehouse.scan_interactions(snapshot)
    counts = events.select(
        pl.len().alias("events"),
        pl.col(schema.USER_ID).n_unique().alias("users"),
        pl.col(schema.ITEM_ID).n_unique().alias("items"),
    ).collect()
    for name in _SIZES:
        least, seen = int(getattr(limits, f"min_{name}")), int(counts[name][0])
        yield DataCheck(name, seen, f"at least {least}", seen >= least)
    read = facts.ingested.get("read", 0)
    share = facts.ingested.get("quarantined", 0) / read if read else 0.0
    most = limits.max_quarantined_share
    yield DataCheck("quarantined share", share, f"at most {most:g}", share <= most)
    for table in (schema.USERS, schema.MOVIES, schema.PUBLICITY):
        stated = facts.rows.get(table, 0)
        rows = len(warehouse.read_table(table, snapshot=snapshot))  # reading verifies the hash
        yield DataCheck(f"rows of {table}", rows, f"{stated}, as the snapshot says", rows == stated)
