"""What each feature says, in one line with its unit."""

from typing import Final, Literal

from marquee import schema

FEATURE_NOTES: Final[dict[str, str]] = {
    # user profile
    schema.USER_AGE: "Age in years, as the user told it.",
    schema.USER_IS_MALE: "1 for a man, 0 for a woman, unknown otherwise.",
    "user_occupation": "Occupation, as the source writes it.",
    "user_location": "Place, as the source writes it; in MovieLens a postal code.",
    "user_maturity_limit": "Highest suitable age in years that this profile may see.",
    # user activity
    schema.USER_EVENTS_ALL: "Movies chosen so far, each counted once.",
    schema.USER_EVENTS_1H: "Movies chosen in the hour that ends with the last choice: this sitting.",
    schema.USER_EVENTS_1D: "Movies chosen in the day that ends with the last choice.",
    schema.USER_EVENTS_7D: "Movies chosen in the 7 days that end with the last choice.",
    schema.USER_EVENTS_30D: "Movies chosen in the 30 days that end with the last choice.",
    schema.USER_RATINGS_ALL: "Choices that carry a value, such as a rating.",
    schema.USER_RATING_MEAN: "Mean of those values, on the source's scale.",
    schema.USER_FIRST_US: "Time of the first choice, microseconds since 1970 UTC.",
    schema.USER_LAST_US: "Time of the last first-time choice, microseconds since 1970 UTC.",
    schema.USER_SEEN_US: "Time of the last choice, repeats included, microseconds since 1970 UTC.",
    schema.USER_HISTORY_ITEMS: f"The newest movies chosen, oldest first, at most {schema.HISTORY_WIDTH}.",
    schema.USER_HISTORY_TIMES: "When each of them was chosen, microseconds since 1970 UTC.",
    schema.USER_HISTORY_TYPES: "How: positions in the contract's interaction types, from 0.",
    schema.USER_HISTORY_VALUES: "With what value; NaN for an event without one.",
    # movie profile
    "movie_title": "Title as on a poster, articles in front, no year.",
    "movie_kind": "movie or series.",
    "movie_year": "Year of first release.",
    "movie_released_day": "Day of release, in days since 1970-01-01.",
    "movie_added_day": "Day on which it joined the catalogue, in days since 1970-01-01.",
    "movie_duration_minutes": "Running time in minutes.",
    "movie_min_age": "Suitable from this age in years.",
    "movie_genres": "Genres, as the source writes them.",
    "movie_directors": "Directors.",
    "movie_cast": "Actors in billing order.",
    # movie statistics
    schema.ITEM_EVENTS_ALL: "Users who chose it so far.",
    schema.ITEM_EVENTS_1D: "Choices in the day before midnight UTC.",
    schema.ITEM_EVENTS_7D: "Choices in the 7 days before midnight UTC.",
    schema.ITEM_EVENTS_30D: "Choices in the 30 days before midnight UTC.",
    schema.ITEM_EVENTS_90D: "Choices in the 90 days before midnight UTC.",
    schema.ITEM_TREND_7D: "Choices of 7 days over those expected from 30 days, both plus one; 1 is steady.",
    schema.ITEM_TREND_SLOPE_28D: "Slope of daily choices over 28 days, in choices a day, per day.",
    schema.ITEM_RATINGS_ALL: "Choices that carry a value.",
    schema.ITEM_RATING_MEAN: "Mean value, smoothed towards the mean of all, on the source's scale.",
    schema.ITEM_RATING_MEAN_90D: "Mean value of the 90 days before midnight UTC, on the source's scale.",
    schema.ITEM_AUDIENCE_AGE_MEAN: "Mean age of its audience in years, smoothed towards that of all.",
    schema.ITEM_AUDIENCE_MALE_SHARE: "Share of men in its audience, 0 to 1, smoothed towards that of all.",
    schema.ITEM_AGE_DAYS: "Days since it was first chosen.",
    schema.ITEM_IDLE_DAYS: "Days since it was last chosen.",
    # movie publicity
    f"pub_{schema.CRITIC_SCORE}": "Critics' mean score, 0 to 10.",
    f"pub_{schema.CRITIC_COUNT}": "Critics who scored it.",
    f"pub_{schema.AUDIENCE_SCORE}": "Audience's mean score, 0 to 10.",
    f"pub_{schema.AUDIENCE_COUNT}": "People of the audience who scored it.",
    f"pub_{schema.METACRITIC}": "Metacritic score, 0 to 100.",
    f"pub_{schema.BOX_OFFICE_USD}": "Box office in US dollars.",
    f"pub_{schema.AWARD_WINS}": "Awards won.",
    f"pub_{schema.AWARD_NOMINATIONS}": "Nominations for awards.",
    f"pub_{schema.MENTIONS}": "Mentions counted at the observation.",
    schema.PUB_MENTIONS_CHANGE_7D: "Mentions minus those known 7 days before.",
    schema.PUB_AUDIENCE_CHANGE_30D: "Audience scores minus those known 30 days before.",
    schema.PUB_DAYS_SINCE_RELEASE: "Days from the release to the observation.",
    # request context
    schema.CONTEXT_HOUR: "Hour of the request, 0 to 23, UTC.",
    schema.CONTEXT_WEEKDAY: "Weekday of the request, 1 Monday to 7 Sunday, UTC.",
    schema.CONTEXT_IS_WEEKEND: "1 on Saturday and Sunday, else 0.",
    schema.CONTEXT_IS_HOLIDAY: "1 on a public holiday, else 0; unknown where the calendar does not reach.",
    schema.CONTEXT_IS_FESTIVAL: "1 during a festival, else 0; unknown where the calendar does not reach.",
    schema.CONTEXT_DEVICE: "What the request came from.",
    schema.CONTEXT_LOCATION: "Where the request came from.",
}
"""One line for every feature of the store and of the request."""

MomentUnit = Literal["us", "day"]
MOMENTS: Final[dict[str, MomentUnit]] = {
    schema.USER_FIRST_US: "us",
    schema.USER_LAST_US: "us",
    schema.USER_SEEN_US: "us",
    schema.USER_HISTORY_TIMES: "us",
    "movie_released_day": "day",
    "movie_added_day": "day",
}
"""Features whose numbers count from 1970-01-01 UTC: people read them as dates."""
