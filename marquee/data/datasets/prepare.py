"""From a data set's name to a snapshot: fetch, ingest, store the tables, freeze."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from marquee import schema
from marquee.data.datasets.fetch import DatasetConfig, fetch_dataset
from marquee.data.datasets.raw import Progress, RawDataset, ignore_progress
from marquee.data.datasets.synthetic.load import SYNTHETIC, synthetic_key
from marquee.data.ingest import IngestConfig, IngestReport, ingest_interactions
from marquee.data.snapshot import Snapshot
from marquee.data.warehouse import Warehouse


@dataclass(frozen=True)
class Prepared:
    """A data set as it stands in its warehouse."""

    name: str
    source: str
    snapshot: Snapshot
    ingest: IngestReport | None  # None for a catalogue without events
    n_issues: int  # values of side tables that could not be read
    notes: tuple[str, ...]


def storage_name(name: str, *, source: str | Path | None, config: DatasetConfig) -> str:
    """The name under which a data set keeps its warehouse and its champion.

    A published data set is one thing, whoever asks. Data from a source of the user's own, and each
    configuration of the generator, are things of their own, never to be merged with others.
    """
    if name == SYNTHETIC:
        what = synthetic_key(config.synthetic)
    elif source is not None:
        is_local = Path(source).exists()
        what = str(Path(source).resolve()) if is_local else str(source)
    else:
        return name
    return f"{name}-{hashlib.sha256(what.encode()).hexdigest()[:8]}"


def prepare_dataset(
    name: str,
    *,
    warehouse: Warehouse,
    cache: Path,
    now: datetime,
    source: str | Path | None = None,
    config: DatasetConfig | None = None,
    ingest: IngestConfig | None = None,
    on_progress: Progress = ignore_progress,
) -> Prepared:
    """Bring a data set into its warehouse and freeze it.

    Safe to repeat: what was downloaded or ingested before is not done again, and equal data give an
    equal snapshot.

    Args:
        name: one of `marquee.data.datasets.catalogue.dataset_names`.
        warehouse: where it goes.
        cache: folder of verified downloads.
        now: the present, with a zone; events too far beyond it are refused.
        source: a folder, zip or URL instead of the publisher's.
        config: choices about the data set.
        ingest: limits of the ingest.
        on_progress: hears what is being done.

    Raises:
        MarqueeError: as `fetch_dataset`, `ingest_interactions` and `Warehouse.write_table`.
    """
    raw = fetch_dataset(name, cache=cache, source=source, config=config, on_progress=on_progress)
    report = None
    if raw.mapping is not None:
        report = ingest_interactions(
            raw.interactions,
            raw.mapping,
            warehouse,
            config=ingest or IngestConfig(),
            now=now,
            on_progress=lambda done, total: on_progress("reading events", done, total),
        )
    _write_tables(raw, warehouse)
    return Prepared(raw.name, raw.source, warehouse.snapshot(), report, len(raw.issues), raw.notes)


def _write_tables(raw: RawDataset, warehouse: Warehouse) -> None:
    tables = {schema.USERS: raw.users, schema.MOVIES: raw.movies, schema.PUBLICITY: raw.publicity}
    for table, rows in tables.items():
        if rows is not None:
            warehouse.write_table(table, rows)
