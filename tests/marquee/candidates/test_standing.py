"""Lists for everybody: what is skipped, in which order the others come."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marquee.candidates.standing import Nearest, Standing, SurgingStanding
from marquee.candidates.union import top_items
from marquee.data.interactions import UNKNOWN_INDEX

scores = st.sampled_from([-np.inf, 0.0, 0.25, 0.5, 0.99])
hidden_items = st.sets(st.integers(0, 25))
lengths = st.integers(1, 25)


def without(score: np.ndarray, hidden: set[int]) -> np.ndarray:
    """The scores of one query as `top_items` takes them."""
    shown = score.copy()
    shown[[item for item in hidden if item < len(score)]] = -np.inf
    return shown[np.newaxis]


@given(st.lists(scores, min_size=1, max_size=20), lengths, hidden_items)
def test_top_is_that_of_the_scores_without_what_is_hidden(column: list[float], n: int, hidden: set[int]):
    score = np.array(column, np.float32)

    items, found = Standing(score).top(n, hidden)

    expected = top_items(without(score, hidden), n)[0]
    assert items == expected[expected != UNKNOWN_INDEX].tolist()
    assert found == score[items].tolist()


@given(
    st.lists(st.tuples(scores, st.sampled_from([0, 0, 5.0, 9.0])), min_size=1, max_size=20),
    lengths,
    hidden_items,
)
def test_list_begins_with_at_most_a_fifth_of_surges_and_goes_on_by_popularity(
    columns: list[tuple[float, float]], n: int, hidden: set[int]
):
    lately, surge = (np.array(column, np.float32) for column in zip(*columns, strict=True))

    items, found = SurgingStanding(Standing(lately), surge).top(n, hidden)

    left = without(lately, hidden)[0]
    surging = np.flatnonzero(np.isfinite(left) & (surge > 0))
    first = [item for item, score in zip(items, found, strict=True) if score >= 1]
    assert len(first) == min(len(surging), max(1, n // 5))
    assert set(first) <= set(surging.tolist())
    assert min(surge[first], default=9) >= max(surge[np.setdiff1d(surging, first)], default=0)
    left[first] += 1 + surge[first]  # all at once: the same scores, in the same order
    expected = top_items(left[np.newaxis], n)[0]
    assert items == expected[expected != UNKNOWN_INDEX].tolist()
    assert found == left[items].tolist()


def test_scores_that_are_no_share_are_ordered_with_those_that_surge():
    lately, surge = np.array([3.0, 0.5, 2.0], np.float32), np.array([0, 0.25, 0], np.float32)

    assert SurgingStanding(Standing(lately), surge).top(3, set()) == ([0, 2, 1], [3.0, 2.0, 1.75])


@given(
    st.lists(st.sampled_from([-np.inf, 0.25, 0.5, 0.99]), min_size=26, max_size=40),
    st.integers(1, 40),
    lengths,
    hidden_items,
)
def test_nearest_are_those_of_the_scores_or_none_where_others_may_be_needed(
    column: list[float], kept: int, n: int, hidden: set[int]
):
    score = np.array(column, np.float32)
    found = top_items(score[np.newaxis], kept)[0]
    known = found != UNKNOWN_INDEX
    nearest = Nearest(found[known], score[found[known]], is_whole=not known.all())
    mask = np.isin(np.arange(len(score)), list(hidden))

    top = nearest.top(n, mask if hidden else None)

    expected = top_items(without(score, hidden), n)[0]
    expected = expected[expected != UNKNOWN_INDEX].tolist()
    if top is None:
        assert not nearest.is_whole
        assert len(found) - len(hidden & set(found.tolist())) < n
    else:
        assert top == (expected, score[expected].tolist())
