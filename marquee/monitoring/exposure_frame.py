"""Exposures as tables, to be joined with later events."""

from collections.abc import Iterable

import polars as pl

from marquee import schema
from marquee.monitoring.exposure import AssignmentRecord, Exposure, ShownItem


def to_frame(exposures: Iterable[Exposure]) -> pl.DataFrame:
    """One row for each item that was shown, in the order of the log: `schema.EXPOSURES_SCHEMA`.

    A request that was logged twice, as an event bus may deliver it, has its rows twice: `unique` on request
    and position makes them one.
    """
    rows = [_shown(exposure, item) for exposure in exposures for item in exposure.items]
    return _typed(rows, schema.EXPOSURES_SCHEMA)


def assignments_frame(exposures: Iterable[Exposure]) -> pl.DataFrame:
    """One row for each experiment that a request met: `schema.ASSIGNMENTS_SCHEMA`."""
    rows = [_assigned(exposure, each) for exposure in exposures for each in exposure.assignments]
    return _typed(rows, schema.ASSIGNMENTS_SCHEMA)


def _shown(exposure: Exposure, item: ShownItem) -> tuple[object, ...]:
    """In the order of the schema."""
    return (
        exposure.request_id,
        exposure.time_us,
        exposure.user_id,
        exposure.surface,
        exposure.item_id,
        exposure.n,
        exposure.context.timestamp_us,
        exposure.context.device,
        exposure.context.location,
        item.item_id,
        item.position,
        item.score,
        item.route,
        item.propensity,
        exposure.bundle_id,
        exposure.variant,
        exposure.degraded,
        exposure.features_hash,
        exposure.item_matrix_version,
        exposure.history_events,
        exposure.latency_ms,
    )


def _assigned(exposure: Exposure, assignment: AssignmentRecord) -> tuple[object, ...]:
    """In the order of the schema."""
    return (
        exposure.request_id,
        exposure.time_us,
        exposure.user_id,
        assignment.experiment,
        assignment.variant,
        assignment.propensity,
        assignment.is_override,
    )


def _typed(rows: list[tuple[object, ...]], columns: dict[str, pl.DataType]) -> pl.DataFrame:
    raw = {name: pl.Int64() if dtype == schema.TIME_DTYPE else dtype for name, dtype in columns.items()}
    return pl.DataFrame(rows, schema=raw, orient="row").cast(dict(columns))  # type: ignore[arg-type]
