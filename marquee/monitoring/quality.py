"""The data-quality gate: what is wrong with a feed, before anything learns from it.

A broken feed pages and stops the training; it is never a reason to train. What can be known without a look
back (schema, required columns, ranges, duplicates) is judged at once; shares that a data set may have by
nature (nulls, defaults, unknown keys, the scale of ratings, volume) are judged against earlier looks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from marquee import schema
from marquee.monitoring.quality_profile import (
    EXPOSURES,
    SOURCE_KEYS,
    SOURCE_SCHEMAS,
    Baseline,
    Profile,
    SourceProfile,
    profile_of,
)

Verdict = Literal["pass", "warn", "block"]
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    schema.INTERACTIONS: schema.REQUIRED_COLUMNS,
    EXPOSURES: (schema.REQUEST_ID, schema.TIMESTAMP, schema.ITEM_ID, schema.POSITION, schema.BUNDLE_ID),
}
"""Columns that are never null, beside the keys."""
_HOUR_US: Final = 3_600_000_000


class QualityConfig(BaseModel):
    """From where on a feed is broken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_null_share: float = Field(default=0.02, ge=0, le=1)
    """Of a column; a baseline that is higher raises it."""
    margin: float = Field(default=0.05, ge=0, le=1)
    """How far a share of nulls, of default values or of unknown keys may leave its baseline."""
    max_default_share: float = Field(default=0.02, ge=0, le=1)
    """Of values such as -1 or "n/a" in a column; a baseline that is higher raises it."""
    sampling_slack: float = Field(default=3.0, ge=0)
    """By so many standard errors a share may leave those limits: hardly anything in a large window."""
    max_outside_share: float = Field(default=0.001, ge=0, le=1)
    """Of values that a column can't have."""
    max_duplicate_share: float = Field(default=0.001, ge=0, le=1)
    """Of rows whose key another row has."""
    max_off_scale_share: float = Field(default=0.01, ge=0, le=1)
    """Of ratings with a value that no earlier look met."""
    max_gone_share: float = Field(default=0.05, ge=0, le=1)
    """Of earlier ratings, those of a value that nobody gives any more: stars that became thumbs."""
    min_ratings: int = Field(default=100, ge=1)
    """Of fewer ratings some values may be missing by chance."""
    min_volume_share: float = Field(default=0.5, ge=0, le=1)
    """Of the rows that earlier looks, or the weeks before, let expect."""
    max_age_hours: float | None = Field(default=None, gt=0)
    """How old the newest event may be; None where the data are of the past on purpose."""


@dataclass(frozen=True)
class QualityCheck:
    """One thing that was looked at."""

    source: str
    name: str
    """As "nulls of age"."""
    seen: float
    limit: str
    """As "at most 0.02"."""
    passed: bool
    blocks: bool = True
    """Whether a failure stops what would learn; otherwise it is only said."""

    def __str__(self) -> str:
        return f"{self.source}: {self.name} = {self.seen:g}, should be {self.limit}"


@dataclass(frozen=True)
class QualityReport:
    """What the gate found."""

    profile: Profile
    checks: tuple[QualityCheck, ...]

    @property
    def failed(self) -> tuple[QualityCheck, ...]:
        """What is amiss, the worst first."""
        return tuple(
            sorted((each for each in self.checks if not each.passed), key=lambda one: not one.blocks)
        )

    @property
    def verdict(self) -> Verdict:
        """Whether something may learn from it."""
        if any(each.blocks for each in self.failed):
            return "block"
        return "warn" if self.failed else "pass"

    @property
    def words(self) -> tuple[str, ...]:
        """What is amiss, one sentence each."""
        return tuple(f"{each}" for each in self.failed)


def look_at(
    id_: str,
    tables: Mapping[str, pl.LazyFrame | pl.DataFrame],
    baseline: Baseline,
    *,
    config: QualityConfig | None = None,
    now_us: int | None = None,
    weekday: int | None = None,
) -> QualityReport:
    """Judge the feeds of one snapshot or window.

    Args:
        id_: of what is looked at; an earlier look at the same is left out of the baseline.
        tables: by name, those of `SOURCE_SCHEMAS` that there are; none that is empty by nature.
        baseline: earlier looks; an empty one leaves what only they can tell unjudged.
        config: limits.
        now_us: the present, UTC microseconds; None where freshness is not asked for.
        weekday: 1 Monday to 7 Sunday, where the tables are of one day; None where they are of all time, or
            of whole weeks.
    """
    config = config or QualityConfig()
    known = {
        name: _keys(tables[name], key)
        for name, key in ((schema.USERS, schema.USER_ID), (schema.MOVIES, schema.ITEM_ID))
        if name in tables
    }
    sources = {
        name: profile_of(name, table, known=known if name in {schema.INTERACTIONS, EXPOSURES} else None)
        for name, table in tables.items()
    }
    past = baseline.without(id_)
    checks = tuple(
        check
        for name, found in sources.items()
        for check in (
            *_checks(name, found, past, config),
            *_volume_checks(name, found, past.least_rows(name, weekday, config.min_volume_share), config),
            *_age_checks(name, found, config, now_us),
        )
    )
    return QualityReport(Profile(id=id_, weekday=weekday, sources=sources), checks)


def _keys(table: pl.LazyFrame | pl.DataFrame, key: str) -> pl.Series:
    lazy = table.lazy()
    if lazy.collect_schema().get(key) != pl.String():
        return pl.Series(key, [], dtype=pl.String)
    return lazy.select(key).collect().to_series()


def _checks(
    source: str, found: SourceProfile, past: Baseline, config: QualityConfig
) -> Iterator[QualityCheck]:
    fields = len(SOURCE_SCHEMAS[source])
    misfits = "; ".join(found.misfits)
    yield QualityCheck(
        source, "columns that fit the schema" + (f" ({misfits})" if misfits else ""),
        fields - len(found.misfits), f"{fields}", not misfits,
    )  # fmt: skip
    yield from _column_checks(source, found, past, config)
    share = found.duplicate_share
    yield _at_most(source, f"repeats of {', '.join(SOURCE_KEYS[source])}", share, config.max_duplicate_share)
    yield from _scale_checks(source, found, past, config)
    yield from _join_checks(source, found, past, config)


def _age_checks(
    source: str, found: SourceProfile, config: QualityConfig, now_us: int | None
) -> Iterator[QualityCheck]:
    if config.max_age_hours is None or now_us is None or found.newest_us is None:
        return
    if source != schema.PUBLICITY:  # it changes when it changes
        age = (now_us - found.newest_us) / _HOUR_US
        yield _at_most(source, "hours since the newest row", round(age, 2), config.max_age_hours)


def _column_checks(
    source: str, found: SourceProfile, past: Baseline, config: QualityConfig
) -> Iterator[QualityCheck]:
    required = {*SOURCE_KEYS[source], *REQUIRED.get(source, ())}
    for column, facts in found.columns.items() if found.rows else ():
        usual = past.column(source, column, "null_share")
        if column in required:
            yield _at_most(source, f"nulls of {column}", facts.null_share, 0.0)
        elif usual is not None:
            limit = _with_slack(max(config.max_null_share, usual + config.margin), found.rows, config)
            yield _at_most(source, f"nulls of {column}", facts.null_share, limit)
        usual = past.column(source, column, "default_share")
        if facts.default_share is not None and usual is not None:
            limit = _with_slack(max(config.max_default_share, usual + config.margin), found.rows, config)
            yield _at_most(source, f"default values of {column}", facts.default_share, limit)
        if facts.outside_share is not None:
            yield _at_most(
                source, f"impossible values of {column}", facts.outside_share, config.max_outside_share
            )


def _volume_checks(
    source: str, found: SourceProfile, least: float | None, config: QualityConfig
) -> Iterator[QualityCheck]:
    if least is not None:
        yield _at_least(source, "rows", found.rows, least)
    newest, *before = found.weekly_rows or (0,)
    if source == schema.INTERACTIONS and len(before) == 4 and all(before):
        # A week that ends with the newest row covers each weekday once, as those before it do.
        least = config.min_volume_share * median(before)
        yield _at_least(source, "rows of the newest week", newest, least, blocks=False)


def _scale_checks(
    source: str, found: SourceProfile, past: Baseline, config: QualityConfig
) -> Iterator[QualityCheck]:
    scale = {value for each in past.of(source) for value in each.rating_shares or ()}
    if not scale or found.columns.get(schema.VALUE) is None:
        return
    if found.rating_shares is None:
        if past.of(source)[-1].rating_shares:
            yield QualityCheck(source, "ratings on a scale", 0, f"of {', '.join(sorted(scale))}", False)
        return
    off = sum(share for value, share in found.rating_shares.items() if value not in scale)
    yield _at_most(source, "ratings off their scale", round(off, 6), config.max_off_scale_share)
    if found.rows >= config.min_ratings:
        gone = _gone_share(found.rating_shares, past.of(source))
        yield _at_most(
            source, "earlier ratings of a value that is gone", round(gone, 6), config.max_gone_share
        )


def _gone_share(now: Mapping[str, float], past: tuple[SourceProfile, ...]) -> float:
    """The median over earlier looks of the ratings' share whose value is not given now."""
    looks = [each.rating_shares for each in past if each.rating_shares]
    return median(sum(share for value, share in each.items() if value not in now) for each in looks)


def _join_checks(
    source: str, found: SourceProfile, past: Baseline, config: QualityConfig
) -> Iterator[QualityCheck]:
    for other, share in found.joined.items():
        earlier = [each.joined[other] for each in past.of(source) if other in each.joined]
        usual = median(earlier) if earlier else 0.5 + config.margin
        # As far below as a share of unknown keys may be above.
        least = 1 - _with_slack(1 - usual + config.margin, found.rows, config)
        yield _at_least(source, f"rows that {other} knows", share, least, blocks=bool(earlier))


def _with_slack(share: float, rows: int, config: QualityConfig) -> float:
    """A limit on a share, by the standard errors that a sample of so many rows has."""
    inside = min(max(share, 0.0), 1.0)
    return min(share + config.sampling_slack * float((inside * (1 - inside) / max(rows, 1)) ** 0.5), 1.0)


def _at_most(source: str, name: str, seen: float, limit: float) -> QualityCheck:
    return QualityCheck(source, name, seen, f"at most {limit:g}", seen <= limit + 1e-12)


def _at_least(source: str, name: str, seen: float, limit: float, *, blocks: bool = True) -> QualityCheck:
    return QualityCheck(source, name, seen, f"at least {limit:g}", seen >= limit - 1e-12, blocks)
