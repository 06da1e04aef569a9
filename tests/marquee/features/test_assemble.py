from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from marquee import schema
from marquee.features.assemble import FeaturesConfig, assemble
from marquee.features.cross import cross_features
from marquee.features.movie_states import MovieStates
from marquee.features.request import query_features
from tests.factories import DAY_S, SECOND_US, first_stage, queries, taste_groups


def test_assemble_puts_each_part_where_the_schema_names_it():
    known = first_stage(taste_groups()).catalogue
    older = np.where(np.isnan(known.states.matrix), 1, known.states.matrix / 2)
    moments_us = np.array([0, 20 * DAY_S * SECOND_US], np.int64)
    catalogue = replace(known, states=MovieStates(moments_us, np.concatenate([older, known.states.matrix])))
    asked = queries([(0, 5), (4, 9)], [], users=[3, -1])
    asked.time_us[1] = 20 * DAY_S * SECOND_US  # the first one is of the tenth day
    row, item = np.array([0, 1, 1]), np.array([7, 8, 9], np.int32)
    route_values = np.arange(9, dtype=np.float32).reshape(3, 3)

    stars = np.array([1.5, np.nan, 4.5], np.float32)
    begin = catalogue.states.begin_of(asked.time_us)

    features = assemble(
        asked,
        row=row,
        item_index=item,
        route_values=route_values,
        predicted_rating=stars,
        catalogue=catalogue,
    )

    names = schema.ranking_features(("ease",))
    assert features.shape == (3, len(names))
    assert features.dtype == np.float32
    parts = {
        schema.route_features(("ease",)): route_values,
        schema.MOVIE_FEATURES: np.stack(
            [
                [catalogue.states.column(name)[moment, at] for name in schema.MOVIE_FEATURES]
                for moment, at in ((0, 7), (1, 8), (1, 9))
            ]
        ),
        schema.QUERY_FEATURES: query_features(asked, catalogue.calendar)[row],
        schema.CROSS_FEATURES: cross_features(asked, row, item, begin, catalogue),
        (schema.PREDICTED_RATING,): stars[:, np.newaxis],
    }
    for wanted, values in parts.items():
        np.testing.assert_array_equal(features[:, [names.index(name) for name in wanted]], values)


def test_features_config_view_that_is_none_is_refused_by_name():
    with pytest.raises(ValidationError, match="'publicity' is none of user_profile"):
        FeaturesConfig(views_off=("publicity",))

    assert FeaturesConfig(views_off=(schema.REQUEST_CONTEXT,)).views_off == ("request_context",)
