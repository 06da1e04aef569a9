"""A world of viewers like those of MovieLens, in which every shock has a switch."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from marquee import schema
from marquee.evaluation.ranking_metrics import ndcg
from marquee.evaluation.relevance import judge
from marquee.monitoring.window import NDCG, Window, window_of
from tests.factories import labelled, queries

N_ITEMS = 300
KINDS = schema.INTERACTIONS_SCHEMA[schema.INTERACTION_TYPE]
GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance", "Western")
OCCUPATIONS = ("artist", "doctor", "engineer", "student")


@dataclass(frozen=True)
class Shock:
    """What is unlike the past; nothing by default."""

    surge: str = ""
    """A genre that takes `surge_share` of everybody's events."""
    surge_share: float = 0.3
    newcomers: float = 0.0
    """Share of the users that have few events."""
    scale: float = 1.0
    """Of every rating."""
    thumbs: bool = False
    """Ratings become 1 and 5."""
    broken: bool = False
    """The lists have nothing to do with the users."""
    title_share: float = 0.0
    """Of the users who choose one unknown title."""
    age_default: bool = False
    """Every age becomes -1."""


def catalogue() -> pl.DataFrame:
    """The movies, the same in every world."""
    rng = np.random.default_rng(99)
    return pl.DataFrame(
        {
            schema.ITEM_ID: [f"m{item:03}" for item in range(N_ITEMS)],
            schema.YEAR: rng.integers(1950, 2000, N_ITEMS),
            schema.GENRES: [[GENRES[item % len(GENRES)]] for item in range(N_ITEMS)],
        }
    )


def lived(n_users: int, *, seed: int, shock: Shock = Shock()) -> Window:
    """The window of so many users, none of whom any other seed has."""
    events, users, shown, quality = tables(n_users, seed=seed, shock=shock)
    return window_of(f"seed {seed}", events, users=users, movies=catalogue(), shown=shown, quality=quality)


def tables(
    n_users: int, *, seed: int, shock: Shock = Shock()
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Events, users, lists of a model of tastes, and its NDCG@10 on the second half of each history."""
    rng = np.random.default_rng(seed)
    genre = np.arange(N_ITEMS) % len(GENRES)
    popularity = 1 / (1 + np.arange(N_ITEMS)) ** 0.6
    taste = rng.dirichlet(np.full(len(GENRES), 0.5), n_users)
    weight = popularity * (0.05 + taste[:, genre])
    if shock.surge:
        inside = genre == GENRES.index(shock.surge)
        share = weight[:, inside].sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
        odds = shock.surge_share / (1 - shock.surge_share) * (1 - share) / share
        weight[:, inside] *= 1 + odds
    order = np.argsort(-(np.log(weight) + rng.gumbel(size=weight.shape)), axis=1)
    lengths = np.clip(rng.lognormal(3.5, 0.7, n_users), 8, 150).astype(int)
    few = rng.random(n_users) < shock.newcomers
    lengths[few] = rng.integers(5, 9, few.sum())
    ids = np.array([f"s{seed}u{user:04}" for user in range(n_users)])
    names = np.array([f"m{item:03}" for item in range(N_ITEMS)])
    chosen = [order[user, : lengths[user]] for user in range(n_users)]
    user = np.repeat(np.arange(n_users), lengths)
    item = np.concatenate(chosen)
    mean = rng.normal(3.6, 0.4, n_users)
    rating = np.clip(np.round(mean[user] + rng.normal(0, 1, len(user))), 1, 5)
    rating = np.where(rating >= 4, 5.0, 1.0) if shock.thumbs else rating * shock.scale
    item_ids = names[item]
    if shock.title_share:
        fans = np.flatnonzero(rng.random(n_users) < shock.title_share)
        user = np.concatenate([user, fans])
        item_ids = np.concatenate([item_ids, np.full(len(fans), "m299")])
        rating = np.concatenate([rating, np.full(len(fans), 4.0)])
    events = pl.DataFrame(
        {
            schema.USER_ID: ids[user],
            schema.ITEM_ID: item_ids,
            schema.INTERACTION_TYPE: pl.Series(["rating"] * len(user), dtype=KINDS),
            schema.TIMESTAMP: pl.Series(rng.integers(0, 10**12, len(user))).cast(schema.TIME_DTYPE),
            schema.VALUE: pl.Series(rating, dtype=pl.Float32),
        }
    )  # fmt: skip
    ages = np.clip(rng.normal(34, 12, n_users), 8, 80).astype(np.int16)
    users = pl.DataFrame(
        {
            schema.USER_ID: ids,
            schema.AGE: np.full(n_users, -1, np.int16) if shock.age_default else ages,
            schema.GENDER: rng.choice(["F", "M"], n_users, p=[0.3, 0.7]),
            schema.OCCUPATION: rng.choice(OCCUPATIONS, n_users, p=[0.1, 0.2, 0.3, 0.4]),
        }
    )
    shown, quality = _lists(ids, chosen, genre, popularity, broken=shock.broken, rng=rng)
    return events, users, shown, quality


def _lists(
    ids: np.ndarray,
    chosen: list[np.ndarray],
    genre: np.ndarray,
    popularity: np.ndarray,
    *,
    broken: bool,
    rng: np.random.Generator,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The ten best of popularity times the genre's share in the first half of the history."""
    halves = [(items[: len(items) // 2], items[len(items) // 2 :]) for items in chosen]
    lists = np.full((len(ids), 10), -1, np.int32)
    score = np.zeros((len(ids), 10))
    for row, (history, _) in enumerate(halves):
        known = np.bincount(genre[history], minlength=len(GENRES)) / len(history)
        values = popularity * (0.05 + known[genre])
        values[history] = -1
        lists[row] = np.argsort(-values)[:10]
        score[row] = values[lists[row]]
    if broken:
        lists = np.argsort(rng.random((len(ids), N_ITEMS)), axis=1)[:, :10].astype(np.int32)
    asked = labelled(queries(*[()] * len(ids)), *[target.tolist() for _, target in halves])
    values = ndcg(judge(lists, asked.targets), 10)
    shown = pl.DataFrame(
        {
            schema.USER_ID: np.repeat(ids, 10),
            schema.POSITION: np.tile(np.arange(1, 11), len(ids)),
            schema.SCORE: score.ravel(),
            schema.ROUTE: np.where(score.ravel() > 0.05, "ease", "popular"),
        }
    )
    return shown, pl.DataFrame({schema.USER_ID: ids, NDCG: values})
