"""What arrives in a window: events, and the tables of who and what they are about."""

from dataclasses import dataclass, replace
from typing import Self

import polars as pl


@dataclass(frozen=True, eq=False)
class Tables:
    """Events and the tables beside them."""

    events: pl.DataFrame
    users: pl.DataFrame
    movies: pl.DataFrame

    def with_events(self, events: pl.DataFrame) -> Self:
        """The same tables with other events."""
        return replace(self, events=events)
