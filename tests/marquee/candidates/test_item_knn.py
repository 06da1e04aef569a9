import numpy as np

from marquee.candidates import nearest
from marquee.candidates.item_knn import ItemKnn, ItemKnnConfig
from tests.conformance import RouteConformance
from tests.factories import events


class TestItemKnn(RouteConformance):
    def fit(self, interactions, seed):
        return ItemKnn.fit(interactions, ItemKnnConfig())


ROWS = [("a", "x", 1), ("a", "y", 2), ("b", "x", 1), ("b", "y", 2), ("b", "z", 3), ("c", "z", 1)]


def fit(*rows, **knobs):
    return ItemKnn.fit(events(*rows), ItemKnnConfig(**{"user_damping": 0, "shrinkage": 0} | knobs))


def test_fit_undamped_is_the_cosine_of_who_chose_the_items():
    # x by a, b; y by a, b; z by b, c: x·y = 2 ÷ √(2·2), x·z = y·z = 1 ÷ √(2·2).
    expected = [[0, 1, 0.5], [1, 0, 0.5], [0.5, 0.5, 0]]

    np.testing.assert_allclose(fit(*ROWS).items.matrix.toarray(), expected, rtol=1e-6)


def test_fit_user_damping_counts_a_long_list_less():
    # Lists of 2, 3 and 1: a counts 1/2, b 1/3, c 1. m(x) = 1/2 + 1/3, m(z) = 1/3 + 1.
    likeness = fit(*ROWS, user_damping=1).items.matrix.toarray()

    np.testing.assert_allclose(likeness[0, 1], (1 / 2 + 1 / 3) / (1 / 2 + 1 / 3), rtol=1e-6)
    np.testing.assert_allclose(likeness[0, 2], (1 / 3) / np.sqrt((1 / 2 + 1 / 3) * (1 / 3 + 1)), rtol=1e-6)


def test_fit_shrinkage_joins_the_denominator():
    likeness = fit(*ROWS, shrinkage=2).items.matrix.toarray()

    np.testing.assert_allclose(likeness[0, 1:], [2 / (2 + 2), 1 / (2 + 2)], rtol=1e-6)


def test_fit_max_user_events_learns_from_the_latest():
    # Of b only y, z remain: x and z were chosen together by b alone.
    assert fit(*ROWS, max_user_events=2).items.matrix.toarray()[0, 2] == 0


def test_fit_in_blocks_is_as_in_one(monkeypatch):
    whole = fit(*ROWS).items.matrix.toarray()
    monkeypatch.setattr(nearest, "BLOCK_CELLS", 3)  # one item a block

    np.testing.assert_array_equal(fit(*ROWS).items.matrix.toarray(), whole)


def test_fit_no_event_knows_nothing():
    board = events(("a", "x", 1))
    route = ItemKnn.fit(board.take(np.zeros(1, bool)), ItemKnnConfig())

    assert np.isneginf(route.similar(0)).all()
