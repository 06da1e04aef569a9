"""The features of 300 candidates of a request: the user's row read, made a query, and assembled."""

from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from marquee import schema
from marquee.adapters.feast import FeatureDoor
from marquee.adapters.feast.reader import FeastReader
from marquee.data.interactions import Vocabulary
from marquee.features.assemble import assemble
from marquee.features.calendar import calendar_around
from marquee.features.context import Calendar
from marquee.features.cross import Catalogue
from marquee.features.item_matrix.matrix import microseconds
from marquee.features.movie_states import MovieStates
from marquee.features.profiles import MovieProfiles
from marquee.features.user_rows import query_of

CANDIDATES: Final = 300
ROUTES: Final = 4


class Assembly:
    """What a server holds, and one request's work on it."""

    def __init__(self, door: FeatureDoor, item_ids: pl.Series, *, service: str, now: datetime) -> None:
        self.door, self.service, self.now = door, service, now
        self.items = Vocabulary.of(item_ids)
        state, now_us = FeastReader(door), microseconds(now)
        self.catalogue = Catalogue(
            movies=MovieProfiles.read(state, self.items, time_us=now_us),
            states=MovieStates.read(state, self.items, np.array([now_us], np.int64)),
            calendar=Calendar.of(calendar_around(now_us, now_us, country="US")),
        )
        rng = np.random.default_rng(0)
        n = min(CANDIDATES, len(self.items))
        self.candidates = np.sort(rng.choice(len(self.items), n, replace=False)).astype(np.int32)
        width = len(schema.route_features(tuple(str(route) for route in range(ROUTES))))
        self.route_values = rng.random((n, width), np.float32)

    def features_of(self, values: dict[str, Any]) -> None:
        """From a row's values to the ranker's input."""
        query = query_of(values, time_us=microseconds(self.now), items=self.items)
        assemble(
            query,
            row=np.zeros(len(self.candidates), np.int64),
            item_index=self.candidates,
            route_values=self.route_values,
            predicted_rating=np.full(len(self.candidates), 3.5, np.float32),
            catalogue=self.catalogue,
        )

    def answer(self, user: str) -> None:
        """A whole request but for the models: row, query, features."""
        self.features_of(self.door.get_user_row(self.service, user, now=self.now).values)
