"""What surges, as a small file: the trending job writes it, servers take it over, people read it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from marquee import schema
from marquee.candidates.surges import SurgeConfig, SurgeScorer
from marquee.data.interactions import UNKNOWN_INDEX, Interactions, Vocabulary
from marquee.data.storage import storage_errors, write_atomically
from marquee.data.warehouse import Warehouse
from marquee.errors import FeatureStoreError
from marquee.features.context import HOUR_US
from marquee.features.state.events import is_choice

BOARD: Final = "surges.json"
"""What the file is called, in the folder of a data set's item matrices."""
STALE_AFTER_HOURS: Final = 6
"""A board that is older says nothing of now."""


class BoardRow(BaseModel):
    """One item that surges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item_id: str
    score: float = Field(gt=0)
    """The surprise, less as the surge grows old."""
    surprise: float
    """In decimals: −log10 of the chance of at least as many users."""
    users: int
    """Seen in the window."""
    expected: float
    """To be expected in it."""
    hours: int
    """Length of the window."""
    since: AwareDatetime
    """When the surge was noticed."""


class SurgeBoard(BaseModel):
    """What surges at one moment, the highest score first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Literal[1] = 1
    as_of: AwareDatetime
    """Events before this moment count."""
    config: SurgeConfig
    surges: tuple[BoardRow, ...]

    @classmethod
    def of(cls, scorer: SurgeScorer) -> Self:
        """What a scorer finds."""
        ids = scorer.choices.items.ids
        rows = [
            BoardRow(
                item_id=ids[surge.item_index], score=surge.score, surprise=surge.surprise, users=surge.users,
                expected=surge.expected, hours=surge.hours, since=_moment(surge.since_us),
            )
            for surge in scorer.surges()
        ]  # fmt: skip
        return cls(as_of=_moment(scorer.as_of_us), config=scorer.config, surges=tuple(rows))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            FeatureStoreError: it can't be read, or is no board.
        """
        remedy = "Write it again: `marquee monitor trending --publish`."
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as err:
            raise FeatureStoreError(f"{path} can't be read: {err}.", remedy=remedy) from err
        except ValidationError as err:
            first = err.errors()[0]
            where = ".".join(str(each) for each in first["loc"]) or "it"
            raise FeatureStoreError(
                f"{path} is no board of surges: {where}: {first['msg']}.", remedy=remedy
            ) from err

    def write(self, path: Path) -> None:
        """Replace a file at once.

        Raises:
            FeatureStoreError: it can't be written.
        """
        with storage_errors(path, what="the board of surges", error=FeatureStoreError):
            write_atomically(path, (self.model_dump_json(indent=1) + "\n").encode())

    def speaks_of(self, time_us: int) -> bool:
        """Whether it is of that moment, UTC microseconds: neither of later nor of long before."""
        age_us = time_us - round(self.as_of.timestamp() * 1e6)
        return 0 <= age_us <= STALE_AFTER_HOURS * HOUR_US

    def scores(self, items: Vocabulary) -> NDArray[np.float32]:
        """Scores of a model's items, `(n_items,) float32`, 0 where nothing surges."""
        scores = np.zeros(len(items), np.float32)
        index = items.encode([row.item_id for row in self.surges])
        held = index != UNKNOWN_INDEX
        scores[index[held]] = np.array([row.score for row in self.surges], np.float32)[held]
        return scores


def find_surges(
    warehouse: Warehouse, *, now: datetime, until: datetime | None = None, config: SurgeConfig | None = None
) -> SurgeBoard:
    """What surges among the movies of a warehouse.

    Args:
        warehouse: its events that do not say that somebody chose a movie are left out.
        now: the present.
        until: events from this moment on do not count. By default the clock's first step after the newest
            event, or `now`, whichever is earlier.
        config: the knobs.

    Raises:
        WarehouseError: it can't be read.
    """
    config = config or SurgeConfig()
    scan = warehouse.scan_interactions()
    newest = warehouse.read_interactions(columns=[schema.TIMESTAMP])[schema.TIMESTAMP].max()
    if until is None:
        step = timedelta(minutes=config.step_minutes)
        until = min(newest + step, now) if isinstance(newest, datetime) else now
    since = until - timedelta(hours=config.look_back_hours + 1)
    time = pl.col(schema.TIMESTAMP)
    events = scan.filter(is_choice() & (time >= since) & (time < until)).collect()
    items = Vocabulary.of(
        pl.concat([warehouse.read_table(schema.MOVIES)[schema.ITEM_ID], events[schema.ITEM_ID]])
    )
    choices = Interactions.from_table(events, items=items)
    return SurgeBoard.of(SurgeScorer(choices, round(until.timestamp() * 1e6), config))


def _moment(time_us: int) -> datetime:
    return datetime.fromtimestamp(time_us / 1e6, UTC)
