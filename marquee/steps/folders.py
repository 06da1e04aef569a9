"""What steps hand to one another: a folder with its facts beside its content.

data/       a snapshot of the warehouse            facts.json: Data
features/   the state of the feature store          facts.json: Features
rows/       the ranker's training rows by window    facts.json: Rows
ranker/, candidates/<which>/                        bundles of one stage each
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from marquee.data.storage import storage_errors, write_atomically
from marquee.errors import StepError

FACTS: Final = "facts.json"


class Facts(BaseModel):
    """Facts about a step's folder, in a file of its own that is written last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: dict[str, float] = {}
    """What each stage of the step took."""
    memory_mb: dict[str, float] = {}
    """The most memory that the step had held when each stage ended, MiB."""

    def write(self, folder: Path) -> None:
        """Mark the folder as finished.

        Raises:
            StepError: the disk refuses.
        """
        with storage_errors(folder, what="the step's folder", error=StepError):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / FACTS, self.model_dump_json(indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The facts of a finished folder.

        Raises:
            StepError: the step before did not finish, or was of another release.
        """
        try:
            return cls.model_validate_json((folder / FACTS).read_bytes())
        except (OSError, ValidationError) as error:
            cause = "there is no such file" if isinstance(error, OSError) else "it holds something else"
            raise StepError(
                f"{folder} is no finished {cls.__name__.lower()} folder: {FACTS}: {cause}.",
                remedy="Run the step that makes it again, with this release.",
            ) from error


class Data(Facts):
    """Of a snapshot."""

    name: str
    """The data set's name in the catalogue."""
    storage: str
    """The name that its warehouse, feature store and champion have."""
    source: str
    """Where it came from."""
    snapshot: str
    """Id of the content."""
    rows: dict[str, int]
    """Number of rows by table."""
    notes: tuple[str, ...] = ()
    """What was assumed about the data."""
    n_issues: int = 0
    """Values of side tables that could not be read."""
    ingested: dict[str, int] = {}
    """Rows of the last ingest: read, new, duplicate, quarantined."""


class Features(Facts):
    """Of the feature store's state."""

    state: str
    """Id of the state."""
    contracts: dict[str, str]
    """The feature services with the hash of each one's meaning."""
    as_of_us: int
    """The night after the last event, UTC microseconds: all events are in the state of that moment."""


class Rows(Facts):
    """Of the ranker's training rows."""

    feature_names: tuple[str, ...]
    windows: tuple[str, ...]
    """Files, the newest window first."""


def joined(*parts: Mapping[str, float]) -> dict[str, float]:
    """Seconds or memory of several steps in one, in their order."""
    return {name: value for part in parts for name, value in part.items()}
