"""What every route and every ranker must do. A test class inherits the harness and says how to fit.

class TestPopular(RouteConformance):
    personal = False

    def fit(self, interactions, seed):
        return Popular.fit(interactions)
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from marquee.bundle import Bundle, Parts, write_bundle
from marquee.candidates.route import Route
from marquee.candidates.routes import ROUTE_TYPES
from marquee.candidates.union import top_items
from marquee.data.histories import Histories
from marquee.data.interactions import Interactions
from marquee.ranking.ranker import BoostedRanker, Ranker, TrainingSet
from tests.factories import all_histories, checkerboard, event_table, histories

SIZE = 8
SPARE = 2
NEVER_SEEN = SIZE  # the index of the first item without events


class RouteConformance:
    """Asks a route of a checkerboard of 8 users and items with 2 items that nobody chose."""

    personal = True
    """Whether the route depends on the history."""

    def fit(self, interactions: Interactions, seed: int) -> Route:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def board(cls) -> Interactions:
        return checkerboard(SIZE, spare_items=SPARE)

    @pytest.fixture(scope="class")
    @classmethod
    def route(cls, board) -> Route:
        return cls().fit(board, 3)

    @pytest.fixture(scope="class")
    @classmethod
    def asked(cls, board) -> Histories:
        return all_histories(board)

    def test_route_class_is_registered_under_its_name(self, route):
        assert ROUTE_TYPES[route.name] is type(route)
        assert isinstance(route, Route)

    def test_score_shape_and_dtype_are_as_promised(self, route, asked):
        scores = route.score(asked)

        assert scores.shape == (SIZE, SIZE + SPARE)
        assert scores.dtype == np.float32

    def test_score_is_finite_or_minus_infinity(self, route, asked):
        scores = route.score(asked)

        assert not np.isnan(scores).any()
        assert not np.isposinf(scores).any()
        assert np.isfinite(scores[asked.row, asked.item_index]).all()  # of the taste, so known

    def test_score_item_without_events_is_unknown_or_last(self, route, asked):
        scores = route.score(asked)

        if self.personal:
            assert np.isneginf(scores[:, SIZE:]).all()
        else:
            assert (scores[:, SIZE:].max(axis=1) < scores[:, :SIZE].min(axis=1)).all()

    def test_score_checkerboard_withheld_item_comes_first(self, route, asked):
        scores = route.score(asked)
        scores[asked.row, asked.item_index] = -np.inf

        best = top_items(scores, 1)[:, 0]

        if self.personal:
            assert best.tolist() == list(range(SIZE))
        else:
            assert (best < SIZE).all()

    def test_score_history_of_unseen_user_is_like_that_of_a_seen_one(self, board):
        # Users are nothing but their histories: the route never saw user 7, yet knows the taste.
        stranger = board.user_index == 7
        route = self.fit(board.take(~stranger), 3)
        history = Histories.of_rows(board, [np.flatnonzero(stranger)])
        scores = route.score(history)
        scores[0, history.item_index] = -np.inf

        best = top_items(scores, 1)[0, 0]

        assert best == 7 if self.personal else best < SIZE

    def test_score_empty_history_is_silent_or_the_same_for_all(self, route):
        scores = route.score(histories((), ()))

        assert scores.shape == (2, SIZE + SPARE)
        np.testing.assert_array_equal(scores[0], scores[1])
        if self.personal:
            assert (np.isneginf(scores) | (scores == 0)).all()

    def test_score_one_click_prefers_its_taste(self, route):
        scores = route.score(histories([(3, 0)]))[0]

        if self.personal:
            assert scores[[1, 5, 7]].max() > scores[[0, 2, 4, 6]].max()
        else:
            np.testing.assert_array_equal(scores, route.score(histories([(2, 0)]))[0])

    def test_score_no_query_gives_no_row(self, route):
        assert route.score(histories()).shape == (0, SIZE + SPARE)

    def test_score_does_not_depend_on_who_asks_beside(self, route, asked):
        together = route.score(asked)

        alone = np.concatenate([route.score(asked.take(np.array([query]))) for query in range(SIZE)])

        np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)

    def test_score_events_of_one_moment_in_any_order_alike(self, route):
        one_way = route.score(histories([(1, 0), (3, 9), (5, 9)]))
        other_way = route.score(histories([(1, 0), (5, 9), (3, 9)]))

        np.testing.assert_allclose(one_way, other_way, rtol=1e-5, atol=1e-7)

    def test_score_result_belongs_to_the_caller(self, route, asked):
        before = route.score(asked)
        overwritten = route.score(asked)
        overwritten[:] = -1

        np.testing.assert_array_equal(route.score(asked), before)

    def test_similar_is_never_the_item_itself(self, route):
        for item in range(SIZE):
            scores = route.similar(item)

            assert scores.shape == (SIZE + SPARE,)
            assert scores.dtype == np.float32
            assert np.isneginf(scores[item])

    def test_similar_checkerboard_comes_from_the_same_taste(self, route):
        if self.personal:
            for item in range(SIZE):
                best = top_items(route.similar(item)[np.newaxis], 2)[0]
                assert (best % 2 == item % 2).all()

    def test_similar_to_item_without_events_is_unknown(self, route):
        if self.personal:
            assert np.isneginf(route.similar(NEVER_SEEN)).all()

    def test_similar_result_belongs_to_the_caller(self, route):
        before = route.similar(1)
        overwritten = route.similar(1)
        overwritten[:] = -1

        np.testing.assert_array_equal(route.similar(1), before)

    def test_arrays_through_a_bundle_give_an_equal_route(self, route, asked, tmp_path):
        parts = Parts(arrays={f"routes/{key}": array for key, array in route.arrays().items()})
        write_bundle(tmp_path / "bundle", parts, content={}, provenance={})
        found = Bundle.read(tmp_path / "bundle").parts.under("routes")

        again = type(route).from_arrays(found)

        assert found.keys() == route.arrays().keys()
        for key, array in route.arrays().items():
            np.testing.assert_array_equal(again.arrays()[key], array)
        np.testing.assert_array_equal(again.score(asked), route.score(asked))
        np.testing.assert_array_equal(again.similar(2), route.similar(2))

    def test_fit_same_seed_gives_the_same_bits(self, route, board):
        again = self.fit(board, 3)

        for key, array in route.arrays().items():
            np.testing.assert_array_equal(again.arrays()[key], array)

    def test_fit_order_of_input_rows_does_not_matter(self):
        rows = [(f"u{user}", f"i{(user * step) % 7}", user) for user in range(9) for step in (1, 2, 3)]
        shuffled = np.random.default_rng(0).permutation(len(rows))
        one, other = (
            Interactions.from_table(event_table(order)) for order in (rows, [rows[at] for at in shuffled])
        )

        first, second = self.fit(one, 3), self.fit(other, 3)

        for key, array in first.arrays().items():
            np.testing.assert_array_equal(second.arrays()[key], array)


def separable(n_queries: int = 60, *, seed: int = 0) -> TrainingSet:
    """Ten rows a query, one of which the first feature marks as the answer; the second is noise."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((n_queries, 10), np.int8)
    labels[np.arange(n_queries), rng.integers(0, 10, n_queries)] = 1
    features = np.stack([labels + rng.normal(0, 0.1, labels.shape), rng.normal(size=labels.shape)], axis=-1)
    return TrainingSet(
        features=features.reshape(-1, 2).astype(np.float32),
        labels=labels.ravel(),
        group_sizes=np.full(n_queries, 10, np.int32),
        feature_names=("answer", "noise"),
    )


class RankerConformance:
    """Asks a ranker for what the first of two features gives away."""

    def fit(self, training: TrainingSet, seed: int) -> Ranker:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def ranker(cls) -> Ranker:
        return cls().fit(separable(), 3)

    def test_ranker_keeps_the_protocol(self, ranker):
        assert isinstance(ranker, Ranker)

    def test_score_shape_and_dtype_are_as_promised(self, ranker):
        scores = ranker.score(separable().features)

        assert scores.shape == (600,)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()

    def test_score_answer_of_new_queries_comes_first(self, ranker):
        fresh = separable(seed=1)

        best = ranker.score(fresh.features).reshape(-1, 10).argmax(axis=1)

        assert (best == fresh.labels.reshape(-1, 10).argmax(axis=1)).mean() > 0.9

    def test_score_no_row_gives_no_score(self, ranker):
        assert ranker.score(np.empty((0, 2), np.float32)).shape == (0,)

    def test_score_unknown_feature_is_allowed(self, ranker):
        assert np.isfinite(ranker.score(np.full((3, 2), np.nan, np.float32))).all()

    def test_score_row_does_not_depend_on_the_others(self, ranker):
        features = separable().features[:50]

        np.testing.assert_array_equal(ranker.score(features)[::-1], ranker.score(features[::-1]))

    def test_fit_same_seed_gives_the_same_text(self, ranker):
        assert self.fit(separable(), 3).to_text() == ranker.to_text()

    def test_text_read_again_scores_alike(self, ranker):
        features = separable(seed=2).features
        again = type(ranker).from_text(ranker.to_text())

        np.testing.assert_array_equal(again.score(features), ranker.score(features))
        assert again.to_text() == ranker.to_text()

    def test_text_through_a_bundle_scores_alike(self, ranker, tmp_path: Path):
        write_bundle(
            tmp_path / "bundle", Parts(texts={"ranker/x": ranker.to_text()}), content={}, provenance={}
        )

        text = Bundle.read(tmp_path / "bundle").parts.texts["ranker/x"]

        assert text == ranker.to_text()

    def test_contributions_of_a_row_sum_to_its_score(self, ranker):
        features = separable(seed=2).features

        contributions = ranker.contributions(features)

        assert contributions.shape == (600, 3)  # a column for each feature, and the expected score
        np.testing.assert_allclose(contributions.sum(axis=1), ranker.score(features), atol=1e-5)

    def test_contributions_lie_with_the_telling_feature(self, ranker):
        answer, noise = np.abs(ranker.contributions(separable(seed=2).features)).sum(axis=0)[:2]

        assert answer > noise

    def test_contributions_no_row_gives_no_row(self, ranker):
        assert ranker.contributions(np.empty((0, 2), np.float32)).shape == (0, 3)

    def test_importance_names_the_telling_feature(self, ranker):
        importance = ranker.importance()

        assert set(importance) == {"answer", "noise"}
        assert importance["answer"] > importance["noise"] >= 0


_FIT = """
from marquee.ranking.{module} import {name}Config, {name}Ranker
from tests.conformance import separable

print({name}Ranker.fit(separable(1_000), {name}Config(n_estimators=5), seed=3).to_text())
"""


def texts_on_threads(module: str, name: str) -> set[bytes]:
    """A booster's text after the same fit on one thread and on two, each in a process of its own.

    Libraries ask for the number of threads once a process.
    """
    root = Path(__file__).parents[1]
    return {
        subprocess.run(
            [sys.executable, "-c", _FIT.format(module=module, name=name)],
            env={**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
            cwd=root,
            timeout=120,
        ).stdout
        for threads in "12"
    }


class BoostedConformance(RankerConformance):
    """Asks a ranker that grows round by round; `fit` takes `on_round` too."""

    n_rounds: int

    def test_ranker_keeps_the_protocol_of_boosters(self, ranker):
        assert isinstance(ranker, BoostedRanker)

    def test_score_rounds_add_up_to_the_score(self, ranker):
        features = separable(seed=2).features

        parts = [ranker.score_rounds(features, *span) for span in ((0, 4), (4, 5), (5, self.n_rounds))]

        assert np.abs(parts[0] - ranker.score(features)).max() > 0.01
        np.testing.assert_allclose(np.sum(parts, axis=0), ranker.score(features), atol=1e-5)

    def test_fit_tells_of_every_round_with_the_ranker_so_far(self):
        features = separable(seed=2).features
        heard: list[tuple[int, float]] = []

        def listen(done: int, ranker: BoostedRanker) -> None:
            heard.append((done, float(ranker.score(features)[0])))

        ranker = self.fit(separable(), 3, listen)

        assert [done for done, _ in heard] == list(range(1, self.n_rounds + 1))
        assert heard[4][1] == pytest.approx(ranker.score_rounds(features, 0, 5)[0])
        assert heard[-1][1] == pytest.approx(ranker.score(features)[0])

    def test_fit_listener_may_end_the_fit(self):
        def stop(done: int, _ranker: BoostedRanker) -> None:
            if done == 2:
                raise StopListeningError

        with pytest.raises(StopListeningError):
            self.fit(separable(), 3, stop)


class StopListeningError(Exception):
    """What a listener raises here."""
