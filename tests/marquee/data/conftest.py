"""What tests of the data room share: a small mapping, source files, an ingest with a fixed clock."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from marquee.data.ingest import IngestConfig, IngestReport, ingest_interactions
from marquee.data.mapping import Mapping
from marquee.data.warehouse import Warehouse

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def mapping() -> Mapping:
    """CSV with a header: user,item,type,time,value; times in seconds."""
    return Mapping(
        format="csv",
        columns={
            "user_id": "user",
            "item_id": "item",
            "interaction_type": "type",
            "timestamp": "time",
            "value": "value",
        },
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write bytes, or text as UTF-8, to a file in a folder for sources."""

    def to_file(content: str | bytes, name: str = "events.csv") -> Path:
        path = tmp_path / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to_file


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A warehouse that nobody has written yet."""
    return Warehouse(tmp_path / "warehouse")


@pytest.fixture
def ingest(mapping: Mapping, warehouse: Warehouse) -> Callable[..., IngestReport]:
    """Ingest paths at `NOW`; keywords that are no arguments of it configure it."""

    def run(
        *sources: str | Path, into: Warehouse = warehouse, by: Mapping = mapping, **options: Any
    ) -> IngestReport:
        arguments = {"on_progress", "validate_only", "quarantine_folder"}
        config = IngestConfig(**{name: value for name, value in options.items() if name not in arguments})
        rest = {name: value for name, value in options.items() if name in arguments}
        return ingest_interactions(sources, by, into, config=config, now=NOW, **rest)

    return run
