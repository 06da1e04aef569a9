"""Data that knows its answer.

Times are given in seconds since 1970-01-01 00:00 UTC, a Thursday, so that expectations stay small
numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from marquee import schema
from marquee.config import TrainingConfig
from marquee.data.dataset import Dataset
from marquee.data.histories import Histories, LabelledQueries, Queries
from marquee.data.interactions import UNKNOWN_INDEX, Interactions, Ragged, Vocabulary
from marquee.features.memory_reader import MemoryReader
from marquee.features.state import SideTables
from marquee.recommend import Recommender
from marquee.training import FirstStage, TrainingResult, train

SECOND_US = 1_000_000
HOUR_S = 3_600
DAY_S = 86_400


def event_table(rows: Iterable[Sequence[Any]]) -> pl.DataFrame:
    """A table of the contract from rows of (user, item, seconds[, value[, type]])."""
    filled = [(*row, *(None, "rating")[len(row) - 3 :]) for row in rows]
    return pl.DataFrame(
        {
            schema.USER_ID: [row[0] for row in filled],
            schema.ITEM_ID: [row[1] for row in filled],
            schema.INTERACTION_TYPE: [row[4] for row in filled],
            schema.TIMESTAMP: [round(row[2] * SECOND_US) for row in filled],
            schema.VALUE: [row[3] for row in filled],
        },
        schema={
            name: schema.INTERACTIONS_SCHEMA[name]
            if name != schema.TIMESTAMP
            else pl.Int64()  # becomes microseconds of UTC below
            for name in (*schema.REQUIRED_COLUMNS, schema.VALUE)
        },
    ).with_columns(pl.col(schema.TIMESTAMP).cast(schema.TIME_DTYPE))


def events(*rows: Sequence[Any], users: Iterable[str] = (), items: Iterable[str] = ()) -> Interactions:
    """Interactions of rows as in `event_table`; `users` and `items` join the vocabularies."""
    table = event_table(rows)
    return Interactions.from_table(
        table,
        users=Vocabulary.of([*table[schema.USER_ID], *users]),
        items=Vocabulary.of([*table[schema.ITEM_ID], *items]),
    )


def histories(*rows: Sequence[tuple[float, ...]]) -> Histories:
    """One history per row of (item index, seconds[, value]) events, oldest first."""
    flat = [event for row in rows for event in row]
    return Histories(
        offsets=Ragged.of([range(len(row)) for row in rows]).offsets,
        item_index=np.array([event[0] for event in flat], np.int32),
        timestamp_us=np.array([round(event[1] * SECOND_US) for event in flat], np.int64),
        value=np.array([event[2] if len(event) > 2 else np.nan for event in flat], np.float32),
    )


def queries(
    *rows: Sequence[tuple[float, ...]],
    users: Sequence[int] | None = None,
    time_s: float = 10 * DAY_S,
    **facts: float | Sequence[float],
) -> Queries:
    """One query per history, all asked at `time_s`, by unknown users unless they are given.

    Of the users' state only the number of events and what `facts` name is known.
    """
    asked = [UNKNOWN_INDEX] * len(rows) if users is None else users
    moment = np.full(len(rows), round(time_s * SECOND_US), np.int64)
    state = np.full((len(rows), len(schema.USER_STATE)), np.nan, np.float32)
    for name, value in {schema.USER_EVENTS_ALL: [len(row) for row in rows], **facts}.items():
        state[:, schema.USER_STATE.index(name)] = value
    return Queries(np.array(asked, np.int32), moment, histories(*rows), state)


def labelled(asked: Queries, *targets: Sequence[int]) -> LabelledQueries:
    """Queries with the item indexes that each went on to consume."""
    return LabelledQueries(asked, Ragged.of(targets))


def checkerboard(size: int = 8, *, spare_items: int = 0) -> Interactions:
    """Two taste groups: user `u` chose the items of its own parity, all but item `u`.

    What to recommend to user `u` is item `u`, the only one of its colour that it lacks. Everybody
    watches in circles, from the item after the withheld one on, so that it is also the next one.
    Spare items have no events. Every user and item has a two-digit id, so that index and number agree.

    Source: the tests of the `implicit` library.
    """
    rows = [
        (f"{user:02}", f"{item:02}", 100 * user + (item - user) % size)
        for user in range(size)
        for item in range(size)
        if (user + item) % 2 == 0 and user != item
    ]
    return events(*rows, items=[f"{size + spare:02}" for spare in range(spare_items)])


def all_histories(interactions: Interactions) -> Histories:
    """Everything that each user did, one history per user index."""
    users = range(len(interactions.users))
    return Histories.of_rows(
        interactions, [np.flatnonzero(interactions.user_index == user) for user in users]
    )


GENRES = ("Action", "Comedy", "Drama")


@dataclass(frozen=True)
class World:
    """Sizes of `taste_groups`."""

    n_users: int = 75
    n_items: int = 90
    events_per_user: int = 30
    off_taste: int = 6
    days: int = 100


def taste_groups(world: World = World(), *, seed: int = 0) -> Dataset:
    """Users of three tastes watch mostly their own genre, the popular movies of it sooner.

    User `u` favours genre `u % 3` as movie `i` has genre `i % 3`. People watch in sittings of three
    events, two of which share a second. Movies are rated from 12 or 18 years, a few by nobody.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, float, float]] = []
    for user in range(world.n_users):
        likes = np.arange(world.n_items) % 3 == user % 3
        popularity = 1 / (1 + np.arange(world.n_items) // 3) ** 0.5
        own = _draw(rng, popularity * likes, world.events_per_user - world.off_taste)
        other = _draw(rng, popularity * ~likes, world.off_taste)
        watched = rng.permutation(np.concatenate([own, other]))
        starts = np.sort(rng.choice(world.days * 24, len(watched) // 3, replace=False)) * HOUR_S
        times = np.repeat(starts, 3) + np.tile([0, 0, 600], len(starts))
        rows += [
            (f"u{user:03}", f"m{item:03}", float(time), 5.0 if likes[item] else 2.0)
            for item, time in zip(watched, times, strict=False)
        ]
    table = event_table(rows)
    return Dataset("tastes", "0" * 16, Interactions.from_table(table), _users(world), _movies(world))


def _draw(rng: np.random.Generator, weight: np.ndarray, n: int) -> np.ndarray:
    return rng.choice(len(weight), n, replace=False, p=weight / weight.sum())


def _users(world: World) -> pl.DataFrame:
    numbers = range(world.n_users)
    return pl.DataFrame(
        {
            schema.USER_ID: [f"u{user:03}" for user in numbers],
            schema.AGE: [20 + 10 * (user % 3) for user in numbers],
            schema.GENDER: [("M", "F", None)[user % 3] for user in numbers],
        }
    )


def _movies(world: World) -> pl.DataFrame:
    numbers = range(world.n_items)
    known = {
        schema.ITEM_ID: [f"m{item:03}" for item in numbers],
        schema.TITLE: [f"Movie {item}" for item in numbers],
        schema.YEAR: [1930 + item % 40 for item in numbers],
        schema.GENRES: [[GENRES[item % 3]] for item in numbers],
        schema.DIRECTORS: [[f"Director {item % 7}"] for item in numbers],
        schema.CAST: [[f"Star {item % 5}", f"Star {item % 11}"] for item in numbers],
        schema.MIN_AGE: [(12, 18, 12, 18, None)[item % 5] for item in numbers],
    }
    return movie_table(known)


def movie_table(known: dict[str, list[Any]]) -> pl.DataFrame:
    """A whole movies table of which only some columns are known."""
    length = len(known[schema.ITEM_ID])
    columns = {name: known.get(name, [None] * length) for name in schema.MOVIES_SCHEMA}
    return pl.DataFrame(columns, schema=schema.MOVIES_SCHEMA)


def quick_config(**differences: Any) -> TrainingConfig:
    """A training that takes a second on `taste_groups`."""
    values = {
        "temporal": {"min_events": 4},
        "routes": {
            "ease": {"regularization": 20},
            "als": {"factors": 6, "iterations": 4, "regularization": 0.1},
            "sequential": {"shrinkage": 20},
        },
        "union": {"depth": 40},
        "training_set": {"windows": 3, "min_events": 3, "history_shares": [0.5]},
        "ranker": {"lightgbm": {"n_estimators": 25, "min_data_in_leaf": 10}},
        "evaluation": {"bootstrap": {"resamples": 200}},
        "gate": {"bootstrap": {"resamples": 200}},
    }
    return TrainingConfig.model_validate(values | differences)


def state_of(dataset: Dataset) -> MemoryReader:
    """What was known of a data set's users and movies when, from memory."""
    return MemoryReader.of(dataset.interactions, SideTables(dataset.users, dataset.movies, dataset.publicity))


def stage_of(dataset: Dataset, config: TrainingConfig | None = None) -> FirstStage:
    """The first stage of a data set, with its state in memory."""
    return FirstStage.of(dataset, config or quick_config(), state_of(dataset))


def trained(dataset: Dataset, config: TrainingConfig | None = None, **more: Any) -> TrainingResult:
    """`marquee.training.train` with the state in memory."""
    return train(dataset, config or quick_config(), state_of(dataset), **more)


def first_stage(dataset: Dataset, config: TrainingConfig | None = None) -> Recommender:
    """A recommender without a ranker that knows all of a data set."""
    last_us = int(dataset.interactions.timestamp_us[-1])
    return stage_of(dataset, config).fit(dataset.interactions, until_us=last_us)


def with_events(dataset: Dataset, interactions: Interactions) -> Dataset:
    """The same data set with other events."""
    return replace(dataset, interactions=interactions)
