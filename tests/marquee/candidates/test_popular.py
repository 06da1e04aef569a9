from marquee.candidates.popular import Popular
from tests.conformance import RouteConformance
from tests.factories import events, histories


class TestPopular(RouteConformance):
    personal = False

    def fit(self, interactions, seed):
        return Popular.fit(interactions)


def test_score_is_the_number_of_users_for_everybody():
    board = events(("a", "x", 1), ("b", "x", 2), ("b", "y", 3), items=["z"])

    scores = Popular.fit(board).score(histories((), [(0, 1)]))

    assert scores.tolist() == [[2, 1, 0], [2, 1, 0]]
