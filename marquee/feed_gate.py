"""The data gate of a data set's snapshots, with its memory: what earlier looks found, in the object store.

A look that does not block is remembered; one that blocks is not, so that a broken feed never becomes the
measure of the next.
"""

from contextlib import suppress
from datetime import datetime
from typing import Final

import polars as pl

from marquee import schema
from marquee.adapters.object_store import ObjectStore
from marquee.data.snapshot import Snapshot
from marquee.data.warehouse import Warehouse
from marquee.errors import ConflictError, DataQualityError, ObjectMissingError
from marquee.monitoring.quality import QualityConfig, QualityReport, look_at
from marquee.monitoring.quality_profile import Baseline

_SIDE_TABLES: Final = (schema.USERS, schema.MOVIES, schema.PUBLICITY)


def tables_of(warehouse: Warehouse, snapshot: Snapshot) -> dict[str, pl.LazyFrame | pl.DataFrame]:
    """The tables of a snapshot that have rows; reading verifies them.

    Raises:
        WarehouseError: a part is missing or damaged.
    """
    tables: dict[str, pl.LazyFrame | pl.DataFrame] = {
        name: warehouse.read_table(name, snapshot=snapshot)
        for name in _SIDE_TABLES
        if snapshot.rows.get(name)
    }
    return {**tables, schema.INTERACTIONS: warehouse.scan_interactions(snapshot)}


def look_at_snapshot(
    warehouse: Warehouse,
    snapshot: Snapshot,
    *,
    storage: str,
    store: ObjectStore,
    config: QualityConfig | None = None,
    now: datetime,
) -> QualityReport:
    """Judge a snapshot by what earlier ones of its data set were like, and remember it if it is fit.

    Args:
        warehouse: which has it.
        snapshot: to be learned from.
        storage: the data set's name, under which looks are remembered.
        store: where.
        config: limits.
        now: the present, with a zone.

    Raises:
        WarehouseError: a part is missing or damaged.
        ObjectStoreError: the store does not answer.
        ConfigError: what is remembered is torn, or of another release.
    """
    key = f"quality/{storage}.json"
    baseline, version = _remembered(store, key)
    now_us = round(now.timestamp() * 1e6)
    tables = tables_of(warehouse, snapshot)
    report = look_at(snapshot.id, tables, baseline, config=config, now_us=now_us)
    if report.verdict != "block":
        content = baseline.with_profile(report.profile).model_dump_json(indent=1).encode()
        with suppress(ConflictError):  # another run looked at the same moment: one of the two looks is enough
            store.write(key, content, expected=version)
    return report


def require_fit(report: QualityReport, what: str) -> None:
    """Let nothing learn from a broken feed.

    Raises:
        DataQualityError: the gate blocks; it names each thing that is amiss.
    """
    if report.verdict == "block":
        raise DataQualityError(
            f"{what} is not fit to learn from: {'; '.join(report.words)}.",
            remedy="Mend the feed and ingest again. Where the change is meant, remove the data set's "
            "quality/….json from MARQUEE_MODELS: the next look begins a new one.",
        )


def _remembered(store: ObjectStore, key: str) -> tuple[Baseline, str | None]:
    try:
        document = store.read(key)
    except ObjectMissingError:
        return Baseline(), None
    return Baseline.from_json(document.content, where=f"{store.uri}/{key}"), document.version
