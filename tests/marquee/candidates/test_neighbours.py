import numpy as np

from marquee.candidates.neighbours import Neighbours, NeighboursConfig
from tests.conformance import RouteConformance
from tests.factories import events, histories


class TestNeighbours(RouteConformance):
    def fit(self, interactions, seed):
        return Neighbours.fit(interactions, NeighboursConfig())


PLAIN = {"sharpness": 1, "popularity_damping": 0, "half_life_events": None}
# Items w, x, y, z; a chose w and x, b chose w, y and z.
ROWS = [("a", "w", 1), ("a", "x", 2), ("b", "w", 1), ("b", "y", 2), ("b", "z", 3)]


def fit(*rows, **knobs):
    return Neighbours.fit(events(*rows), NeighboursConfig(**PLAIN | knobs))


def test_score_is_the_share_of_neighbours_by_cosine():
    # The cosine with a is 1 ÷ √2, with b 1 ÷ √3; as shares of their sum.
    near, far = 1 / np.sqrt(2), 1 / np.sqrt(3)

    scores = fit(*ROWS).score(histories([(0, 1)]))

    expected = np.array([near + far, near, far, far]) / (near + far)
    np.testing.assert_allclose(scores[0], expected, rtol=1e-5)


def test_score_sharpness_raises_the_similarities():
    near, far = (1 / np.sqrt(2)) ** 4, (1 / np.sqrt(3)) ** 4

    scores = fit(*ROWS, sharpness=4).score(histories([(0, 1)]))

    np.testing.assert_allclose(scores[0, 1], near / (near + far), rtol=1e-5)


def test_score_only_the_nearest_answer():
    scores = fit(*ROWS, neighbours=1).score(histories([(0, 1)]))

    assert scores[0].tolist() == [1, 1, -np.inf, -np.inf]


def test_score_equally_near_neighbours_all_answer():
    # The storage order of users must not decide which of two equals is heard.
    scores = fit(("a", "w", 1), ("a", "x", 2), ("b", "w", 1), ("b", "y", 2), neighbours=1).score(
        histories([(0, 1)])
    )

    np.testing.assert_allclose(scores[0], [1, 0.5, 0.5], rtol=1e-6)


def test_score_latest_event_chooses_the_neighbours():
    # x is a's alone, y b's alone; y came last.
    scores = fit(*ROWS, half_life_events=1).score(histories([(1, 1), (2, 2)]))

    assert scores[0, 3] > scores[0, 1]


def test_score_popularity_damping_trusts_the_rare_item():
    rows = [*ROWS, *((f"c{number}", "w", 1) for number in range(20))]
    history = histories([(0, 1), (1, 1)])

    plain, damped = (fit(*rows, popularity_damping=power).score(history)[0] for power in (0, 1))

    assert damped[1] > plain[1]  # a shares w and the rare x


def test_fit_remembers_those_active_last_and_their_latest_events():
    rows = [*ROWS, ("c", "x", 9)]

    route = fit(*rows, max_users=2, max_events=2)

    assert len(route) == 2  # c and b
    assert route.users.toarray().tolist() == [[0, 0, 1, 1], [0, 1, 0, 0]]
    assert np.isneginf(route.score(histories([(0, 1)]))).all()  # w is forgotten


def test_arrays_hold_no_id_and_no_time():
    assert set(fit(*ROWS).arrays()) == {"indices", "indptr", "damping", "knobs"}


def test_similar_is_the_cosine_of_who_chose_the_items():
    # w by a and b, x by a: 1 ÷ √(2 · 1).
    np.testing.assert_allclose(
        fit(*ROWS).similar(0), [-np.inf, 1 / np.sqrt(2), 1 / np.sqrt(2), 1 / np.sqrt(2)], rtol=1e-6
    )


def test_score_event_of_long_ago_is_left_out():
    # Nine later events at a half-life of one: 1/512, less than what is worth its time.
    recent = [(0, moment) for moment in range(1, 10)]

    route = fit(*ROWS, half_life_events=1)

    one_more = route.score(histories([(1, 0), *recent]))
    np.testing.assert_array_equal(one_more, route.score(histories(recent)))
