"""A snapshot in memory: what one training run learns from."""

from dataclasses import dataclass

import polars as pl

from marquee.data.interactions import Interactions


@dataclass(frozen=True, eq=False)
class Dataset:
    """Events and side tables of one content-addressed snapshot."""

    name: str
    snapshot_id: str
    interactions: Interactions
    users: pl.DataFrame | None = None
    movies: pl.DataFrame | None = None
    publicity: pl.DataFrame | None = None
    calendar: pl.DataFrame | None = None
    notes: tuple[str, ...] = ()
