"""Asking an engine without HTTP, and writing to the store that it reads."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from marquee import schema
from marquee.adapters.exposures.sink import ExposureLine
from marquee.feature_state import FeatureState
from marquee.monitoring.exposure import Exposure
from marquee.monitoring.exposure_lines import parsed
from serving.engine import Engine
from serving.protocol import read_request
from tests.small_run import Place

CHILDS_ITEMS = {f"m{item:03}" for item in range(90) if item % 5 in {0, 2}}
"""What `taste_groups` holds suitable from 12 years; the others are from 18, or of unknown suitability."""


async def asked(engine: Engine, *instances: Mapping[str, Any], request_id: str = "r") -> list[dict[str, Any]]:
    return await engine.predict(read_request({"instances": list(instances)}), request_id)


def ask(engine: Engine, **instance: Any) -> dict[str, Any]:
    """The only prediction."""
    (found,) = asyncio.run(asked(engine, instance))
    return found


def ids_of(prediction: Mapping[str, Any]) -> list[str]:
    return [item["item_id"] for item in prediction["items"]]


def count(engine: Engine, name: str, **labels: str) -> float:
    return engine.metrics.registry.get_sample_value(name, labels) or 0.0


class KeptSink:
    """Keeps what it gets, as it is read back."""

    name = "the test's memory"

    def __init__(self) -> None:
        self.exposures: list[Exposure] = []

    def write(self, lines: Sequence[ExposureLine]) -> None:
        for line in lines:
            found = parsed(line.content.decode(), line=1)
            assert isinstance(found, Exposure), found
            self.exposures.append(found)

    def close(self) -> None:
        """Keep all."""


def push(place: Place, storage: str, view: str, user: str, **features: Any) -> None:
    """Write a newer row of a view; what is not named is unknown."""
    columns = schema.view_columns(view)
    now = datetime.now(UTC)
    row = {
        schema.USER_ID: user,
        schema.EVENT_TIMESTAMP: now,
        schema.CREATED_TIMESTAMP: now,
        **features,
    }
    table = pl.DataFrame({name: [row.get(name)] for name in columns}, schema=columns)
    report = FeatureState.of(storage, place.settings, environment={}).open().push(view, table)
    assert report.written == 1


def push_limit(place: Place, storage: str, user: str, years: float) -> None:
    push(
        place,
        storage,
        schema.USER_PROFILE_VIEW,
        user,
        **{schema.USER_AGE: 9.0, schema.USER_MATURITY_LIMIT: years},
    )


def push_history(place: Place, storage: str, user: str, *items: str) -> None:
    """Let a user have watched just these, a second after another until now."""
    now_us = int(datetime.now(UTC).timestamp()) * 1_000_000
    push(
        place,
        storage,
        schema.USER_ACTIVITY_VIEW,
        user,
        **{
            schema.USER_EVENTS_ALL: len(items),
            schema.USER_HISTORY_ITEMS: list(items),
            schema.USER_HISTORY_TIMES: [
                now_us - 1_000_000 * (len(items) - place) for place in range(len(items))
            ],
            schema.USER_HISTORY_TYPES: [0] * len(items),
            schema.USER_HISTORY_VALUES: [float("nan")] * len(items),
        },
    )
