"""The people and movies that a synthetic data set is about, and what drives their events.

Latent factors as in matrix factorisation: a genre is a random direction, a movie the mean of its
genres' directions plus noise of its own, a user's taste the mean of the genres that they prefer. Age and
gender tilt the preferences, so that demographics tell something, and taste turns slowly from one direction
to another.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.data.content_ratings import MIN_AGE_BY_RATING
from marquee.data.datasets.raw import conform
from marquee.data.datasets.synthetic.config import GENRES, SyntheticConfig

Floats = NDArray[np.float32]

LOCATIONS: Final = ("US-NY", "US-CA", "US-TX", "GB-LND", "DE-BE", "FR-IDF", "IN-MH", "BR-SP")
_LOCATION_SHARE: Final = (0.2, 0.2, 0.12, 0.12, 0.1, 0.1, 0.1, 0.06)
_OCCUPATIONS: Final = ("student", "technician", "educator", "healthcare", "office", "retired", "other")
_RATINGS: Final = ("G", "PG", "PG-13", "R", "NC-17", None)
_RATING_SHARE: Final = (0.08, 0.2, 0.3, 0.3, 0.02, 0.1)
_FAMILY_RATING_SHARE: Final = (0.45, 0.45, 0.05, 0.0, 0.0, 0.05)
_FAMILY: Final = np.isin(GENRES, ("Animation", "Family"))
_OF_THE_YOUNG: Final = np.isin(GENRES, ("Animation", "Fantasy", "Sci-Fi", "Horror", "Action"))
_OF_THE_OLD: Final = np.isin(GENRES, ("Drama", "Documentary", "War", "Mystery", "Music"))
_OF_WOMEN: Final = np.isin(GENRES, ("Romance", "Drama", "Family", "Music"))
_YOUNG_BELOW, _OLD_ABOVE, _ADULT_FROM = 30, 50, 18  # years

_LAUNCH_BOOST: Final = 3.0  # a new movie starts at 1 + this times its later popularity
_LAUNCH_DAYS: Final = 21.0  # and loses the boost by a factor e in this time
_NO_LIMIT: Final = 1_000  # years; above every content rating
_UNKNOWN_AGE: Final = 999  # of an unrated movie: hidden from whoever has a limit, shown to the others


def stream(config: SyntheticConfig, *key: int) -> np.random.Generator:
    """The random stream of one purpose, independent of how much the others draw."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(config.seed, spawn_key=key)))


@dataclass(frozen=True, eq=False)
class World:
    """Users and movies with their hidden traits. Users stand in the order in which they join."""

    config: SyntheticConfig
    users: pl.DataFrame  # schema.USERS_SCHEMA
    movies: pl.DataFrame  # schema.MOVIES_SCHEMA
    joined_day: Floats  # (n_users,) days after the start
    activity: NDArray[np.float64]  # (n_users,)
    taste: Floats  # (n_users, n_factors), unit rows
    later_taste: Floats  # (n_users, n_factors), unit rows
    maturity_limit: NDArray[np.int16]  # (n_users,) years
    released_day: Floats  # (n_items,) days after the start, negative before it
    item_factors: Floats  # (n_items, n_factors), unit rows
    base_weight: NDArray[np.float64]  # (n_items,) Zipf
    wave_days: Floats  # (n_items,) period
    wave_phase: Floats  # (n_items,) radians
    quality: Floats  # (n_items,) stars above the mean
    min_age: NDArray[np.int16]  # (n_items,) years
    minutes: NDArray[np.int16]  # (n_items,)
    has_genre: NDArray[np.bool_]  # (n_items, n_genres)

    @cached_property
    def affinity_scale(self) -> np.float32:
        """What brings the affinity of a random user and movie to a standard deviation of 1."""
        rng = stream(self.config, 3)
        users = rng.integers(len(self.taste), size=10_000)
        items = rng.integers(len(self.item_factors), size=10_000)
        spread = np.einsum("nf,nf->n", self.taste[users], self.item_factors[items]).std()
        return np.float32(1.0 / max(float(spread), 1e-3))

    @cached_property
    def cumulative_activity(self) -> NDArray[np.float64]:
        """Running sum of `activity`, `(n_users,) float64`."""
        return np.cumsum(self.activity)

    @cached_property
    def home(self) -> NDArray[np.int64]:
        """Position in `LOCATIONS` of each user's home, `(n_users,) int64`."""
        homes = self.users[schema.LOCATION].cast(pl.Enum(LOCATIONS))
        return homes.to_physical().to_numpy().astype(np.int64)

    def taste_on(self, users: NDArray[np.int64], day: NDArray[np.float64]) -> Floats:
        """Taste vectors `(n, n_factors) float32` of `users` on a day each, turned by the drift."""
        angle = np.radians(self.config.taste_drift_degrees) * np.clip(day / self.config.days, 0, 1)
        stay, turn = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        turned = stay[:, None] * self.taste[users] + turn[:, None] * self.later_taste[users]
        return np.asarray(turned * self.affinity_scale, dtype=np.float32)

    def popularity_on(self, day: int) -> NDArray[np.float64]:
        """Weights `(n_items,) float64` of the movies on a day; 0 before their release."""
        age = day - self.released_day
        wave = self.config.popularity_drift * np.sin(2 * np.pi * day / self.wave_days + self.wave_phase)
        launch = 1 + _LAUNCH_BOOST * np.exp(-np.maximum(age, 0) / _LAUNCH_DAYS)
        weight = np.where(age >= 0, self.base_weight * np.exp(wave) * launch, 0.0)
        shock = self.config.shock
        if shock is not None and day >= shock.day:
            weight[self.has_genre[:, GENRES.index(shock.genre)]] *= np.exp(shock.strength)
        return weight


def make_world(config: SyntheticConfig) -> World:
    """Draw users and movies; the same config gives the same world, whatever `n_events` is."""
    directions = _unit_rows(stream(config, 0).normal(size=(len(GENRES), config.n_factors)))
    people = _draw_users(config, directions)
    return World(config=config, **people, **_draw_movies(config, directions))  # type: ignore[arg-type]


def _draw_users(config: SyntheticConfig, directions: Floats) -> dict[str, object]:
    rng, n = stream(config, 1), config.n_users
    joined_day = np.sort(np.where(rng.random(n) < config.new_user_share, rng.random(n) * config.days, 0.0))
    joined_day[0] = 0  # somebody is there from the beginning
    age = np.clip(rng.gamma(6.0, 6.2, size=n), 6, 95).astype(np.int16)
    age[0] = max(age[0], _ADULT_FROM)
    is_female = rng.random(n) < 0.5
    is_young, is_old = age < _YOUNG_BELOW, age > _OLD_ABOVE
    tilt = 1 + 2.0 * np.outer(is_young, _OF_THE_YOUNG) + 2.0 * np.outer(is_old, _OF_THE_OLD)
    tilt = tilt * (1 + 1.0 * np.outer(is_female, _OF_WOMEN))
    users = pl.DataFrame(
        {
            schema.USER_ID: _ids("u", n),
            schema.AGE: age,
            schema.GENDER: np.where(is_female, "F", "M"),
            schema.LOCATION: rng.choice(LOCATIONS, size=n, p=_LOCATION_SHARE),
            schema.OCCUPATION: rng.choice(_OCCUPATIONS, size=n),
            schema.MATURITY_LIMIT: pl.Series(age).set(pl.Series(age >= _ADULT_FROM), None),
        }
    )
    return {
        "users": conform(users, name=schema.USERS),
        "joined_day": joined_day.astype(np.float32),
        "activity": rng.lognormal(sigma=config.activity_sigma, size=n),
        "taste": _tastes(rng, tilt, directions),
        "later_taste": _tastes(rng, tilt, directions),
        "maturity_limit": np.where(age < _ADULT_FROM, age, _NO_LIMIT).astype(np.int16),
    }


def _tastes(rng: np.random.Generator, tilt: NDArray[np.float64], directions: Floats) -> Floats:
    """Unit vectors of sparse genre preferences (a Dirichlet drawn as normalised gammas) plus noise."""
    preference = rng.standard_gamma(0.15 * tilt)
    preference /= np.maximum(preference.sum(axis=1, keepdims=True), 1e-9)
    noise = 0.25 * rng.normal(size=(len(tilt), directions.shape[1])) / np.sqrt(directions.shape[1])
    return _unit_rows(preference @ directions + noise)


def _draw_movies(config: SyntheticConfig, directions: Floats) -> dict[str, object]:
    rng, n = stream(config, 2), config.n_items
    main_genre = rng.choice(len(GENRES), size=n, p=_zipf(len(GENRES), 0.5))
    has_genre = rng.random((n, len(GENRES))) < 0.06
    has_genre[np.arange(n), main_genre] = True
    noise = 0.4 * rng.normal(size=(n, config.n_factors)) / np.sqrt(config.n_factors)
    old_age = rng.exponential(2_500, size=n) + 1
    released_day = np.where(rng.random(n) < config.new_item_share, rng.random(n) * config.days, -old_age)
    released_day[0] = min(released_day[0], -1)  # something is there from the beginning
    is_family = (has_genre & _FAMILY).any(axis=1)
    family_rating = rng.choice(len(_RATINGS), n, p=_FAMILY_RATING_SHARE)
    rating = np.where(is_family, family_rating, rng.choice(len(_RATINGS), n, p=_RATING_SHARE))
    min_age = [MIN_AGE_BY_RATING.get(each, _UNKNOWN_AGE) if each else _UNKNOWN_AGE for each in _RATINGS]
    minutes = np.clip(rng.normal(105, 20, size=n), 60, 240).astype(np.int16)
    directors = main_genre * 1_000 + rng.integers(max(1, n // 100), size=n)
    return {
        "movies": _movie_table(config, released_day, has_genre, rating, minutes, directors),
        "released_day": np.ceil(released_day).astype(np.float32),
        "item_factors": _unit_rows((has_genre @ directions) / has_genre.sum(axis=1, keepdims=True) + noise),
        "base_weight": rng.permutation(_zipf(n, config.popularity_exponent)),
        "wave_days": rng.uniform(60, 240, size=n).astype(np.float32),
        "wave_phase": rng.uniform(0, 2 * np.pi, size=n).astype(np.float32),
        "quality": rng.normal(0, 0.4, size=n).astype(np.float32),
        "min_age": np.array(min_age, dtype=np.int16)[rating],
        "minutes": minutes,
        "has_genre": has_genre,
    }


def _movie_table(
    config: SyntheticConfig,
    released_day: NDArray[np.float64],
    has_genre: NDArray[np.bool_],
    rating: NDArray[np.integer],
    minutes: NDArray[np.int16],
    directors: NDArray[np.integer],
) -> pl.DataFrame:
    released_on = [config.start + timedelta(days=int(np.ceil(day))) for day in released_day]
    ratings = [_RATINGS[code] for code in rating]
    ids = _ids("m", len(minutes))
    table = pl.DataFrame(
        {
            schema.ITEM_ID: ids,
            schema.TITLE: ids.str.replace("m", "Movie "),
            schema.YEAR: [day.year for day in released_on],
            schema.RELEASED_ON: released_on,
            schema.ADDED_ON: [max(day, config.start) for day in released_on],
            schema.KIND: pl.Series(["movie"] * len(minutes), dtype=pl.String),
            schema.GENRES: [[GENRES[code] for code in np.flatnonzero(row)] for row in has_genre],
            schema.DIRECTORS: [[f"Director {code}"] for code in directors],
            schema.DURATION_MINUTES: minutes,
            schema.CONTENT_RATING: ratings,
            schema.MIN_AGE: [MIN_AGE_BY_RATING.get(each) if each else None for each in ratings],
        }
    )
    return conform(table, name=schema.MOVIES)


def _zipf(n: int, exponent: float) -> NDArray[np.float64]:
    """Weights of ranks 1 to n, summing to 1."""
    weight = np.arange(1, n + 1, dtype=np.float64) ** -exponent
    return np.asarray(weight / weight.sum())


def _unit_rows(rows: NDArray[np.floating]) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def _ids(prefix: str, n: int) -> pl.Series:
    numbers = pl.Series("number", np.arange(n), dtype=pl.Int64).cast(pl.String)
    return prefix + numbers.str.zfill(max(6, len(str(n - 1))))
