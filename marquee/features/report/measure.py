"""The state of one data set measured: every view, every feature, and the last build beside them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from marquee import schema
from marquee.features.report.config import ReportConfig
from marquee.features.report.distribution import Feature, describe_feature
from marquee.features.report.newest import NewestRows, StateVersion, newest_rows
from marquee.features.report.notes import MOMENTS
from marquee.features.state.folder import EVENTS, StateFolder

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ViewPromise:
    """What the declarations promise of a view."""

    description: str
    owner: str
    slo_hours: int
    """The oldest that the newest row may be."""
    ttl_seconds: int | None
    """Limit of age of a row, None for none."""
    is_static: bool
    """Whether its rows carry no time of their own."""


@dataclass(frozen=True, eq=False)
class ViewMeasure:
    """One view at the state's last moment."""

    name: str
    promise: ViewPromise
    n_rows: int
    """Rows in the table, of all times."""
    n_keys: int
    n_keys_before: int | None
    n_sampled: int
    n_expired: int
    n_later: int
    newest: datetime | None
    age_hours: float | None
    """From the newest row to the state's last moment; None for static views."""
    features: tuple[Feature, ...]

    @property
    def is_late(self) -> bool:
        """Whether the newest row is older than promised."""
        return self.age_hours is not None and self.age_hours > self.promise.slo_hours


@dataclass(frozen=True, eq=False)
class StateMeasure:
    """The whole state."""

    dataset: str
    state_id: str
    as_of: datetime
    n_events: int
    before_id: str | None
    before_as_of: datetime | None
    views: tuple[ViewMeasure, ...]


def measure_state(
    root: str | Path,
    dataset: str,
    *,
    promises: Mapping[str, ViewPromise],
    config: ReportConfig | None = None,
    on_progress: Progress = lambda _view, _done, _total: None,
) -> StateMeasure:
    """Measure the newest row of each key as of the state's last moment, and compare with the last build.

    Args:
        root: folder of the state.
        dataset: its name.
        promises: by view, from the declarations.
        config: sample sizes and thresholds.
        on_progress: hears view by view.

    Raises:
        FeatureStoreError: nothing was built yet, the state is damaged, or a build removed it meanwhile.
    """
    config = config or ReportConfig()
    version = StateVersion.current(StateFolder(root))
    before = version.before()
    views = []
    for done, (name, promise) in enumerate(promises.items()):
        on_progress(name, done, len(promises))
        views.append(_view(name, promise, version, before=before, config=config))
    return StateMeasure(
        dataset=dataset,
        state_id=version.contents.id,
        as_of=version.as_of,
        n_events=version.contents.rows.get(EVENTS, 0),
        before_id=before.contents.id if before else None,
        before_as_of=before.as_of if before else None,
        views=tuple(views),
    )


def _view(
    name: str,
    promise: ViewPromise,
    version: StateVersion,
    *,
    before: StateVersion | None,
    config: ReportConfig,
) -> ViewMeasure:
    sides = [
        newest_rows(each, name, ttl_seconds=promise.ttl_seconds, sample_keys=config.sample_keys)
        for each in (version, before)
        if each is not None
    ]
    now = sides[0]
    age = None
    if now.newest is not None and not promise.is_static:
        age = (version.as_of - now.newest).total_seconds() / 3600
    return ViewMeasure(
        name=name,
        promise=promise,
        n_rows=version.contents.rows.get(name, 0),
        n_keys=now.n_keys,
        n_keys_before=sides[1].n_keys if before else None,
        n_sampled=len(now.chosen),
        n_expired=now.n_expired,
        n_later=now.n_later,
        newest=now.newest,
        age_hours=age,
        features=tuple(_features(sides, passed_us=_passed_us(version, before), config=config)),
    )


def _passed_us(version: StateVersion, before: StateVersion | None) -> float:
    return (version.as_of - before.as_of).total_seconds() * 1e6 if before else 0.0


def _features(sides: list[NewestRows], *, passed_us: float, config: ReportConfig) -> list[Feature]:
    """Plain columns together, lists two at a time: those are large."""
    columns = sides[0].columns
    plain = [name for name, dtype in columns.items() if not isinstance(dtype, pl.List)]
    groups = [(plain, config.sample_keys)] if plain else []
    lists = [name for name in columns if name not in plain]
    groups += [(lists[at : at + 2], config.list_sample_keys) for at in range(0, len(lists), 2)]
    described = {}
    for names, limit in groups:
        now, *rest = [
            side.read([name for name in names if name in side.columns], limit=limit) for side in sides
        ]
        for name in names:
            described[name] = describe_feature(
                name,
                now,
                time_column=schema.EVENT_TIMESTAMP,
                before=rest[0] if rest else None,
                passed=passed_us if MOMENTS.get(name) == "us" else 0.0,
                config=config,
            )
    return [described[name] for name in columns]
