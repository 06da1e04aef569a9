import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from scipy.spatial.distance import pdist
from scipy.stats import entropy, rankdata

from marquee.data.interactions import Ragged
from marquee.evaluation import list_metrics
from marquee.evaluation.list_metrics import (
    LIST_METRICS,
    Catalogue,
    coverage,
    gini,
    intra_list_diversity,
    novelty,
    popularity_bias,
    popularity_percentiles,
)


def lists(*rows):
    return np.array(rows, dtype=np.int32)


def test_coverage_counts_each_item_once():
    assert coverage(lists([0, 1], [1, -1]), n_items=8) == 2 / 8


def test_gini_of_equal_shares_is_zero():
    assert gini(lists([0, 1], [2, 3]), n_items=4) == 0


def test_gini_of_one_item_everywhere_is_highest():
    assert gini(lists([2], [2], [2]), n_items=4) == 1 - 1 / 4


def test_gini_of_unequal_shares_equals_hand_arithmetic():
    # Places by item, ascending: 0, 1, 3; weights 2i - n - 1: -2, 0, 2.
    assert gini(lists([0, 0], [0, 1]), n_items=3) == (-2 * 0 + 0 * 1 + 2 * 3) / (3 * 4)


def test_gini_of_nothing_listed_is_undefined():
    assert np.isnan(gini(lists([-1, -1]), n_items=3))


def test_coverage_item_outside_the_catalogue_is_refused():
    with pytest.raises(ValueError, match="item 5, but the catalogue has 3"):
        coverage(lists([5]), n_items=3)


def test_popularity_percentiles_ties_share_their_middle():
    assert popularity_percentiles(np.array([5, 0, 5, 9])).tolist() == [2 / 4, 0.5 / 4, 2 / 4, 3.5 / 4]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_popularity_percentiles_of_any_counts_average_to_one_half(counts):
    assert popularity_percentiles(np.array(counts)).mean() == pytest.approx(0.5)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_popularity_percentiles_agree_with_scipy_ranks(counts):
    assert popularity_percentiles(np.array(counts)) == pytest.approx((rankdata(counts) - 0.5) / len(counts))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_gini_is_half_the_relative_mean_difference(listed):
    """Gini's own definition, over all pairs of items."""
    shares = np.bincount(listed, minlength=10)

    found = gini(np.array([listed], np.int32), n_items=10)

    pairs = np.abs(shares[:, None] - shares[None, :]).mean()
    assert found == pytest.approx(pairs / (2 * shares.mean()))


def test_novelty_of_lists_drawn_as_people_choose_is_the_entropy_of_the_choices():
    counts = np.array([7, 3, 1, 1])  # plus one: shares of 16 known events 8, 4, 2, 2
    drawn = np.repeat(np.arange(4), counts + 1)[None, :].astype(np.int32)

    assert novelty(drawn, counts, n_users=15) == pytest.approx([entropy(counts + 1, base=2)])


def test_popularity_bias_is_list_minus_history():
    counts = np.array([1, 2, 3, 4])  # percentiles 1/8, 3/8, 5/8, 7/8

    bias = popularity_bias(lists([3, 2], [0, -1], [3, 3]), Ragged.of([[0, 1], [3], []]), counts)

    assert bias[:2] == pytest.approx([(7 + 5) / 16 - (1 + 3) / 16, 1 / 8 - 7 / 8])
    assert np.isnan(bias[2])  # no history, nothing to be biased against


def test_novelty_is_mean_bits_of_surprise():
    counts = np.array([7, 3, 0])  # of 7 users: p = 8/8, 4/8, 1/8

    found = novelty(lists([0, 1], [1, 2], [2, -1], [-1, -1]), counts, n_users=7)

    assert found[:3].tolist() == [(0 + 1) / 2, (1 + 3) / 2, 3]
    assert np.isnan(found[3])


def test_intra_list_diversity_of_equal_opposite_and_unrelated_items():
    features = np.array([[2.0, 0], [5, 0], [0, 1], [1, 1], [0, 0]])

    found = intra_list_diversity(lists([0, 1], [0, 2], [0, 3], [0, 4]), features)

    assert found[:3] == pytest.approx([0, 1, 1 - 1 / np.sqrt(2)])
    assert np.isnan(found[3])  # item 4 is undescribed: there is no pair


def test_intra_list_diversity_undescribed_items_leave_the_others_as_they_are():
    features = np.array([[1.0, 0], [0, 1], [0, 0]])

    assert intra_list_diversity(lists([0, 2, 1]), features) == pytest.approx([1.0])


@given(hnp.arrays(np.float64, (6, 3), elements=st.integers(1, 9).map(float)), st.permutations(range(6)))
def test_intra_list_diversity_agrees_with_scipy_cosine_distance(features, order):
    listed = np.array([order[:4]], dtype=np.int32)

    found = intra_list_diversity(listed, features)

    assert found == pytest.approx([pdist(features[order[:4]], "cosine").mean()], abs=1e-9)


def test_intra_list_diversity_sparse_rows_and_small_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    features = rng.random((20, 5)) * (rng.random((20, 5)) < 0.4)
    listed = rng.integers(-1, 20, size=(11, 4)).astype(np.int32)
    whole = intra_list_diversity(listed, features)

    monkeypatch.setattr(list_metrics, "_CHUNK_QUERIES", 3)
    chunked = intra_list_diversity(listed, sparse.csr_array(features))

    np.testing.assert_array_equal(chunked, whole)


def test_intra_list_diversity_stored_zeros_do_not_describe_an_item():
    stored_zero = sparse.csr_array((np.array([1.0, 1.0, 0.0]), [0, 1, 0], [0, 1, 2, 3]), shape=(3, 2))

    assert intra_list_diversity(lists([0, 1, 2]), stored_zero) == pytest.approx([1.0])


def test_intra_list_diversity_nan_feature_is_refused():
    with pytest.raises(ValueError, match="finite"):
        intra_list_diversity(lists([0, 1]), np.array([[np.nan], [1.0]]))


def test_catalogue_features_of_another_number_of_items_are_refused():
    with pytest.raises(ValueError, match="Features of 3 items for 2"):
        Catalogue(np.array([1, 2]), n_users=5, item_features=np.ones((3, 4)))


def test_list_metrics_without_histories_and_features_say_undefined():
    catalogue = Catalogue(np.array([1, 2]), n_users=5)

    found = {name: measure(lists([0, 1]), catalogue) for name, measure in LIST_METRICS.items()}

    assert {name for name, value in found.items() if np.isnan(value)} == {
        "popularity_bias",
        "intra_list_diversity",
    }


def test_list_metrics_means_leave_undefined_queries_out():
    catalogue = Catalogue(
        np.array([1, 3]), n_users=3, histories=Ragged.of([[0], []]), item_features=np.eye(2)
    )

    bias = LIST_METRICS["popularity_bias"](lists([1, -1], [0, 1]), catalogue)
    diversity = LIST_METRICS["intra_list_diversity"](lists([1, -1], [0, 1]), catalogue)

    assert bias == 3 / 4 - 1 / 4  # the second query has no history
    assert diversity == 1  # the first has no pair
