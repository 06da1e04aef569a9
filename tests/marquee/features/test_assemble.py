import numpy as np

from marquee import schema
from marquee.features.assemble import assemble
from marquee.features.cross import cross_features
from marquee.features.request import query_features
from tests.factories import first_stage, queries, taste_groups


def test_assemble_puts_each_part_where_the_schema_names_it():
    catalogue = first_stage(taste_groups()).catalogue
    asked = queries([(0, 5), (4, 9)], [], users=[3, -1])
    row, item = np.array([0, 1, 1]), np.array([7, 8, 9], np.int32)
    route_values = np.arange(9, dtype=np.float32).reshape(3, 3)

    features = assemble(asked, row=row, item_index=item, route_values=route_values, catalogue=catalogue)

    names = schema.ranking_features(("ease",))
    assert features.shape == (3, len(names))
    assert features.dtype == np.float32
    parts = {
        schema.route_features(("ease",)): route_values,
        schema.MOVIE_STATISTICS: catalogue.statistics.matrix[item],
        schema.QUERY_FEATURES: query_features(asked, catalogue.users)[row],
        schema.CROSS_FEATURES: cross_features(asked, row, item, catalogue),
    }
    for wanted, values in parts.items():
        np.testing.assert_array_equal(features[:, [names.index(name) for name in wanted]], values)
