"""Random events and observations, crowded where two ways of reading the past could differ."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import Phase
from hypothesis import strategies as st

from marquee import schema
from marquee.data.interactions import Interactions
from marquee.features.state import SideTables, StateConfig, build_state
from tests.factories import DAY_S, SECOND_US, event_table

DAY_US = DAY_S * SECOND_US
LAST_DAY = 130
"""Longer than the windows of movies' statistics, so that the months before them are held as totals."""
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""Building a state takes a third of a second: making a failing example smaller would take minutes."""
USERS = ("u0", "u1", "u2", "stranger")
ITEMS = ("a", "b", "c", "unheard of")
PEOPLE = pl.DataFrame({"user_id": ["u0", "u1"], "age": [31, 47], "gender": ["F", "M"]})
MOVIES = pl.DataFrame(
    {
        "item_id": ["a", "b"],
        "year": [1941, None],
        "released_on": [date(1970, 1, 20), None],
        "genres": [["Drama", "War"], []],
        "directors": [None, ["Ford"]],
    }
)

Event = tuple[str, str, int, float | None, str]
"""User, movie, microseconds, value, type."""
Observation = tuple[str, int, str, float | None, int | None]
"""Movie, microseconds, source, critics' score, mentions."""

# Quarters of days and their neighbours: peers, and events on either side of a midnight.
moments_us = st.builds(
    lambda quarter, aside: max(quarter * DAY_US // 4 + aside, 0),
    st.integers(0, 4 * LAST_DAY),
    st.sampled_from([-1, 0, 0, 0, 1]),
)
events = st.lists(
    st.tuples(
        st.sampled_from(USERS[:3]),
        st.sampled_from(ITEMS[:3]),
        moments_us,
        st.sampled_from([None, 0.1, 3.7, 5.0]),
        st.sampled_from(["rating", "rating", "view", "click", "impression"]),
    ),
    min_size=1,
    max_size=14,
)
observations = st.lists(
    st.tuples(
        st.sampled_from(ITEMS[:3]),
        moments_us,
        st.sampled_from(["press", "web"]),
        st.sampled_from([None, 4.3, 7.9]),
        st.sampled_from([None, 3, 500]),
    ),
    max_size=8,
)


@dataclass(frozen=True)
class Past:
    """What happened, and what was written about the movies."""

    events: tuple[Event, ...]
    observations: tuple[Observation, ...] = ()

    @property
    def table(self) -> pl.DataFrame:
        """The events as a table of the contract."""
        return event_table((user, item, time / SECOND_US, *rest) for user, item, time, *rest in self.events)

    @property
    def interactions(self) -> Interactions:
        """The events in memory."""
        return Interactions.from_table(self.table)

    @property
    def tables(self) -> SideTables:
        """People and movies, always the same, and the observations."""
        columns = ("item_id", "observed_at", "source", "critic_score", "mentions")
        publicity = pl.DataFrame(
            list(self.observations),
            schema={
                name: schema.PUBLICITY_SCHEMA[name] if name != "observed_at" else pl.Int64()
                for name in columns
            },
            orient="row",
        ).with_columns(pl.col("observed_at").cast(schema.TIME_DTYPE))
        return SideTables(PEOPLE, MOVIES, publicity)

    @property
    def edges_us(self) -> list[int]:
        """Each moment at which something became known or expired, and its neighbours."""
        times = {time for _, _, time, *_ in self.events} | {time for _, time, *_ in self.observations}
        midnights = {(time // DAY_US + days) * DAY_US for time in times for days in (0, 1, 8)}
        edges = {time + aside for time in times | midnights | {DAY_US} for aside in (-1, 0, 1)}
        return sorted(edge for edge in edges if edge >= 0)

    def build(self, root: Path) -> None:
        """Its state, in a folder."""
        build_state(root, self.table, tables=self.tables, config=StateConfig(n_buckets=2))


pasts = st.builds(Past, events.map(tuple), observations.map(tuple))


def all_pairs(ids: Iterable[str], times_us: Iterable[int]) -> tuple[pl.Series, np.ndarray]:
    """Every id at every time, in an order that is neither's: what a reader is asked."""
    pairs = [(id_, time) for time in times_us for id_ in ids]
    order = np.random.default_rng(0).permutation(len(pairs))
    return pl.Series([pairs[at][0] for at in order]), np.array([pairs[at][1] for at in order], np.int64)


def moment(time_us: int) -> datetime:
    """Microseconds as a time in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
