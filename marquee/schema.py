"""The vocabulary: table and column names, dtypes, allowed values.

Every other module takes the names from here, so that a column is spelt once. Ids are strings
outside (`user_id`, `item_id`) and dense int32 inside (`user_index`, `item_index`). Time is UTC in
microseconds since 1970-01-01 and its column says so (`timestamp` as polars `Datetime("us", "UTC")`
in tables, `*_us` as int64 in arrays).
"""

from typing import Final, Literal, get_args

import polars as pl

# --- tables -----------------------------------------------------------------------------------
INTERACTIONS: Final = "interactions"
USERS: Final = "users"
MOVIES: Final = "movies"
PUBLICITY: Final = "publicity"
CALENDAR: Final = "calendar"

# --- columns of the contract -------------------------------------------------------------------
USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
INTERACTION_TYPE: Final = "interaction_type"
TIMESTAMP: Final = "timestamp"
VALUE: Final = "value"
SESSION_ID: Final = "session_id"
DEVICE: Final = "device"
LOCATION: Final = "location"
REQUEST_ID: Final = "request_id"
POSITION: Final = "position"

InteractionType = Literal["impression", "click", "view", "like", "share", "rating", "watchlist"]
INTERACTION_TYPES: Final[tuple[InteractionType, ...]] = get_args(InteractionType)
"""Allowed interaction types; the position in this tuple is the `type_code` inside."""

TIME_DTYPE: Final = pl.Datetime("us", "UTC")

INTERACTIONS_SCHEMA: Final[dict[str, pl.DataType]] = {
    USER_ID: pl.String(),
    ITEM_ID: pl.String(),
    INTERACTION_TYPE: pl.Enum(INTERACTION_TYPES),
    TIMESTAMP: TIME_DTYPE,
    VALUE: pl.Float32(),
    SESSION_ID: pl.String(),
    DEVICE: pl.String(),
    LOCATION: pl.String(),
    REQUEST_ID: pl.String(),
    POSITION: pl.Int32(),
}
"""The interactions table; the first four columns are required, the others may be null."""
REQUIRED_COLUMNS: Final = (USER_ID, ITEM_ID, INTERACTION_TYPE, TIMESTAMP)
EVENT_KEY: Final = (USER_ID, ITEM_ID, INTERACTION_TYPE, TIMESTAMP)
"""What makes two rows the same event."""

# --- users ----------------------------------------------------------------------------------------
AGE: Final = "age"
GENDER: Final = "gender"
OCCUPATION: Final = "occupation"
MATURITY_LIMIT: Final = "maturity_limit"

USERS_SCHEMA: Final[dict[str, pl.DataType]] = {
    USER_ID: pl.String(),
    AGE: pl.Int16(),  # years
    GENDER: pl.String(),  # as the source writes it; null where unknown
    LOCATION: pl.String(),
    OCCUPATION: pl.String(),
    MATURITY_LIMIT: pl.Int16(),  # the highest suitable age in years that the profile may see
}

# --- movies ---------------------------------------------------------------------------------------
TITLE: Final = "title"
YEAR: Final = "year"
RELEASED_ON: Final = "released_on"
ADDED_ON: Final = "added_on"
KIND: Final = "kind"
GENRES: Final = "genres"
DIRECTORS: Final = "directors"
CAST: Final = "cast"
COUNTRIES: Final = "countries"
DURATION_MINUTES: Final = "duration_minutes"
SEASONS: Final = "seasons"
CONTENT_RATING: Final = "content_rating"
MIN_AGE: Final = "min_age"
DESCRIPTION: Final = "description"
SERVICE: Final = "service"
IMDB_ID: Final = "imdb_id"

MOVIES_SCHEMA: Final[dict[str, pl.DataType]] = {
    ITEM_ID: pl.String(),
    TITLE: pl.String(),  # as printed on a poster: articles in front, no year
    YEAR: pl.Int16(),  # of first release
    RELEASED_ON: pl.Date(),
    ADDED_ON: pl.Date(),  # to the service's catalogue
    KIND: pl.Enum(("movie", "series")),
    GENRES: pl.List(pl.String()),
    DIRECTORS: pl.List(pl.String()),
    CAST: pl.List(pl.String()),  # billing order
    COUNTRIES: pl.List(pl.String()),
    DURATION_MINUTES: pl.Int16(),
    SEASONS: pl.Int16(),
    CONTENT_RATING: pl.String(),  # as the source writes it, trimmed: "PG-13", "TV-MA", "18+"
    MIN_AGE: pl.Int16(),  # suitable from this age in years; null where unrated or unknown
    DESCRIPTION: pl.String(),
    SERVICE: pl.String(),
    IMDB_ID: pl.String(),
}

# --- publicity --------------------------------------------------------------------------------------
OBSERVED_AT: Final = "observed_at"
SOURCE: Final = "source"
CRITIC_SCORE: Final = "critic_score"
CRITIC_COUNT: Final = "critic_count"
AUDIENCE_SCORE: Final = "audience_score"
AUDIENCE_COUNT: Final = "audience_count"
METACRITIC: Final = "metacritic"
BOX_OFFICE_USD: Final = "box_office_usd"
AWARD_WINS: Final = "award_wins"
AWARD_NOMINATIONS: Final = "award_nominations"
MENTIONS: Final = "mentions"

PUBLICITY_SCHEMA: Final[dict[str, pl.DataType]] = {
    ITEM_ID: pl.String(),
    OBSERVED_AT: TIME_DTYPE,  # when we could have known it
    SOURCE: pl.String(),
    CRITIC_SCORE: pl.Float32(),  # 0–10
    CRITIC_COUNT: pl.Int32(),
    AUDIENCE_SCORE: pl.Float32(),  # 0–10
    AUDIENCE_COUNT: pl.Int32(),
    METACRITIC: pl.Float32(),  # 0–100
    BOX_OFFICE_USD: pl.Float64(),
    AWARD_WINS: pl.Int32(),
    AWARD_NOMINATIONS: pl.Int32(),
    MENTIONS: pl.Int32(),
}

# --- calendar ---------------------------------------------------------------------------------------
DAY: Final = "day"
CALENDAR_SCHEMA: Final[dict[str, pl.DataType]] = {
    DAY: pl.Date(),
    "holiday": pl.String(),
    "festival": pl.String(),
}

TABLE_SCHEMAS: Final[dict[str, dict[str, pl.DataType]]] = {
    INTERACTIONS: INTERACTIONS_SCHEMA,
    USERS: USERS_SCHEMA,
    MOVIES: MOVIES_SCHEMA,
    PUBLICITY: PUBLICITY_SCHEMA,
    CALENDAR: CALENDAR_SCHEMA,
}

# --- ranking features ---------------------------------------------------------------------------------
# Named entity, fact, window. The order of these tuples is the order of the model's columns.
ITEM_EVENTS_ALL: Final = "item_events_all"
ITEM_EVENTS_7D: Final = "item_events_7d"
ITEM_EVENTS_30D: Final = "item_events_30d"
ITEM_EVENTS_90D: Final = "item_events_90d"
ITEM_TREND_7D: Final = "item_trend_7d"
ITEM_RATING_MEAN: Final = "item_rating_mean"
ITEM_AUDIENCE_AGE_MEAN: Final = "item_audience_age_mean"
ITEM_AUDIENCE_MALE_SHARE: Final = "item_audience_male_share"
ITEM_AGE_DAYS: Final = "item_age_days"
ITEM_IDLE_DAYS: Final = "item_idle_days"

MOVIE_STATISTICS: Final = (
    ITEM_EVENTS_ALL,
    ITEM_EVENTS_7D,
    ITEM_EVENTS_30D,
    ITEM_EVENTS_90D,
    ITEM_TREND_7D,  # events of 7 days over those expected from 30 days, both plus one
    ITEM_RATING_MEAN,
    ITEM_AUDIENCE_AGE_MEAN,  # years
    ITEM_AUDIENCE_MALE_SHARE,
    ITEM_AGE_DAYS,  # since the first event
    ITEM_IDLE_DAYS,  # since the last event
)
"""State of a movie as of a moment."""

USER_EVENTS_ALL: Final = "user_events_all"
USER_EVENTS_1H: Final = "user_events_1h"
USER_RATING_MEAN: Final = "user_rating_mean"
USER_IDLE_SECONDS: Final = "user_idle_seconds"
USER_AGE: Final = "user_age"
USER_IS_MALE: Final = "user_is_male"
CONTEXT_HOUR: Final = "context_hour"
CONTEXT_WEEKDAY: Final = "context_weekday"

QUERY_FEATURES: Final = (
    USER_EVENTS_ALL,
    USER_EVENTS_1H,  # in the hour up to the user's last event: the length of this sitting
    USER_RATING_MEAN,
    USER_IDLE_SECONDS,  # from the user's last event to the request
    USER_AGE,  # years
    USER_IS_MALE,
    CONTEXT_HOUR,  # 0 to 23, UTC
    CONTEXT_WEEKDAY,  # 1 Monday to 7 Sunday, UTC
)
"""One value for all candidates of a request."""

ITEM_YEARS_SINCE_RELEASE: Final = "item_years_since_release"
CROSS_AUDIENCE_AGE_GAP: Final = "cross_audience_age_gap"
CROSS_AUDIENCE_GENDER_GAP: Final = "cross_audience_gender_gap"
CROSS_GENRE_AFFINITY: Final = "cross_genre_affinity"
CROSS_GENRE_AFFINITY_RECENT: Final = "cross_genre_affinity_recent"
CROSS_PEOPLE_AFFINITY: Final = "cross_people_affinity"
CROSS_YEAR_GAP: Final = "cross_year_gap"
CROSS_YEAR_GAP_RECENT: Final = "cross_year_gap_recent"
CROSS_POPULARITY_GAP: Final = "cross_popularity_gap"
CROSS_POPULARITY_GAP_RECENT: Final = "cross_popularity_gap_recent"

CROSS_FEATURES: Final = (
    ITEM_YEARS_SINCE_RELEASE,
    CROSS_AUDIENCE_AGE_GAP,  # years between the user and the movie's mean viewer
    CROSS_AUDIENCE_GENDER_GAP,
    CROSS_GENRE_AFFINITY,  # cosine-like, history's mean genre vector with the movie's
    CROSS_GENRE_AFFINITY_RECENT,
    CROSS_PEOPLE_AFFINITY,
    CROSS_YEAR_GAP,  # years: movie minus history's mean
    CROSS_YEAR_GAP_RECENT,
    CROSS_POPULARITY_GAP,  # log events: movie minus history's mean
    CROSS_POPULARITY_GAP_RECENT,
)
"""User × movie, computed in the process that asks."""


def route_features(routes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the features that a first-stage route contributes: its score, share of best, rank."""
    return tuple(f"{route}_{fact}" for route in routes for fact in ("score", "score_share", "rank"))


def ranking_features(routes: tuple[str, ...]) -> tuple[str, ...]:
    """All of the ranker's features in the order of its columns."""
    return (*route_features(routes), *MOVIE_STATISTICS, *QUERY_FEATURES, *CROSS_FEATURES)
