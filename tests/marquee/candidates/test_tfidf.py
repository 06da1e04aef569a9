import numpy as np
import polars as pl
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from marquee.candidates.tfidf import normalised_rows, tfidf


def test_tfidf_weights_rare_and_repeated_terms_more():
    # Three items with terms. "a" is in all, "b" in two, "c" (twice) in one.
    terms = pl.Series([["a", "b"], ["a", "b", "c", "c"], ["a"]])

    rows = tfidf(terms, min_items=1).toarray()

    a, b, c = 1 + np.log(4 / 4), 1 + np.log(4 / 3), (1 + np.log(2)) * (1 + np.log(4 / 2))
    np.testing.assert_allclose(rows[0], np.array([a, b, 0]) / np.hypot(a, b), rtol=1e-6)
    np.testing.assert_allclose(rows[1], np.array([a, b, c]) / np.sqrt(a**2 + b**2 + c**2), rtol=1e-6)
    np.testing.assert_allclose(rows[2], [1, 0, 0], rtol=1e-6)


def test_tfidf_terms_of_too_few_items_are_dropped():
    rows = tfidf(pl.Series([["a", "b"], ["a", "c"]]), min_items=2).toarray()

    assert rows.tolist() == [[1], [1]]


def test_tfidf_items_without_terms_are_zero_rows_and_do_not_count():
    with_empty = tfidf(pl.Series([["a"], [], ["a", "b"], ["b"]]), min_items=1).toarray()

    without = tfidf(pl.Series([["a"], ["a", "b"], ["b"]]), min_items=1).toarray()
    np.testing.assert_array_equal(with_empty, np.insert(without, 1, 0, axis=0))


def test_tfidf_of_no_term_has_no_column():
    assert tfidf(pl.Series([[], []], dtype=pl.List(pl.String)), min_items=1).shape == (2, 0)


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=5), min_size=1, max_size=8))
def test_tfidf_rows_have_length_one_or_zero(lists):
    rows = tfidf(pl.Series(lists, dtype=pl.List(pl.String)), min_items=1).toarray()

    lengths = np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(lengths, [float(bool(terms)) for terms in lists], rtol=1e-5)


def test_normalised_rows_scales_to_length_one_and_leaves_zeros():
    rows = normalised_rows(sp.csr_array(np.array([[3, 4], [0, 0]], np.float32)))

    np.testing.assert_allclose(rows.toarray(), [[0.6, 0.8], [0, 0]], rtol=1e-6)
