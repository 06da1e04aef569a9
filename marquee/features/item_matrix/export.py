"""From the feature store's rows to the next version, unless that looks like an accident."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.data.interactions import Vocabulary
from marquee.errors import FeatureStoreError
from marquee.features.item_matrix.folder import (
    ITEMS,
    MATRIX,
    ItemMatrixFolder,
    ItemMatrixManifest,
    encoded,
)
from marquee.features.item_matrix.matrix import ItemMatrix, item_columns, microseconds
from marquee.features.reader import SERVICE

MIN_KEPT_PERCENT: Final = 95
"""Of the items of the version before, so many must be there again."""
MAX_NULL_RISE: Final = 0.20
"""The share of nulls of a column may rise by so much."""
_FORCE: Final = "Look at the feature store's tables; if it is meant, export with --force."


def export_item_matrix(
    rows: pl.DataFrame,
    folder: str | Path,
    *,
    as_of: datetime,
    now: datetime,
    service: str = SERVICE,
    force: bool = False,
) -> ItemMatrix:
    """Write rows as the next version, make it the current one, and read it back.

    The same rows as of the same time are the same version, however often and in whatever order they come.

    Args:
        rows: one row per item with `item_id` and the service's movie features, as `FeatureDoor.historical`
            gives them; other columns are left alone.
        folder: of the versions; made where it does not exist.
        as_of: the moment that the rows are of.
        now: when they are written.
        service: names the columns.
        force: export whatever the version before was.

    Raises:
        FeatureStoreError: rows repeat or lack an item or lack a column; or, without `force`, the version
            before can't be read, had other columns, had items of which more than 5 % are gone, or a column
            has over 20 points more nulls than it had.
        ContractError: a time has no zone.
        WarehouseError: another process exports, or the disk fails.
    """
    columns = item_columns(service)
    items, matrix = _aligned(rows, columns)
    files = encoded(items, matrix)
    manifest = ItemMatrixManifest(
        service=service,
        columns=columns,
        as_of_us=microseconds(as_of),
        n_items=len(items),
        matrix_sha256=hashlib.sha256(files[MATRIX]).hexdigest(),
        items_sha256=hashlib.sha256(files[ITEMS]).hexdigest(),
        written_at_us=microseconds(now),
    ).sealed()
    store = ItemMatrixFolder(folder)
    with store.writing():
        if not force:
            _require_continuity(store, manifest.version, items, matrix, columns)
        store.commit(manifest, files)
        return store.load(manifest.version)


def _aligned(rows: pl.DataFrame, columns: tuple[str, ...]) -> tuple[Vocabulary, NDArray[np.float32]]:
    """The sorted ids and their matrix; nulls are NaN."""
    wanted = (schema.ITEM_ID, *columns)
    if missing := [name for name in wanted if name not in rows.columns]:
        raise FeatureStoreError(
            f"the rows to export lack {', '.join(missing)}.",
            remedy="Ask for all movie views of the service; `marquee features apply` declares them.",
        )
    unfit = [name for name in columns if not (rows[name].dtype.is_numeric() or rows[name].dtype == pl.Null)]
    if unfit:
        raise FeatureStoreError(
            f"column {unfit[0]} of the rows to export is {rows[unfit[0]].dtype}.", remedy="Make it a number."
        )
    items = Vocabulary.of(rows[schema.ITEM_ID])
    if len(items) != len(rows) or not len(items):
        raise FeatureStoreError(
            f"{len(rows)} rows to export are of {len(items)} items.", remedy="Give one row for each item."
        )
    ordered = rows.with_columns(pl.col(schema.ITEM_ID).cast(pl.String)).sort(schema.ITEM_ID)
    values = ordered.select(pl.col(columns).cast(pl.Float32).fill_null(float("nan")))
    matrix = np.array(values.to_numpy(), dtype=np.float32, order="C")
    matrix[np.isnan(matrix)] = np.nan  # one pattern of bits, one hash
    return items, matrix


def _require_continuity(
    store: ItemMatrixFolder,
    version: str,
    items: Vocabulary,
    matrix: NDArray[np.float32],
    columns: tuple[str, ...],
) -> None:
    """Refuse what looks like an accident, compared with the version before."""
    if store.current_version() in (None, version):
        return
    before = store.load_current()
    if before.columns != columns:
        gone = [f"−{name}" for name in before.columns if name not in columns]
        come = [f"+{name}" for name in columns if name not in before.columns]
        raise FeatureStoreError(
            f"the columns are not those of version {before.version}:"
            f" {', '.join([*gone, *come]) or 'another order'}.",
            remedy="A changed meaning needs a service of another name; if it is meant, export with --force.",
        )
    n_kept = before.items.ids.is_in(items.ids.implode()).sum()
    if 100 * n_kept < MIN_KEPT_PERCENT * len(before):
        raise FeatureStoreError(
            f"of the {len(before)} items of version {before.version} only {n_kept} are left,"
            f" less than {MIN_KEPT_PERCENT} %.",
            remedy=_FORCE,
        )
    _require_known_values(before, matrix)


def _require_known_values(before: ItemMatrix, matrix: NDArray[np.float32]) -> None:
    old, new = (np.isnan(each).mean(axis=0) for each in (before.matrix, matrix))
    worst = int(np.argmax(new - old))
    if round(float(new[worst] - old[worst]), 9) > MAX_NULL_RISE:  # 0.9 − 0.7 is above 0.2 in binary
        raise FeatureStoreError(
            f"{new[worst]:.0%} of column {before.columns[worst]} is null, and it was {old[worst]:.0%}"
            f" in version {before.version}.",
            remedy=_FORCE,
        )
