"""What the metrics are made of: both logs and the side tables, cut to a time."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from marquee import schema


@dataclass(frozen=True, eq=False)
class Logs:
    """Tables whose rows may come in any order and more than once."""

    shown: pl.DataFrame
    """`schema.EXPOSURES_SCHEMA`."""
    requests: pl.DataFrame
    """`REQUESTS_SCHEMA` of `marquee.monitoring.request_frame`."""
    events: pl.DataFrame
    """The key and the value of `schema.INTERACTIONS_SCHEMA`."""
    users: pl.DataFrame | None = None
    """`schema.USERS_SCHEMA`, for the slice of profiles with an age limit."""
    movies: pl.DataFrame | None = None
    """`schema.MOVIES_SCHEMA`: the catalogue that coverage is a share of."""

    def between(self, since: datetime | None, until: datetime | None) -> "Logs":
        """What was shown between two moments, both included; None is no bound.

        Events stay. That exposures before are left out changes no outcome: an event belongs to the latest.
        """
        time = pl.col(schema.TIMESTAMP)
        keep = pl.lit(value=True)
        if since is not None:
            keep &= time >= pl.lit(since).cast(schema.TIME_DTYPE)
        if until is not None:
            keep &= time <= pl.lit(until).cast(schema.TIME_DTYPE)
        return Logs(self.shown.filter(keep), self.requests.filter(keep), self.events, self.users, self.movies)
