"""The first step: from a data set's name to a snapshot."""

from pathlib import Path
from typing import Final

from marquee.data.datasets.fetch import DatasetConfig
from marquee.data.datasets.prepare import prepare_dataset, storage_name
from marquee.data.export import export_snapshot
from marquee.data.warehouse import Warehouse
from marquee.steps.folders import Data
from marquee.steps.knobs import ConfigPart, read_part
from marquee.steps.task import Task

INGESTED: Final = ("read", "new", "duplicate", "quarantined")
"""Counts of an ingest that are handed on."""


class _Knobs(ConfigPart):
    dataset: DatasetConfig = DatasetConfig()


def ingest_interactions(
    dataset: str,
    out: Path,
    *,
    source: str,
    config: str,
    task: Task,
) -> Data:
    """Bring a data set into its warehouse, and hand on what is in it now.

    The warehouse stays in MARQUEE_DATA: where that outlives the step, nothing is downloaded or
    ingested twice.

    Args:
        dataset: a name of the catalogue.
        out: the folder to write.
        source: folder, zip or URL instead of the publisher's; empty for the publisher's.
        config: as `read_config`.
        task: where warehouses lie, and the present.

    Raises:
        MarqueeError: as `prepare_dataset`.
    """
    clock, watch = task.watched()
    knobs = read_part(config, _Knobs).dataset
    with clock.stage("fetch and ingest") as report:
        storage = storage_name(dataset, source=source or None, config=knobs)
        warehouse = Warehouse(task.settings.warehouse(storage))
        prepared = prepare_dataset(
            dataset,
            warehouse=warehouse,
            cache=task.settings.cache,
            now=task.now,
            source=source or None,
            config=knobs,
            on_progress=lambda _what, done, total: report(done, total),
        )
        export_snapshot(warehouse, prepared.snapshot, out)
    found = prepared.ingest
    data = Data(
        name=dataset,
        storage=storage,
        source=prepared.source,
        snapshot=prepared.snapshot.id,
        rows=prepared.snapshot.rows,
        notes=prepared.notes,
        n_issues=prepared.n_issues,
        ingested={} if found is None else {name: getattr(found, name) for name in INGESTED},
        seconds=clock.seconds,
        memory_mb=watch.memory_mb,
    )
    data.write(out)
    return data
