import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from marquee.policy.diversity import DiversityConfig, diversified, likeness_rows

ALIKE = sp.csr_array(np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32))
"""The first two movies are alike, and so are the last two."""


def order(scores, *, rows=ALIKE, n=None, **knobs):
    made = diversified(
        np.array(scores, np.float32), rows, len(scores) if n is None else n, DiversityConfig(**knobs)
    )
    return made.tolist()


def test_diversified_takes_what_is_unlike_before_the_next_best():
    # λ = ½, scores from 0 to 1: after the first, ½·.9 − ½·1 < ½·.6 − ½·0, and so on.
    assert order([10, 9, 6, 0], relevance=0.5) == [0, 2, 1, 3]


def test_diversified_by_the_scores_alone_keeps_their_order():
    assert order([10, 9, 6, 0], relevance=1.0) == [0, 1, 2, 3]


def test_diversified_weighs_a_high_score_against_likeness():
    # ½·.98 − ½ = −.01 against ½·.6 − 0 = .3; with λ = .8: .8·.98 − .2 = .584 against .8·.6 = .48.
    assert order([100, 98, 60, 0], relevance=0.5) == [0, 2, 1, 3]
    assert order([100, 98, 60, 0], relevance=0.8) == [0, 1, 2, 3]


def test_diversified_of_equal_scores_breaks_ties_as_they_come():
    assert order([3, 3, 3, 3], relevance=0.5) == [0, 2, 1, 3]


def test_diversified_leaves_what_is_below_the_pool():
    assert order([10, 9, 6, 0], relevance=0.5, pool=2) == [0, 1, 2, 3]
    assert order([10, 9, 6, 0], relevance=0.0, pool=3) == [0, 2, 1, 3]


def test_diversified_of_nothing_is_nothing():
    assert order([], rows=ALIKE[:0], relevance=0.5) == []


scores_of_eight = st.lists(st.integers(0, 20), min_size=8, max_size=8).map(lambda each: sorted(each)[::-1])


@given(
    scores=scores_of_eight,
    labels=st.lists(st.integers(0, 3), min_size=8, max_size=8),
    relevance=st.sampled_from([0.0, 0.3, 0.7, 0.95]),
    pool=st.integers(1, 10),
    n=st.integers(0, 9),
)
def test_diversified_is_a_permutation_whose_beginning_does_not_depend_on_its_length(
    scores, labels, relevance, pool, n
):
    rows = sp.csr_array(np.eye(4, dtype=np.float32)[labels])

    whole = order(scores, rows=rows, relevance=relevance, pool=pool)
    short = order(scores, rows=rows, n=n, relevance=relevance, pool=pool)

    assert sorted(whole) == sorted(short) == list(range(8))
    assert short[:n] == whole[:n]
    assert whole[0] == 0  # nothing stands above the first to be like


def test_likeness_rows_weigh_genres_and_people():
    genres = sp.csr_array(np.array([[1, 0], [1, 0], [0, 1]], np.float32))
    people = sp.csr_array(np.array([[1, 0], [0, 1], [1, 0]], np.float32))

    rows = likeness_rows(genres, people, DiversityConfig(people_share=0.25))

    likeness = (rows @ rows.T).toarray()
    assert likeness[0] == pytest.approx([1, 0.75, 0.25])


def test_likeness_rows_of_movies_without_people_are_judged_by_genres_alone():
    genres = sp.csr_array(np.array([[1, 0], [1, 0], [0, 0]], np.float32))
    people = sp.csr_array(np.zeros((3, 2), np.float32))

    rows = likeness_rows(genres, people, DiversityConfig(people_share=0.25))

    assert (rows @ rows.T).toarray().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
