"""Where state lies: one folder a view, below the state that `marquee features build` makes.

Paths are relative to `state_root` of the profile; `marquee features apply` writes them out in full.
"""

from feast import Field, FileSource, RequestSource
from fields import FEAST_TYPES

from marquee import schema


def state_source(view: str, description: str) -> FileSource:
    """The Parquet files of one view."""
    return FileSource(
        name=f"{view}_state",
        path=view,
        timestamp_field=schema.EVENT_TIMESTAMP,
        created_timestamp_column=schema.CREATED_TIMESTAMP,
        description=description,
        owner="recommendations",
        tags={"built_by": "marquee.features.state"},
    )


USER_PROFILE_STATE = state_source(schema.USER_PROFILE_VIEW, "The users table, known since always.")
USER_ACTIVITY_STATE = state_source(
    schema.USER_ACTIVITY_VIEW, "A row for each moment at which a user chose something."
)
MOVIE_PROFILE_STATE = state_source(schema.MOVIE_PROFILE_VIEW, "The movies table, known since always.")
MOVIE_STATISTICS_STATE = state_source(
    schema.MOVIE_STATISTICS_VIEW, "A row per movie and midnight UTC, of events before it."
)
MOVIE_PUBLICITY_STATE = state_source(
    schema.MOVIE_PUBLICITY_VIEW, "A row for each moment at which publicity was observed."
)
REQUEST_CONTEXT = RequestSource(
    name=schema.REQUEST_CONTEXT,
    schema=[
        Field(name=name, dtype=FEAST_TYPES[str(dtype)]) for name, dtype in schema.CONTEXT_FEATURES.items()
    ],
    description="Moment and place of a request: computed by marquee.features.context, never stored.",
    owner="recommendations",
    tags={"computed_by": "marquee.features.context"},
)
