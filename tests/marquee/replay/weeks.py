"""Twelve weeks of forty new viewers each, who like one of four genres: replayed in seconds."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from marquee import schema
from marquee.config import TrainingConfig
from marquee.data.dataset import Dataset
from marquee.data.interactions import Interactions
from marquee.data.tables import conform
from marquee.replay.config import ReplayConfig
from marquee.replay.run import Question, Replay, replay

DAY_US: Final = 86_400_000_000
GENRES: Final = ("Action", "Comedy", "Drama", "Horror")
PER_GENRE: Final = 25
USERS: Final = 40
WEEKS: Final = 12
WINDOWS: Final = 8
"""After a warm-up of four weeks."""

TRAINING: Final[dict[str, Any]] = {
    "seed": 3,
    "temporal": {"min_events": 4},
    "routes": {
        "enabled": ["als", "popular"],
        "als": {"factors": 4, "iterations": 2, "regularization": 0.1, "half_life_events": 10},
    },
    "union": {"depth": 40},
    "training_set": {"windows": 2, "min_events": 3, "history_shares": [0.5]},
    "ranker": {
        "second_stage": "trees",
        "lightgbm": {"n_estimators": 10, "num_leaves": 15, "learning_rate": 0.05, "min_data_in_leaf": 10},
    },
    "evaluation": {"bootstrap": {"resamples": 100}},
    "gate": {
        "cuts": [{"k": 12, "tolerance": 1.0}],
        "min_queries": 10,
        "max_relative_loss": 0.9,
        "bootstrap": {"resamples": 100},
    },
    "drift": {"policy": {"users_to_test": 10, "users_to_act": 10, "min_pool": 40}},
}
REPLAY: Final = ReplayConfig(min_users=20, bootstrap={"resamples": 100}, warm_up_share=4.1 / 12)


def movies() -> pl.DataFrame:
    """Of four genres."""
    table = pl.DataFrame(
        {
            schema.ITEM_ID: [f"{genre[0]}{n:02}" for genre in GENRES for n in range(PER_GENRE)],
            schema.TITLE: [f"{genre} {n}" for genre in GENRES for n in range(PER_GENRE)],
            schema.YEAR: [1980 + n for _ in GENRES for n in range(PER_GENRE)],
            schema.GENRES: [[genre] for genre in GENRES for _ in range(PER_GENRE)],
        }
    )
    return conform(schema.MOVIES, table)


def users() -> pl.DataFrame:
    """All of them, with their ages."""
    rng = np.random.default_rng(1)
    table = pl.DataFrame(
        {
            schema.USER_ID: [f"u{week:02}-{n:02}" for week in range(WEEKS) for n in range(USERS)],
            schema.AGE: rng.integers(18, 70, WEEKS * USERS),
        }
    )
    return conform(schema.USERS, table)


def events() -> pl.DataFrame:
    """Each viewer rates twelve to twenty titles within two days of a week, mostly of one genre."""
    rng = np.random.default_rng(2)
    rows = []
    ids = movies()[schema.ITEM_ID].to_list()
    weight = 1 / np.arange(1, PER_GENRE + 1)
    for week in range(WEEKS):
        for n in range(USERS):
            taste = int(rng.integers(3))  # hardly anybody likes horror
            chance = np.concatenate([weight * (12 if genre == taste else 1) for genre in range(4)])
            chance[3 * PER_GENRE :] /= 4
            chosen = rng.choice(4 * PER_GENRE, rng.integers(12, 21), replace=False, p=chance / chance.sum())
            begin = week * 7 * DAY_US + int(rng.integers(5 * DAY_US))
            moments = np.sort(rng.integers(0, 2 * DAY_US, len(chosen)))
            rows += [
                (f"u{week:02}-{n:02}", ids[item], begin + int(at), float(star))
                for item, at, star in zip(chosen, moments, rng.integers(2, 6, len(chosen)), strict=True)
            ]  # fmt: skip
    table = pl.DataFrame(
        rows, schema=[schema.USER_ID, schema.ITEM_ID, schema.TIMESTAMP, schema.VALUE], orient="row"
    )
    return table.with_columns(
        pl.lit("rating", schema.INTERACTIONS_SCHEMA[schema.INTERACTION_TYPE]).alias(schema.INTERACTION_TYPE),
        pl.col(schema.TIMESTAMP).cast(schema.TIME_DTYPE),
        pl.col(schema.VALUE).cast(pl.Float32),
    ).select(*schema.REQUIRED_COLUMNS, schema.VALUE)


def dataset() -> Dataset:
    """All of it."""
    return Dataset("weeks", "0" * 64, Interactions.from_table(events()), users(), movies())


def replayed(out: Path, *policies: str, shocks: tuple[str, ...] = (), **training: Any) -> Replay:
    """Replay the weeks into a folder."""
    config = TrainingConfig.from_values(TRAINING | training, where="the test")
    question = Question("weeks", "weeks", policies, shocks, seed=3, training=config, replay=REPLAY)
    return replay(question, dataset(), events(), out)
