"""Whom state is about. Ids are strings, as the outside writes them, for ever."""

from feast import Entity, ValueType

from marquee import schema

USER = Entity(
    name=schema.USER_ENTITY,
    join_keys=[schema.USER_ID],
    value_type=ValueType.STRING,
    description="Somebody who watches: one profile of the service.",
    owner="recommendations",
    tags={"domain": "audience", "pii": "pseudonymous"},
)
MOVIE = Entity(
    name=schema.MOVIE_ENTITY,
    join_keys=[schema.ITEM_ID],
    value_type=ValueType.STRING,
    description="A title of the catalogue: movie or series.",
    owner="recommendations",
    tags={"domain": "catalogue", "pii": "none"},
)
ENTITY_OF_KEY = {schema.USER_ID: USER, schema.ITEM_ID: MOVIE}
