import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.candidates.als import AlsConfig, ImplicitAls
from marquee.candidates.ease import Ease, EaseConfig
from marquee.candidates.matrix import user_item_matrix
from marquee.candidates.value_weights import LEAST, MOST, ValueWeights
from tests.factories import events, histories

RATED = events(("u", "a", 0, 1.0), ("u", "b", 1, 5.0), ("v", "a", 2, 3.0), ("v", "b", 3, None))


def test_weight_is_one_and_a_share_per_standard_deviation():
    # Values 1, 5, 3: mean 3, spread √(8/3).
    weights = ValueWeights.of(RATED, 0.2)

    found = weights.weigh(np.array([1, 3, 5, np.nan], np.float32))

    step = 0.2 * 2 / np.sqrt(8 / 3)
    assert found.tolist() == pytest.approx([1 - step, 1, 1 + step, 1])


@given(st.lists(st.floats(-1e6, 1e6, width=32)), st.floats(0, 1))
def test_weight_stays_within_its_bounds(values, strength):
    found = ValueWeights(strength, mean=1.0, spread=0.5).weigh(np.array(values, np.float32))

    assert ((found >= LEAST) & (found <= MOST)).all()


def test_values_that_are_all_alike_weigh_one():
    same = events(("u", "a", 0, 4.0), ("v", "b", 1, 4.0))

    assert ValueWeights.of(same, 0.5) == ValueWeights()


def test_matrix_holds_the_mean_weight_of_a_repeated_pair():
    repeated = events(("u", "a", 0, 1.0), ("u", "a", 1, 5.0), ("v", "a", 2, 3.0))

    matrix = user_item_matrix(repeated, ValueWeights(0.1, mean=3.0, spread=1.0)).toarray()

    assert matrix[:, 0].tolist() == pytest.approx([(0.8 + 1.2) / 2, 1.0])


@pytest.mark.parametrize(
    "fit",
    [
        lambda strength: Ease.fit(RATED, EaseConfig(value_weight=strength, regularization=1.0)),
        lambda strength: ImplicitAls.fit(
            RATED, AlsConfig(value_weight=strength, factors=2, regularization=0.5), seed=1
        ),
    ],
)
def test_route_prefers_what_goes_with_the_loved_only_where_values_count(fit):
    loved, hated = histories([(0, 0, 5.0)]), histories([(0, 0, 1.0)])

    blind, seeing = fit(0.0), fit(0.3)

    assert blind.score(loved)[0, 1] == blind.score(hated)[0, 1]
    assert seeing.score(loved)[0, 1] > seeing.score(hated)[0, 1]
