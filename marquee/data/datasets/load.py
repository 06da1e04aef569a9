"""A snapshot in memory."""

from marquee import schema
from marquee.data.dataset import Dataset
from marquee.data.interactions import Interactions
from marquee.data.snapshot import Snapshot
from marquee.data.warehouse import Warehouse
from marquee.errors import NotEnoughDataError


def load_dataset(
    name: str, warehouse: Warehouse, snapshot: Snapshot, *, notes: tuple[str, ...] = ()
) -> Dataset:
    """Read a snapshot into memory; a table that it lacks is None.

    Raises:
        WarehouseError: a part is missing or damaged.
        NotEnoughDataError: it holds no event.
    """
    events = warehouse.read_interactions(snapshot, columns=[*schema.REQUIRED_COLUMNS, schema.VALUE])
    if events.is_empty():
        raise NotEnoughDataError(
            f"snapshot {snapshot.id[:12]} of {name} holds no event.",
            remedy="If these are your files, look whether they hold more than a header; a catalogue has no"
            " events: `marquee data list` names data sets that do.",
        )
    tables = {
        table: warehouse.read_table(table, snapshot=snapshot) if snapshot.rows.get(table) else None
        for table in (schema.USERS, schema.MOVIES, schema.PUBLICITY)
    }
    return Dataset(
        name=name,
        snapshot_id=snapshot.id,
        interactions=Interactions.from_table(events),
        users=tables[schema.USERS],
        movies=tables[schema.MOVIES],
        publicity=tables[schema.PUBLICITY],
        notes=notes,
    )
