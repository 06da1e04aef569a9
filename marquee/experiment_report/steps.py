"""The steps of a ramp, read from the log: while which shares was each request assigned?

The log has the share of the variant that a user got. A step is a set of shares of all variants, so that
servers that learn of a new file of experiments one after the other do not make steps of their own, and a
ramp that returns to former shares returns to its step: equal shares may be pooled.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from marquee import schema

STEP: Final = "step"
_PRECISION: Final = 9
_NEAR_ONE: Final = 1e-6

Shares = dict[str, float]


@dataclass(frozen=True, eq=False)
class Ramp:
    """Shares by step, and the step of each assignment."""

    steps: tuple[Shares, ...]
    assignments: pl.DataFrame
    """As given, with the column `step`."""


def find_steps(assignments: pl.DataFrame, *, configured: Mapping[str, float] | None = None) -> Ramp:
    """The steps in the order that they were first complete.

    Args:
        assignments: of one experiment, as `schema.ASSIGNMENTS_SCHEMA` has it.
        configured: the shares that the file of experiments has now; they are the only step where the log
            never shows the shares of all variants.
    """
    ordered = assignments.sort(schema.TIMESTAMP, schema.REQUEST_ID).with_columns(
        pl.col(schema.PROPENSITY).round(_PRECISION)
    )
    vectors, changes = _vectors(ordered, set(configured or ()))
    if not vectors:
        newest = dict(ordered.group_by(schema.VARIANT).agg(pl.col(schema.PROPENSITY).last()).iter_rows())
        only = dict(configured) if configured else _whole(newest)
        return Ramp((only,), ordered.with_columns(pl.lit(0, pl.Int32).alias(STEP)))
    current = ordered.join_asof(changes, on=schema.TIMESTAMP, strategy="backward").with_columns(
        pl.col(STEP).fill_null(0)
    )
    fits = pl.DataFrame(
        [(variant, share, step) for step, each in enumerate(vectors) for variant, share in each.items()],
        schema={schema.VARIANT: pl.String, schema.PROPENSITY: pl.Float64, STEP: pl.Int32},
        orient="row",
    )
    first = fits.group_by(schema.VARIANT, schema.PROPENSITY).agg(pl.col(STEP).min().alias("first_step"))
    keys = [schema.VARIANT, schema.PROPENSITY]
    placed = (
        current.join(fits.with_columns(is_there=True), on=[*keys, STEP], how="left", maintain_order="left")
        .join(first, on=keys, how="left", maintain_order="left")
        .with_columns(pl.when(pl.col("is_there")).then(STEP).otherwise("first_step").alias(STEP))
        .drop_nulls(STEP)
        .drop("is_there", "first_step")
    )
    return Ramp(tuple(vectors), placed)


def _vectors(ordered: pl.DataFrame, named: set[str]) -> tuple[list[Shares], pl.DataFrame]:
    """Sets of shares that add up to 1, and from when on each was the newest."""
    share = pl.col(schema.PROPENSITY)
    changed = ordered.filter((share != share.shift().over(schema.VARIANT)).fill_null(value=True))
    variants = named | set(ordered[schema.VARIANT].unique())
    now: Shares = {}
    vectors: list[Shares] = []
    moments = []
    for time, variant, value in changed.select(
        schema.TIMESTAMP, schema.VARIANT, schema.PROPENSITY
    ).iter_rows():
        now[variant] = value
        if now.keys() == variants and abs(sum(now.values()) - 1) < _NEAR_ONE:
            if now not in vectors:
                vectors.append(dict(sorted(now.items())))
            moments.append((time, vectors.index(now)))
    made = pl.DataFrame(moments, schema={schema.TIMESTAMP: schema.TIME_DTYPE, STEP: pl.Int32}, orient="row")
    return vectors, made.unique(schema.TIMESTAMP, keep="last", maintain_order=True)


def _whole(shares: Shares) -> Shares:
    """Shares of those that were seen, made to add up to 1."""
    total = sum(shares.values())
    return {variant: share / total for variant, share in sorted(shares.items())}
