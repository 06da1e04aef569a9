"""Products of sparse rows are those of scipy's public operator, to the bit."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from marquee.data.sparse_rows import SparseRows, csr_of, rows_of

TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def as_rows(array: sp.csr_array) -> SparseRows:
    """The same rows, unchecked."""
    return SparseRows(array.data, array.indices, array.indptr, array.shape)


def drawn(n_rows: int, n_columns: int, seed: int, dtype: type, density: float = 0.3) -> sp.csr_array:
    """A sparse array with rows of any length, empty ones among them."""
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(n_rows, n_columns)) * (rng.random((n_rows, n_columns)) < density)
    return csr_of(*_flat(dense.astype(dtype)), (n_rows, n_columns))


def _flat(dense: NDArray[np.generic]) -> tuple[NDArray[np.generic], ...]:
    array = sp.csr_array(dense)
    return array.data, array.indices, array.indptr


sizes = st.integers(0, 9)


@TYPES
@given(n_rows=sizes, n_inner=sizes, n=sizes, seed=st.integers(0, 99))
def test_product_with_a_dense_matrix_is_scipys(dtype: type, n_rows: int, n_inner: int, n: int, seed: int):
    left = drawn(n_rows, n_inner, seed, dtype)
    right = np.random.default_rng(seed).normal(size=(n_inner, n)).astype(dtype)

    product = as_rows(left) @ right

    np.testing.assert_array_equal(product, left @ right)
    assert product.dtype == dtype


@TYPES
@given(n_rows=sizes, n_inner=sizes, n=sizes, seed=st.integers(0, 99))
def test_product_of_the_transpose_with_a_dense_matrix_is_scipys(
    dtype: type, n_rows: int, n_inner: int, n: int, seed: int
):
    left = drawn(n_rows, n_inner, seed, dtype)
    right = np.random.default_rng(seed).normal(size=(n_rows, n)).astype(dtype)

    product = as_rows(left).transposed_times(right)

    np.testing.assert_array_equal(product, left.T @ right)
    assert product.dtype == dtype


@TYPES
@given(n_rows=sizes, n_inner=sizes, n=sizes, seed=st.integers(0, 99))
def test_product_with_a_sparse_matrix_is_scipys(dtype: type, n_rows: int, n_inner: int, n: int, seed: int):
    left, right = drawn(n_rows, n_inner, seed, dtype), drawn(n_inner, n, seed + 1, dtype, density=0.6)

    product = as_rows(left).times(right)

    np.testing.assert_array_equal(product, (left @ right).toarray())
    assert product.dtype == dtype


@TYPES
@pytest.mark.parametrize("width", [np.int32, np.int64])
@given(rows=st.lists(st.integers(0, 5), max_size=8), seed=st.integers(0, 99))
def test_rows_of_a_matrix_are_scipys_in_the_order_asked_for(
    dtype: type, width: type, rows: list[int], seed: int
):
    array = drawn(6, 4, seed, dtype)
    array.indices, array.indptr = array.indices.astype(width), array.indptr.astype(width)

    chosen = rows_of(array, np.array(rows, np.int32))

    np.testing.assert_array_equal(chosen.to_csr().toarray(), array.toarray()[rows])
    assert chosen.indices.dtype == chosen.indptr.dtype == width


@given(n_rows=sizes, n_inner=sizes, n=sizes, seed=st.integers(0, 99))
def test_parts_have_the_products_of_their_rows(n_rows: int, n_inner: int, n: int, seed: int):
    n_first = seed % (n_rows + 1)
    whole = drawn(n_rows, n_inner, seed, np.float64)
    right = np.random.default_rng(seed).normal(size=(n_inner, n))
    below = np.random.default_rng(seed).normal(size=(n_rows, n))

    first, others = as_rows(whole).parted(n_first)

    np.testing.assert_array_equal(np.vstack([first @ right, others @ right]), whole @ right)
    for part, rows in ((first, slice(0, n_first)), (others, slice(n_first, n_rows))):
        np.testing.assert_array_equal(part.transposed_times(below[rows]), whole[rows].T @ below[rows])


def test_row_that_a_matrix_lacks_is_refused_and_not_read_beyond():
    with pytest.raises(IndexError):
        rows_of(drawn(3, 4, 1, np.float32), np.array([3], np.int32))


def test_product_of_a_column_that_occurs_twice_counts_both():
    twice = SparseRows(np.ones(2, np.float32), np.array([1, 1], np.int32), np.array([0, 2], np.int32), (1, 2))
    other = sp.csr_array(np.array([[9, 9, 9], [0, 2, 3]], np.float32))

    assert (twice @ other.toarray()).tolist() == [[0, 4, 6]]
    assert twice.times(other).tolist() == [[0, 4, 6]]


@pytest.mark.parametrize("n_rows", [3, 5])
def test_matrix_of_another_number_of_rows_is_refused_and_not_read_beyond(n_rows: int):
    rows, other = as_rows(drawn(2, 4, 1, np.float32)), drawn(n_rows, 5, 2, np.float32)

    with pytest.raises(ValueError, match=f"4 columns times a matrix of {n_rows} rows"):
        rows @ other.toarray()
    with pytest.raises(ValueError, match=f"4 columns times a matrix of {n_rows} rows"):
        rows.times(other)
    with pytest.raises(ValueError, match=f"2 rows, transposed, times a matrix of {n_rows} rows"):
        rows.transposed_times(other.toarray())


def test_product_with_wide_indexes_is_the_same():
    left, right = drawn(3, 4, 1, np.float32), drawn(4, 5, 2, np.float32)
    wide = right.copy()
    wide.indices, wide.indptr = right.indices.astype(np.int64), right.indptr.astype(np.int64)

    product = as_rows(left).times(wide)

    np.testing.assert_array_equal(product, (left @ right).toarray())


def test_array_of_wide_indexes_that_fit_is_narrow():
    array = drawn(3, 4, 1, np.float32)

    narrow = csr_of(array.data, array.indices.astype(np.int64), array.indptr.astype(np.int64), array.shape)

    assert (narrow.indices.dtype, narrow.indptr.dtype) == (np.int32, np.int32)
    np.testing.assert_array_equal(narrow.toarray(), array.toarray())


def test_rows_become_scipys_array():
    array = drawn(3, 4, 1, np.float64)

    np.testing.assert_array_equal(as_rows(array).to_csr().toarray(), array.toarray())
