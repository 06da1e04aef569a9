import numpy as np
import polars as pl
import pytest

from marquee import schema
from marquee.candidates.content import Content, ContentConfig
from marquee.candidates.movie_facts import MovieFacts
from tests.conformance import NEVER_SEEN, SIZE, SPARE, RouteConformance
from tests.factories import events, histories


def movies(**columns):
    known = {
        "genres": (schema.MOVIE_GENRES, pl.List(pl.String)),
        "directors": (schema.MOVIE_DIRECTORS, pl.List(pl.String)),
        "reviews": ("pub_critic_count", pl.Float32),
    }
    return MovieFacts.of(
        pl.DataFrame(
            {known[name][0]: pl.Series(values, dtype=known[name][1]) for name, values in columns.items()}
        )
    )


class TestContent(RouteConformance):
    def fit(self, interactions, seed):
        # The taste is the colour; of the spare items nothing is known.
        n_items = len(interactions.items)
        n_known = min(SIZE, n_items)
        genres = [["even", "odd"][item % 2 : item % 2 + 1] for item in range(n_known)] + [[]] * (
            n_items - n_known
        )
        return Content.fit(interactions, movies(genres=genres), ContentConfig())

    def test_score_empty_history_is_silent_or_the_same_for_all(self, route):
        # Not silent: what is expected to be popular, for the same reasons for everybody.
        scores = route.score(histories((), ()))

        np.testing.assert_array_equal(scores[0], scores[1])
        assert (scores[0, :SIZE] > 0).all()
        assert np.isneginf(scores[0, SIZE:]).all()
        assert scores.shape == (2, SIZE + SPARE)

    def test_score_one_click_prefers_its_taste(self, route):
        # Likeness decides between equally popular movies: all of the board are.
        scores = route.score(histories([(3, 0)]))[0]

        assert scores[[1, 5, 7]].min() > scores[[0, 2, 4, 6]].max()

    def test_similar_to_item_without_facts_is_unknown(self, route):
        assert np.isneginf(route.similar(NEVER_SEEN)).all()


BOARD = events(("a", "x", 1), ("b", "x", 2), ("a", "y", 3), items=["z"])


def fit(facts, interactions=BOARD, **knobs):
    config = ContentConfig(
        **{"min_items": 1, "prior": 0, "value_weight": 0, "half_life_events": None} | knobs
    )
    return Content.fit(interactions, facts, config)


def test_score_is_the_cosine_with_the_mean_of_the_history():
    # x has a term of its own and one that it shares with z; y shares nothing.
    route = fit(movies(genres=[["Drama", "War"], ["Comedy"], ["War"]]))
    drama, war = 1 + np.log(4 / 2), 1 + np.log(4 / 3)

    scores = route.score(histories([(0, 1)]))[0]

    np.testing.assert_allclose(scores, [1, 0, war / np.hypot(drama, war)], rtol=1e-5)


def test_score_new_movie_of_the_taste_comes_before_a_popular_one_of_another():
    route = fit(movies(genres=[["Comedy"], ["War"], ["War"]]), prior=0.1)

    scores = route.score(histories([(1, 1)]))[0]

    assert scores[2] > scores[0]  # z, which nobody ever chose, over x, which everybody did


def test_score_without_history_orders_new_movies_by_publicity():
    board = events(
        *[(f"u{user}", f"m{item}", user) for item in range(4) for user in range(2**item)], items=["n0", "n1"]
    )
    route = fit(movies(reviews=[1, 10, 100, 1000, 5, 500]), board, prior=1, prior_ridge=0.01, prior_events=2)

    scores = route.score(histories(()))[0]

    assert scores[3] > scores[5] > scores[4] > 0


def test_fit_prior_of_many_events_ignores_the_publicity():
    # x has the worst publicity of all, and 200 events.
    board = events(
        *[(f"u{user}", "x", user) for user in range(200)], ("u0", "y", 1), ("u1", "y", 2), items=["z"]
    )

    prior = fit(movies(reviews=[0, 900, 900]), board, prior_events=1).prior

    assert prior[0] > 2 * prior[1]


def test_fit_field_without_weight_does_not_count():
    facts = movies(genres=[["Drama"], ["War"], ["War"]], directors=[["Ford"], ["Lang"], ["Ford"]])

    by_genre = fit(facts, weights={"directors": 0}).similar(2)
    by_director = fit(facts, weights={"genres": 0}).similar(2)

    assert by_genre.tolist() == [0, 1, -np.inf]
    assert by_director.tolist() == [1, 0, -np.inf]


def test_score_value_weight_follows_what_was_loved():
    board = events(("a", "x", 1, 1.0), ("b", "y", 1, 5.0), items=["z"])
    route = fit(movies(genres=[["Drama"], ["War"], ["War", "Drama"]]), board, value_weight=1)

    scores = route.score(histories([(0, 1, 1.0), (1, 2, 5.0)]))[0]

    assert scores[1] > scores[0]


def test_score_without_any_fact_is_popularity():
    route = fit(MovieFacts.unknown(3), prior=1)

    scores = route.score(histories([(0, 1)], ()))

    assert scores[0].tolist() == scores[1].tolist()
    assert scores[0, 0] > scores[0, 1] > 0
    assert np.isneginf(scores[0, 2])  # z: neither event nor fact


@pytest.mark.parametrize("name", ["genres", "directors"])
def test_fit_of_no_event_still_knows_likeness(name):
    empty = BOARD.take(np.zeros(len(BOARD), bool))

    scores = fit(movies(**{name: [["one"], ["one"], ["two"]]}), empty).score(histories([(0, 1)]))[0]

    np.testing.assert_allclose(scores, [1, 1, 0], atol=1e-6)
