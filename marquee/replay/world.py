"""What really happens in a replay, what its feeds say of it, and what the data gate thinks of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Self

import numpy as np
import polars as pl

from marquee import schema
from marquee.data.dataset import Dataset
from marquee.data.interactions import Interactions, Vocabulary
from marquee.data.splits import CONSUMPTION_TYPES, consumed
from marquee.features.memory_reader import MemoryReader
from marquee.features.state import SideTables
from marquee.monitoring.decision import QualityFacts
from marquee.monitoring.quality import QualityConfig, look_at
from marquee.monitoring.quality_profile import Baseline
from marquee.replay.config import ReplayConfig
from marquee.replay.shocks import FAULTS, WORLD, Shock
from marquee.replay.tables import Tables
from marquee.replay.timeline import Span, timeline, warm_up_spans

COLUMNS: Final = (*schema.REQUIRED_COLUMNS, schema.VALUE)
_LOOKS: Final = 4
"""Spans of the warm-up that the data gate knows at the beginning."""


@dataclass(frozen=True, eq=False)
class Feed:
    """A window as it was delivered."""

    span: Span
    tables: Tables
    quality: QualityFacts

    @property
    def is_blocked(self) -> bool:
        """Whether the data gate lets nothing learn from it."""
        return self.quality.verdict == "block"


@dataclass(frozen=True, eq=False)
class World:
    """A data set with its shocks."""

    dataset: Dataset
    """As it truly was, changes of the world included."""
    warm_up: pl.DataFrame
    truth: tuple[pl.DataFrame, ...]
    """Events of each window."""
    feeds: tuple[Feed, ...]
    shocks: tuple[Shock, ...]
    config: ReplayConfig

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        events: pl.DataFrame,
        *,
        shocks: tuple[str, ...] = (),
        config: ReplayConfig,
        quality: QualityConfig,
        seed: int,
    ) -> Self:
        """Cut a data set into windows and put the shocks in.

        Args:
            dataset: its tables beside the events.
            events: `COLUMNS`, all of it.
            shocks: as `Shock.of`.
            config: how long windows are.
            quality: from where on a feed is broken. The volume is not asked for: windows are of unequal
                length.
            seed: of the shocks.

        Raises:
            ConfigError: a shock does not fit.
            NotEnoughDataError: too few windows.
        """
        events = chosen(events)
        spans = timeline(consumed(_indexed(dataset, events)), config)
        found = tuple(Shock.of(text, window_ends_us=[each.end_us for each in spans]) for text in shocks)
        sides = Tables(events, _table(dataset.users, schema.USERS), _table(dataset.movies, schema.MOVIES))
        truth = tuple(
            _changed(sides.with_events(_between(events, span)), span, found, WORLD, seed).events
            for span in spans
        )
        begin_us = int(events[schema.TIMESTAMP].dt.epoch("us").to_numpy()[0])
        warm_up = _between(events, Span(0, begin_us, spans[0].start_us))
        feeds = _looked_at(sides, warm_up, truth, spans, found, config, quality, seed)
        everything = pl.concat([warm_up, *truth])
        return cls(
            replace(dataset, interactions=_indexed(dataset, everything)), warm_up, truth, feeds, found, config
        )

    @property
    def spans(self) -> tuple[Span, ...]:
        """The windows."""
        return tuple(feed.span for feed in self.feeds)

    @cached_property
    def events(self) -> Interactions:
        """Consumed ones, of all time."""
        return consumed(self.dataset.interactions)

    @cached_property
    def state(self) -> MemoryReader:
        """What is known when. Of the true events: a broken feed is stopped before the feature store."""
        sides = SideTables(self.dataset.users, self.dataset.movies, self.dataset.publicity)
        return MemoryReader.of(self.events, sides)

    def known(self, windows: int) -> pl.DataFrame:
        """Events of the warm-up and so many windows, as one has them at the end of the last.

        A feed that the gate did not see through is there as it was delivered. One that it blocked is left
        out as long as the fault lasts, and mended afterwards.
        """
        parts = [self.warm_up]
        for truth, feed in zip(self.truth[:windows], self.feeds[:windows], strict=True):
            fault = self._fault(feed.span.number)
            if fault is None:
                parts.append(truth)
            elif not feed.is_blocked:
                parts.append(feed.tables.events.select(COLUMNS))
            elif not fault.is_on(windows):
                parts.append(truth)
        return pl.concat(parts)

    def learnable(self, windows: int) -> Dataset:
        """The same as a data set to be learned from, in the vocabulary of all."""
        events = _indexed(self.dataset, self.known(windows), items=self.dataset.interactions.items)
        id_ = f"{self.dataset.snapshot_id[:16]}-{windows}"
        return replace(self.dataset, interactions=events, snapshot_id=id_)

    def broken_at(self, window: int) -> bool:
        """Whether the model that serves breaks with the beginning of a window."""
        return any(shock.nature == "model" and shock.start == window for shock in self.shocks)

    def _fault(self, window: int) -> Shock | None:
        return next((each for each in self.shocks if each.nature == "fault" and each.is_on(window)), None)


def chosen(events: pl.DataFrame) -> pl.DataFrame:
    """The events that users chose items by, in time order."""
    kinds = pl.col(schema.INTERACTION_TYPE).cast(pl.String).is_in(list(CONSUMPTION_TYPES))
    key = [schema.TIMESTAMP, schema.USER_ID, schema.ITEM_ID, schema.INTERACTION_TYPE]
    return events.select(COLUMNS).filter(kinds).sort(key)


def _indexed(dataset: Dataset, events: pl.DataFrame, *, items: Vocabulary | None = None) -> Interactions:
    """In the vocabulary of the catalogue, so that all models of a replay speak of the same items."""
    if items is None:
        ids = [events[schema.ITEM_ID].cast(pl.String)]
        ids += [] if dataset.movies is None else [dataset.movies[schema.ITEM_ID].cast(pl.String)]
        items = Vocabulary.of(pl.concat(ids))
    return Interactions.from_table(events, items=items)


def _table(table: pl.DataFrame | None, name: str) -> pl.DataFrame:
    return pl.DataFrame(schema=schema.TABLE_SCHEMAS[name]) if table is None else table


def _between(events: pl.DataFrame, span: Span) -> pl.DataFrame:
    time_us = pl.col(schema.TIMESTAMP).dt.epoch("us")
    return events.filter((time_us >= span.start_us) & (time_us < span.end_us))


def _changed(
    tables: Tables, span: Span, shocks: tuple[Shock, ...], kinds: Mapping[str, object], seed: int
) -> Tables:
    injectors = {**WORLD, **FAULTS}
    for place, shock in enumerate(shocks):
        if shock.kind in kinds and shock.is_on(span.number):
            tables = injectors[shock.kind](tables, np.random.default_rng([seed, span.number, place]))
    return tables


def _looked_at(
    sides: Tables,
    warm_up: pl.DataFrame,
    truth: tuple[pl.DataFrame, ...],
    spans: tuple[Span, ...],
    shocks: tuple[Shock, ...],
    config: ReplayConfig,
    quality: QualityConfig,
    seed: int,
) -> tuple[Feed, ...]:
    """The feeds, and the gate's word on each; one that blocks is no measure of the next."""
    quality = quality.model_copy(update={"min_volume_share": 0.0})
    begin_us = (
        int(warm_up[schema.TIMESTAMP].dt.epoch("us").to_numpy()[0]) if len(warm_up) else spans[0].start_us
    )
    baseline = Baseline()
    for span in warm_up_spans(spans[0], begin_us, config.window_days)[-_LOOKS:]:
        past = sides.with_events(_between(warm_up, span))
        baseline = baseline.with_profile(look_at(span.name, _sources(past), Baseline()).profile)
    feeds = []
    for events, span in zip(truth, spans, strict=True):
        tables = _changed(sides.with_events(events), span, shocks, FAULTS, seed)
        report = look_at(span.name, _sources(tables), baseline, config=quality)
        feeds.append(Feed(span, tables, QualityFacts(verdict=report.verdict, words=report.words)))
        if not feeds[-1].is_blocked:
            baseline = baseline.with_profile(report.profile)
    return tuple(feeds)


def _sources(tables: Tables) -> dict[str, pl.LazyFrame | pl.DataFrame]:
    """As the data gate takes them: the window's users, and as null the columns that no replay reads."""
    absent = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in schema.INTERACTIONS_SCHEMA.items()
        if name not in COLUMNS
    ]
    found: dict[str, pl.LazyFrame | pl.DataFrame] = {schema.INTERACTIONS: tables.events.with_columns(absent)}
    if len(tables.users):
        found[schema.USERS] = tables.users.join(tables.events, on=schema.USER_ID, how="semi")
    if len(tables.movies):
        found[schema.MOVIES] = tables.movies
    return found
