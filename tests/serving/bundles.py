"""Bundles that differ from the trained one, and places of a test's own, made in milliseconds."""

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from marquee import schema
from marquee.bundle import Bundle, Parts, write_bundle
from marquee.features.item_matrix import ItemMatrix, ItemMatrixFolder, export_item_matrix
from tests.small_run import Place


def bundle_like(
    source: Path,
    target: Path,
    *,
    policy: Mapping[str, Any] | None = None,
    services: Mapping[str, str] | None = None,
    harm: Callable[[Parts], None] = lambda _: None,
) -> str:
    """A whole bundle with the same model under another id, and under other rules or contracts; its id."""
    bundle = Bundle.read(source)
    content = {**bundle.manifest.content, "made_for": target.name}
    if policy is not None:
        content["config"] = {**content["config"], "policy": {**content["config"]["policy"], **policy}}
    if services is not None:
        content["features"] = {**content["features"], "services": dict(services)}
    harm(bundle.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    return write_bundle(
        target, bundle.parts, content=content, provenance=bundle.manifest.provenance
    ).bundle_id


def copy_of(place: Place, root: Path) -> Place:
    """The same data, stores and runs in a folder that a test may change."""
    shutil.copytree(place.root, root, symlinks=True)
    return Place(root)


def point(link: Path, target: Path) -> None:
    """Let a symbolic link name something else, in one step."""
    new = link.with_name(f"{link.name}.new")
    new.symlink_to(target)
    new.replace(link)


def export_later(folder: Path, *, as_of: datetime, favourite: str) -> ItemMatrix:
    """Export the matrix of a later moment: one movie had a thousand events in the last week, others none."""
    held = ItemMatrixFolder(folder).load_current()
    columns = {name: held.matrix[:, place] for place, name in enumerate(held.columns)}
    rows = pl.DataFrame({schema.ITEM_ID: held.items.ids, **columns}, nan_to_null=True)
    surge = pl.when(pl.col(schema.ITEM_ID) == favourite).then(1000.0).otherwise(0.0)
    counts = [schema.ITEM_EVENTS_7D, schema.ITEM_EVENTS_30D]
    changed = rows.with_columns(surge.alias(name) for name in counts)
    return export_item_matrix(changed, folder, as_of=as_of, now=datetime.now(UTC))
