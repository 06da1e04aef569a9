import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.data.literature_split import LiteratureConfig, drawn_per_item, stratified_split
from marquee.errors import NotEnoughDataError
from tests.factories import events


def _of_counts(*counts):
    """Item "a" with the first number of events, "b" with the second, and so on."""
    return events(*[(f"u{user}", chr(97 + item), user) for item, n in enumerate(counts) for user in range(n)])


@pytest.mark.parametrize(
    ("n_events", "n_train"),
    [
        (1, 1),  # round(.75)
        (2, 2),  # round(1.5), half to even
        (3, 2),  # round(2.25)
        (4, 3),
        (6, 4),  # round(4.5), half to even
        (10, 8),  # round(7.5), half to even
    ],
)
def test_item_trains_with_the_rounded_ratio_of_its_events(n_events, n_train):
    drawn = drawn_per_item(_of_counts(n_events), 0.75, seed=1)

    assert drawn.sum() == n_train


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(0, 100))
def test_each_item_keeps_its_share_whatever_the_others(counts, seed):
    interactions = _of_counts(*counts, 1)

    drawn = drawn_per_item(interactions, 0.75, seed=seed)

    for item, name in enumerate(interactions.items.ids):
        n = np.count_nonzero(interactions.item_index == item)
        assert drawn[interactions.item_index == item].sum() == round(0.75 * n), name


def test_split_parts_are_disjoint_and_complete():
    interactions = _of_counts(8, 9)

    split = stratified_split(interactions, LiteratureConfig(), seed=3)

    pairs = [
        set(zip(part.user_index.tolist(), part.item_index.tolist(), strict=True))
        for part in (split.train, split.test, interactions)
    ]
    assert pairs[0] | pairs[1] == pairs[2]
    assert not pairs[0] & pairs[1]


def test_split_draws_with_the_seed():
    interactions = _of_counts(40)

    first, again, other = (drawn_per_item(interactions, 0.75, seed=seed) for seed in (1, 1, 2))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_split_every_event_may_be_drawn():
    interactions = _of_counts(4)

    kept = sum(drawn_per_item(interactions, 0.75, seed=seed).astype(int) for seed in range(40))

    assert (kept > 0).all()
    assert (kept < 40).all()


def test_split_with_nothing_to_ask_names_the_number_of_events():
    with pytest.raises(NotEnoughDataError, match="none of 2 events"):
        stratified_split(_of_counts(1, 1), LiteratureConfig(), seed=1)
