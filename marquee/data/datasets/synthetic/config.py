"""What the generator makes."""

from datetime import date
from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Genre = Literal[
    "Action",
    "Adventure",
    "Animation",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Family",
    "Fantasy",
    "Horror",
    "Music",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
]
GENRES: Final[tuple[Genre, ...]] = get_args(Genre)

Share = Annotated[float, Field(ge=0, le=1)]


class Shock(BaseModel):
    """A sudden change of what is popular, from one day on: something for a drift monitor to find."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: int = Field(ge=0)
    """Days after the start."""
    genre: Genre = "Horror"
    """Whose movies jump."""
    strength: float = Field(default=2.0, ge=-5, le=5)
    """Added to the log of their popularity."""


class SyntheticConfig(BaseModel):
    """Size and character of a synthetic data set. The same config gives the same bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0)
    """Of everything random."""
    n_events: int = Field(default=100_000, ge=1, le=20_000_000)
    """Rows of the interactions table, exactly."""
    n_users: int = Field(default=2_000, ge=1, le=2_000_000)
    """Rows of the users table; the least active may have no event."""
    n_items: int = Field(default=1_000, ge=1, le=200_000)
    """Rows of the movies table; the least popular may have no event."""
    start: date = date(2025, 1, 1)
    """First day, UTC."""
    days: int = Field(default=180, ge=1, le=3_650)
    """In which sessions begin; the last ones may run a few hours past the end."""
    n_factors: int = Field(default=16, ge=2, le=256)
    """Dimensions of the latent tastes."""
    taste_strength: float = Field(default=3.0, ge=0, le=10)
    """How much taste decides what someone is shown; at 0 it is popularity alone. What someone clicks and
    finishes among that follows their taste at any strength."""
    popularity_exponent: float = Field(default=1.0, ge=0, le=3)
    """Zipf: the movie of rank r has weight r^-exponent."""
    activity_sigma: float = Field(default=1.0, ge=0, le=3)
    """Standard deviation of the log of the users' activity."""
    slate_size: int = Field(default=6, ge=1, le=50)
    """Impressions of one request."""
    mean_requests_per_session: float = Field(default=1.6, ge=1, le=20)
    """Requests follow each other within minutes."""
    new_user_share: Share = 0.3
    """Of the users, who join after the start."""
    new_item_share: Share = 0.2
    """Of the movies, which are released after the start."""
    popularity_drift: float = Field(default=0.7, ge=0, le=3)
    """Amplitude of the slow waves in the log of each movie's popularity."""
    taste_drift_degrees: float = Field(default=40.0, ge=0, le=90)
    """How far each user's taste turns towards another one from start to end."""
    shock: Shock | None = None
    """A sudden change on one day."""
