import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.evaluation.reliability import reliability
from marquee.evaluation.significance import BootstrapConfig

QUICK = BootstrapConfig(resamples=200)


def bins_of(scores, consumed, query=None, n_bins=2):
    query = np.arange(len(scores)) if query is None else np.array(query)
    return reliability(
        np.array(scores, float), np.array(consumed, bool), query, n_bins=n_bins, seed=0, config=QUICK
    )


def test_bins_hold_equal_numbers_and_count_what_was_consumed():
    low, high = bins_of([4, 1, 3, 2, 6, 5], [1, 0, 1, 0, 1, 0])

    assert (low.low, low.high, low.n, low.n_consumed) == (1, 3, 3, 1)
    assert (high.low, high.high, high.n, high.n_consumed) == (4, 6, 3, 2)
    assert (low.rate.estimate, high.rate.estimate) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_equal_scores_share_a_bin():
    found = bins_of([1, 1, 1, 1, 2], [0, 0, 1, 1, 1], n_bins=5)

    assert [(each.n, each.n_consumed) for each in found] == [(4, 2), (1, 1)]


def test_one_score_for_all_is_one_bin():
    (only,) = bins_of([7] * 6, [1, 0, 0, 1, 0, 0], n_bins=10)

    assert (only.n, only.rate.estimate) == (6, pytest.approx(2 / 6))


def test_interval_draws_whole_queries():
    # Each query is all or nothing: were rows drawn instead, the interval would be far narrower.
    scores, consumed, query = np.zeros(400), np.repeat([1, 0, 1, 0], 100), np.repeat([0, 1, 2, 3], 100)

    (only,) = bins_of(scores, consumed, query)

    assert (only.rate.low, only.rate.high) == (0.0, 1.0)


def test_no_candidate_is_no_bin():
    assert bins_of([], []) == []


def test_bins_are_json_ready():
    json.dumps([each.to_dict() for each in bins_of([1, 2, 3], [0, 1, 1])], allow_nan=False)


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans(), st.integers(0, 4)), min_size=1, max_size=60))
def test_bins_of_any_rows_share_them_out_in_ascending_order(rows):
    scores, consumed, query = zip(*rows, strict=True)

    found = bins_of(scores, consumed, query, n_bins=4)

    assert sum(each.n for each in found) == len(rows)
    assert sum(each.n_consumed for each in found) == sum(consumed)
    assert all(lower.high < higher.low for lower, higher in pairwise(found))
    assert all(0 <= each.rate.low <= each.rate.high <= 1 for each in found)
