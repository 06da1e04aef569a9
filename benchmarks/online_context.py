"""The context of a request by our function, and as an on-demand view of Feast beside one user's row."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marquee import schema
from marquee.adapters import feast_import
from marquee.features.calendar import calendar_table
from marquee.features.context import Calendar, context_numbers

assert feast_import  # noqa: S101  # imported first: it makes importing Feast quick
from feast import (  # noqa: E402
    Entity,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RepoConfig,
    RequestSource,
    ValueType,
)
from feast.on_demand_feature_view import on_demand_feature_view  # noqa: E402
from feast.types import Float64, Int64  # noqa: E402

NAMES = list(schema.CONTEXT_NUMBERS)
START_US = 874_724_710_000_000
"""The first event of MovieLens-100k."""
USER_FEATURE = "user_activity:user_events_all"
Measure = Callable[[Callable[[Any], Any], list[Any]], dict[str, float]]


@cache
def held() -> Calendar:
    """The calendar of the data set's years, made once a process."""
    return Calendar.of(calendar_table("US", first=date(1997, 1, 1), last=date(1998, 12, 31)))


def numbers(times_us: list[int]) -> NDArray[np.float32]:
    """`(n, 5)` context of requests in UTC microseconds: what Feast's functions call."""
    return context_numbers(np.array(times_us), held())


def context_costs(
    folder: Path, users: list[str], measure: Measure, n_calls: int
) -> dict[str, dict[str, float]]:
    """Milliseconds of one request's context; the on-demand ones include reading one feature of the user."""
    times = START_US + np.random.default_rng(7).integers(0, 86_400_000_000 * 200, n_calls)
    asked = [(users[place % len(users)], int(time)) for place, time in enumerate(times)]
    store = _store(folder, users)
    report = {
        "marquee.features.context": measure(lambda each: numbers([each[1]]), asked),
        "one feature of the user, no context": measure(
            lambda each: store.get_online_features([USER_FEATURE], [{schema.USER_ID: each[0]}]).to_dict(),
            asked,
        ),
    }
    for mode in ("python", "singleton", "pandas"):
        refs = [USER_FEATURE, *(f"context_{mode}:{name}_{mode}" for name in NAMES)]
        report[f"on-demand view, {mode}"] = measure(
            lambda each, refs=refs: store.get_online_features(
                refs, [{schema.USER_ID: each[0], "time_us": each[1]}]
            ).to_dict(),
            asked,
        )
        _require_equal(store, mode, asked[0])
    return report


def _store(folder: Path, users: list[str]) -> FeatureStore:
    """A store of one user view in SQLite and the context as a view of each mode."""
    path = folder / "context.parquet"
    moment = pd.to_datetime([START_US], unit="us", utc=True).repeat(len(users))
    frame = pd.DataFrame({schema.USER_ID: users, "event_timestamp": moment, "user_events_all": 7})
    frame.to_parquet(path)
    user = Entity(name="user", join_keys=[schema.USER_ID], value_type=ValueType.STRING)
    activity = FeatureView(
        name="user_activity",
        entities=[user],
        ttl=timedelta(0),
        schema=[Field(name="user_events_all", dtype=Int64)],
        source=FileSource(path=str(path), timestamp_field="event_timestamp"),
    )
    store = FeatureStore(
        config=RepoConfig(
            project="context",
            provider="local",
            registry=str(folder / "context_registry.db"),
            online_store={"type": "sqlite", "path": str(folder / "context_online.db")},
            offline_store={"type": "marquee.adapters.feast_offline.AsofOfflineStore"},
            entity_key_serialization_version=3,
        )
    )
    store.apply([user, activity, *_views()])
    store.write_to_online_store("user_activity", frame)
    return store


def _views() -> list[Any]:
    """The context as on-demand views: Feast's python, singleton and pandas modes.

    Feast keeps a function's source and runs that: what it needs it imports itself.
    """
    request = RequestSource(name="request", schema=[Field(name="time_us", dtype=Int64)])

    def fields(mode: str) -> list[Field]:  # Float64: what Feast infers of Python's numbers
        return [Field(name=f"{name}_{mode}", dtype=Float64) for name in NAMES]

    @on_demand_feature_view(sources=[request], schema=fields("python"), mode="python")
    def context_python(inputs: dict[str, Any]) -> dict[str, Any]:
        from benchmarks.online_context import NAMES, numbers  # noqa: PLC0415

        columns = numbers(inputs["time_us"]).T.tolist()
        return {f"{name}_python": column for name, column in zip(NAMES, columns, strict=True)}

    @on_demand_feature_view(sources=[request], schema=fields("singleton"), mode="python", singleton=True)
    def context_singleton(inputs: dict[str, Any]) -> dict[str, Any]:
        from benchmarks.online_context import NAMES, numbers  # noqa: PLC0415

        row = numbers([inputs["time_us"]])[0].tolist()
        return {f"{name}_singleton": value for name, value in zip(NAMES, row, strict=True)}

    @on_demand_feature_view(sources=[request], schema=fields("pandas"), mode="pandas")
    def context_pandas(inputs: pd.DataFrame) -> pd.DataFrame:
        import pandas as pd  # noqa: PLC0415

        from benchmarks.online_context import NAMES, numbers  # noqa: PLC0415

        names = [f"{name}_pandas" for name in NAMES]
        return pd.DataFrame(numbers(inputs["time_us"].tolist()), columns=names).astype(float)

    return [context_python, context_singleton, context_pandas]


def _require_equal(store: FeatureStore, mode: str, asked: tuple[str, int]) -> None:
    """Check that a view answers what our function does: only then are the two costs of one thing.

    Raises:
        SystemExit: it does not.
    """
    refs = [f"context_{mode}:{name}_{mode}" for name in NAMES]
    answer = store.get_online_features(refs, [{schema.USER_ID: asked[0], "time_us": asked[1]}]).to_dict()
    found = np.array([answer[f"{name}_{mode}"][0] for name in NAMES], np.float32)
    if not np.array_equal(found, numbers([asked[1]])[0], equal_nan=True):
        raise SystemExit(f"the on-demand view of mode {mode} answers {found}")
