"""State as of a moment: one source and one cadence each. A TTL of zero is no limit, and says why."""

from datetime import timedelta

from entities import ENTITY_OF_KEY
from feast import FeatureView, FileSource
from fields import fields, tags
from sources import (
    MOVIE_PROFILE_STATE,
    MOVIE_PUBLICITY_STATE,
    MOVIE_STATISTICS_STATE,
    USER_ACTIVITY_STATE,
    USER_PROFILE_STATE,
)

from marquee import schema

OWNER = "recommendations"


def view(
    name: str, source: FileSource, *, online: bool, description: str, labels: dict[str, str]
) -> FeatureView:
    """A view with the fields and the limit of age that the schema gives it."""
    return FeatureView(
        name=name,
        entities=[ENTITY_OF_KEY[schema.VIEW_KEYS[name]]],
        schema=fields(name),
        source=source,
        ttl=timedelta(days=schema.VIEW_TTL_DAYS.get(name, 0)),
        online=online,
        description=description,
        owner=OWNER,
        tags=labels,
    )


USER_PROFILE = view(
    schema.USER_PROFILE_VIEW,
    USER_PROFILE_STATE,
    online=True,
    description="What a user told of themselves. No limit: it holds until it is changed.",
    labels=tags(
        domain="audience", pii="personal", cadence="static", freshness_slo_h=168, source_system="users table"
    ),
)
USER_ACTIVITY = view(
    schema.USER_ACTIVITY_VIEW,
    USER_ACTIVITY_STATE,
    online=True,
    description=(
        "What a user had chosen by their last event: counts, mean rating, the newest events. No limit: "
        "taste outlives a pause, and user_last_us says how long that was."
    ),
    labels=tags(
        domain="audience",
        pii="pseudonymous",
        cadence="event",
        freshness_slo_h=1,
        source_system="interactions",
    ),
)
MOVIE_PROFILE = view(
    schema.MOVIE_PROFILE_VIEW,
    MOVIE_PROFILE_STATE,
    online=True,
    description="What is printed about a movie. No limit: it holds until it is corrected.",
    labels=tags(
        domain="catalogue", pii="none", cadence="static", freshness_slo_h=168, source_system="movies table"
    ),
)
MOVIE_STATISTICS = view(
    schema.MOVIE_STATISTICS_VIEW,
    MOVIE_STATISTICS_STATE,
    online=True,
    description="Popularity, trend, ratings, audience as of midnight UTC. A week old, its windows are over.",
    labels=tags(
        domain="catalogue",
        pii="aggregated",
        cadence="daily",
        freshness_slo_h=26,
        source_system="interactions",
    ),
)
MOVIE_PUBLICITY = view(
    schema.MOVIE_PUBLICITY_VIEW,
    MOVIE_PUBLICITY_STATE,
    online=True,
    description=(
        "Critics, audiences, box office, awards and mentions, as last observed. No limit: a score "
        "outlives its observation by years."
    ),
    labels=tags(
        domain="publicity",
        pii="none",
        cadence="observation",
        freshness_slo_h=168,
        source_system="publicity table",
    ),
)
VIEWS = {
    each.name: each
    for each in (USER_PROFILE, USER_ACTIVITY, MOVIE_PROFILE, MOVIE_STATISTICS, MOVIE_PUBLICITY)
}
