"""The vocabulary: table and column names, dtypes, allowed values.

Every other module takes the names from here, so that a column is spelt once. Ids are strings
outside (`user_id`, `item_id`) and dense int32 inside (`user_index`, `item_index`). Time is UTC in
microseconds since 1970-01-01 and its column says so (`timestamp` as polars `Datetime("us", "UTC")`
in tables, `*_us` as int64 in arrays).
"""

from collections.abc import Collection
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

# --- what was shown ---------------------------------------------------------------------------------
Surface = Literal["home", "similar", "trending", "popular"]
SURFACES: Final[tuple[Surface, ...]] = get_args(Surface)
"""The lists that can be asked for."""
SURFACE: Final = "surface"
BUNDLE_ID: Final = "bundle_id"
VARIANT: Final = "variant"
EXPERIMENT: Final = "experiment"
PROPENSITY: Final = "propensity"
SCORE: Final = "score"
ROUTE: Final = "route"

EXPOSURES_SCHEMA: Final[dict[str, pl.DataType]] = {
    REQUEST_ID: pl.String(),
    TIMESTAMP: TIME_DTYPE,  # when the response was made
    USER_ID: pl.String(),  # null for somebody unknown
    SURFACE: pl.Enum(SURFACES),
    "asked_item_id": pl.String(),  # on the surface similar
    "asked_n": pl.Int32(),
    "asked_at": TIME_DTYPE,  # the moment that the list was made for
    DEVICE: pl.String(),
    LOCATION: pl.String(),
    ITEM_ID: pl.String(),
    POSITION: pl.Int32(),  # from 1
    SCORE: pl.Float64(),
    ROUTE: pl.String(),
    PROPENSITY: pl.Float64(),  # null where the list was not explored
    BUNDLE_ID: pl.String(),
    VARIANT: pl.String(),
    "degraded": pl.List(pl.String()),  # the reasons; empty where nothing was amiss
    "features_hash": pl.String(),
    "item_matrix_version": pl.String(),
    "history_events": pl.Int32(),
    "latency_ms": pl.Float64(),
}
"""What was shown, one row an item; a response without items has no row."""

ASSIGNMENTS_SCHEMA: Final[dict[str, pl.DataType]] = {
    REQUEST_ID: pl.String(),
    TIMESTAMP: TIME_DTYPE,
    USER_ID: pl.String(),
    EXPERIMENT: pl.String(),
    VARIANT: pl.String(),
    PROPENSITY: pl.Float64(),  # the variant's share of the users
    "is_override": pl.Boolean(),
}
"""Which variants a request met, one row an experiment."""

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

# --- the feature store: state as of a moment ----------------------------------------------------------
# Named entity, fact, window. Feature views by name; a view's fields in order. A name belongs to one view
# only. Lists hold no null: NaN stands for an event without a value.
USER_ENTITY: Final = "user"
MOVIE_ENTITY: Final = "movie"
EVENT_TIMESTAMP: Final = "event_timestamp"
"""When a row of state was known."""
CREATED_TIMESTAMP: Final = "created_timestamp"
"""Breaks ties of the event timestamp; deterministic, so that two builds give the same table."""

USER_PROFILE_VIEW: Final = "user_profile"
USER_ACTIVITY_VIEW: Final = "user_activity"
MOVIE_PROFILE_VIEW: Final = "movie_profile"
MOVIE_STATISTICS_VIEW: Final = "movie_statistics"
MOVIE_PUBLICITY_VIEW: Final = "movie_publicity"
REQUEST_CONTEXT: Final = "request_context"

HISTORY_WIDTH: Final = 1000
"""A user's history holds at most this many events, the newest. It also says what a user has seen, so that
it holds all of all but a few users' (the longest of ml-100k is 737); beyond it, the oldest may come back."""

USER_AGE: Final = "user_age"
USER_IS_MALE: Final = "user_is_male"
USER_MATURITY_LIMIT: Final = "user_maturity_limit"
USER_EVENTS_ALL: Final = "user_events_all"
USER_EVENTS_1H: Final = "user_events_1h"
USER_EVENTS_1D: Final = "user_events_1d"
USER_EVENTS_7D: Final = "user_events_7d"
USER_EVENTS_30D: Final = "user_events_30d"
USER_RATINGS_ALL: Final = "user_ratings_all"
USER_RATING_MEAN: Final = "user_rating_mean"
USER_FIRST_US: Final = "user_first_us"
USER_LAST_US: Final = "user_last_us"
USER_SEEN_US: Final = "user_seen_us"
USER_HISTORY_ITEMS: Final = "user_history_items"
USER_HISTORY_TIMES: Final = "user_history_times_us"
USER_HISTORY_TYPES: Final = "user_history_types"
USER_HISTORY_VALUES: Final = "user_history_values"
USER_HISTORY: Final = (USER_HISTORY_ITEMS, USER_HISTORY_TIMES, USER_HISTORY_TYPES, USER_HISTORY_VALUES)

MOVIE_YEAR: Final = "movie_year"
MOVIE_DURATION_MINUTES: Final = "movie_duration_minutes"
MOVIE_MIN_AGE: Final = "movie_min_age"
MOVIE_GENRES: Final = "movie_genres"
MOVIE_DIRECTORS: Final = "movie_directors"
MOVIE_CAST: Final = "movie_cast"

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
ITEM_EVENTS_1D: Final = "item_events_1d"
ITEM_RATINGS_ALL: Final = "item_ratings_all"
ITEM_RATING_MEAN_90D: Final = "item_rating_mean_90d"
ITEM_TREND_SLOPE_28D: Final = "item_trend_slope_28d"

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
"""What the statistics began with; more are in the view."""

PUB_MENTIONS_CHANGE_7D: Final = "pub_mentions_change_7d"
PUB_AUDIENCE_CHANGE_30D: Final = "pub_audience_count_change_30d"
PUB_DAYS_SINCE_RELEASE: Final = "pub_days_since_release"
PUBLICITY_FACTS: Final = (
    CRITIC_SCORE,
    CRITIC_COUNT,
    AUDIENCE_SCORE,
    AUDIENCE_COUNT,
    METACRITIC,
    BOX_OFFICE_USD,
    AWARD_WINS,
    AWARD_NOMINATIONS,
    MENTIONS,
)
"""Columns of the publicity table that are carried forward; as features they are prefixed `pub_`."""

CONTEXT_HOUR: Final = "context_hour"
CONTEXT_WEEKDAY: Final = "context_weekday"
CONTEXT_IS_WEEKEND: Final = "context_is_weekend"
CONTEXT_IS_HOLIDAY: Final = "context_is_holiday"
CONTEXT_IS_FESTIVAL: Final = "context_is_festival"
CONTEXT_DEVICE: Final = "context_device"
CONTEXT_LOCATION: Final = "context_location"

FEATURE_VIEWS: Final[dict[str, dict[str, pl.DataType]]] = {
    USER_PROFILE_VIEW: {
        USER_AGE: pl.Float32(),  # years
        USER_IS_MALE: pl.Float32(),
        "user_occupation": pl.String(),
        "user_location": pl.String(),
        USER_MATURITY_LIMIT: pl.Float32(),  # years
    },
    USER_ACTIVITY_VIEW: {
        USER_EVENTS_ALL: pl.Int64(),
        USER_EVENTS_1H: pl.Int64(),  # windows end with the user's last choice, which they include
        USER_EVENTS_1D: pl.Int64(),
        USER_EVENTS_7D: pl.Int64(),
        USER_EVENTS_30D: pl.Int64(),
        USER_RATINGS_ALL: pl.Int64(),  # events with a value
        USER_RATING_MEAN: pl.Float32(),
        USER_FIRST_US: pl.Int64(),  # microseconds since 1970 UTC
        USER_LAST_US: pl.Int64(),
        USER_SEEN_US: pl.Int64(),  # as the last, repeated choices included: the row's own time
        USER_HISTORY_ITEMS: pl.List(pl.String()),  # oldest first, at most HISTORY_WIDTH
        USER_HISTORY_TIMES: pl.List(pl.Int64()),
        USER_HISTORY_TYPES: pl.List(pl.Int32()),  # positions in INTERACTION_TYPES
        USER_HISTORY_VALUES: pl.List(pl.Float32()),
    },
    MOVIE_PROFILE_VIEW: {
        "movie_title": pl.String(),
        "movie_kind": pl.String(),
        MOVIE_YEAR: pl.Float32(),
        "movie_released_day": pl.Int64(),  # days since 1970-01-01
        "movie_added_day": pl.Int64(),
        MOVIE_DURATION_MINUTES: pl.Float32(),
        MOVIE_MIN_AGE: pl.Float32(),  # years
        MOVIE_GENRES: pl.List(pl.String()),
        MOVIE_DIRECTORS: pl.List(pl.String()),
        MOVIE_CAST: pl.List(pl.String()),
    },
    MOVIE_STATISTICS_VIEW: {
        **{name: pl.Float32() for name in MOVIE_STATISTICS},
        ITEM_EVENTS_1D: pl.Float32(),
        ITEM_RATINGS_ALL: pl.Float32(),
        ITEM_RATING_MEAN_90D: pl.Float32(),
        ITEM_TREND_SLOPE_28D: pl.Float32(),  # events a day, per day
    },
    MOVIE_PUBLICITY_VIEW: {
        **{f"pub_{name}": pl.Float32() for name in PUBLICITY_FACTS},
        PUB_MENTIONS_CHANGE_7D: pl.Float32(),
        PUB_AUDIENCE_CHANGE_30D: pl.Float32(),
        PUB_DAYS_SINCE_RELEASE: pl.Float32(),
    },
}
"""What the feature store keeps; `feature_repo` declares it and `marquee.features.state` builds it."""

VIEW_KEYS: Final[dict[str, str]] = {
    USER_PROFILE_VIEW: USER_ID,
    USER_ACTIVITY_VIEW: USER_ID,
    MOVIE_PROFILE_VIEW: ITEM_ID,
    MOVIE_STATISTICS_VIEW: ITEM_ID,
    MOVIE_PUBLICITY_VIEW: ITEM_ID,
}
"""The join key of each view."""

VIEW_TTL_DAYS: Final[dict[str, int]] = {MOVIE_STATISTICS_VIEW: 7}
"""For how long a row counts after its time, the last moment included; those of other views have no limit."""

CONTEXT_FEATURES: Final[dict[str, pl.DataType]] = {
    CONTEXT_HOUR: pl.Float32(),  # 0 to 23, UTC
    CONTEXT_WEEKDAY: pl.Float32(),  # 1 Monday to 7 Sunday, UTC
    CONTEXT_IS_WEEKEND: pl.Float32(),
    CONTEXT_IS_HOLIDAY: pl.Float32(),  # null where the calendar does not reach
    CONTEXT_IS_FESTIVAL: pl.Float32(),
    CONTEXT_DEVICE: pl.String(),
    CONTEXT_LOCATION: pl.String(),
}
"""Facts of a request itself: computed where it is answered, never stored."""

FEATURE_SERVICES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "ranking_v1": {view: tuple(fields) for view, fields in FEATURE_VIEWS.items()},
    "candidates_v1": {USER_ACTIVITY_VIEW: (USER_EVENTS_ALL, USER_LAST_US, *USER_HISTORY)},
}
"""Contracts of model versions: service to view to features. A change of meaning needs a new name."""


def view_columns(view: str) -> dict[str, pl.DataType]:
    """Columns of a view's table: key, both timestamps, fields."""
    times = {EVENT_TIMESTAMP: TIME_DTYPE, CREATED_TIMESTAMP: TIME_DTYPE}
    return {VIEW_KEYS[view]: pl.String(), **times, **FEATURE_VIEWS[view]}


# --- ranking features ---------------------------------------------------------------------------------
# The order of these tuples is the order of the model's columns.
USER_STATE: Final = (
    USER_EVENTS_ALL,
    USER_EVENTS_1H,
    USER_EVENTS_1D,
    USER_EVENTS_7D,
    USER_EVENTS_30D,
    USER_RATINGS_ALL,
    USER_RATING_MEAN,
    USER_AGE,
    USER_IS_MALE,
)
"""The numbers of the user views that a query carries beside its history."""

MOVIE_STATE: Final = tuple(
    name
    for view, key in VIEW_KEYS.items()
    for name, dtype in FEATURE_VIEWS[view].items()
    if key == ITEM_ID and dtype.is_numeric()
)
"""The numbers of the movie views: the columns of the item matrix."""

MOVIE_FEATURES: Final = (
    MOVIE_DURATION_MINUTES,
    MOVIE_MIN_AGE,
    *FEATURE_VIEWS[MOVIE_STATISTICS_VIEW],
    *FEATURE_VIEWS[MOVIE_PUBLICITY_VIEW],
)
"""Those of them that the ranker reads as they are; the others go into cross features."""

USER_IDLE_SECONDS: Final = "user_idle_seconds"
USER_FEATURES: Final = (
    *USER_STATE,
    USER_IDLE_SECONDS,  # from the user's last event to the request
)
CONTEXT_NUMBERS: Final = tuple(name for name, dtype in CONTEXT_FEATURES.items() if dtype.is_numeric())
QUERY_FEATURES: Final = (*USER_FEATURES, *CONTEXT_NUMBERS)
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


PREDICTED_RATING: Final = "predicted_rating"
"""Stars that the user would give the movie, of `marquee.ranking.ratings`; NaN where nobody gave any."""


def route_features(routes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the features that a first-stage route contributes: its score, share of best, rank."""
    return tuple(f"{route}_{fact}" for route in routes for fact in ("score", "score_share", "rank"))


def ranking_features(routes: tuple[str, ...]) -> tuple[str, ...]:
    """All of the ranker's features in the order of its columns."""
    return (*route_features(routes), *MOVIE_FEATURES, *QUERY_FEATURES, *CROSS_FEATURES, PREDICTED_RATING)


FEATURE_SOURCES: Final[dict[str, tuple[str, ...]]] = {
    **{name: (view,) for view, fields in FEATURE_VIEWS.items() for name in fields},
    **dict.fromkeys(CONTEXT_FEATURES, (REQUEST_CONTEXT,)),
    USER_IDLE_SECONDS: (USER_ACTIVITY_VIEW,),
    ITEM_YEARS_SINCE_RELEASE: (MOVIE_PROFILE_VIEW,),
    CROSS_AUDIENCE_AGE_GAP: (USER_PROFILE_VIEW, MOVIE_STATISTICS_VIEW),
    CROSS_AUDIENCE_GENDER_GAP: (USER_PROFILE_VIEW, MOVIE_STATISTICS_VIEW),
    CROSS_GENRE_AFFINITY: (USER_ACTIVITY_VIEW, MOVIE_PROFILE_VIEW),
    CROSS_GENRE_AFFINITY_RECENT: (USER_ACTIVITY_VIEW, MOVIE_PROFILE_VIEW),
    CROSS_PEOPLE_AFFINITY: (USER_ACTIVITY_VIEW, MOVIE_PROFILE_VIEW),
    CROSS_YEAR_GAP: (USER_ACTIVITY_VIEW, MOVIE_PROFILE_VIEW),
    CROSS_YEAR_GAP_RECENT: (USER_ACTIVITY_VIEW, MOVIE_PROFILE_VIEW),
    CROSS_POPULARITY_GAP: (USER_ACTIVITY_VIEW, MOVIE_STATISTICS_VIEW),
    CROSS_POPULARITY_GAP_RECENT: (USER_ACTIVITY_VIEW, MOVIE_STATISTICS_VIEW),
}
"""The views that a feature reads; those of routes and of the predicted rating read
none, they come from models that ask the history."""


def ranking_features_without(routes: tuple[str, ...], views: Collection[str]) -> tuple[str, ...]:
    """`ranking_features` but those that read one of `views`."""
    return tuple(
        name for name in ranking_features(routes) if not set(FEATURE_SOURCES.get(name, ())) & set(views)
    )
