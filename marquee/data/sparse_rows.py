"""Few sparse rows times a matrix, by scipy's own kernels without what scipy checks around them.

A list multiplies one history with seven matrices. What scipy does before and after each (choosing the width
of indexes, looking for disorder, counting what will come out, wrapping it) took longer than the products.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

# Not public, but what `@` calls: tests/marquee/data/test_sparse_rows.py holds each product against `@`.
from scipy.sparse import _sparsetools


def csr_of(
    data: NDArray[Any], indices: NDArray[np.generic], indptr: NDArray[np.generic], shape: tuple[int, int]
) -> sp.csr_array:
    """A CSR array whose indexes are of 32 bits wherever they fit, as products want them."""
    width = np.int32 if max(len(data), *shape) <= np.iinfo(np.int32).max else np.int64
    return sp.csr_array((data, np.asarray(indices, width), np.asarray(indptr, width)), shape=shape)


def rows_of(matrix: sp.csr_array, rows: NDArray[np.int32]) -> "SparseRows":
    """`matrix[rows]`, in that order and with repeats; its indexes are as wide as the matrix's."""
    width = matrix.indptr.dtype
    starts = matrix.indptr.take(rows)
    indptr = np.zeros(len(rows) + 1, width)
    (matrix.indptr.take(rows + 1) - starts).cumsum(out=indptr[1:])
    data, indices = np.empty(indptr[-1], matrix.dtype), np.empty(indptr[-1], width)
    chosen = rows.astype(width, copy=False)
    _sparsetools.csr_row_index(len(rows), chosen, matrix.indptr, matrix.indices, matrix.data, indices, data)
    return SparseRows(data, indices, indptr, (len(rows), matrix.shape[1]))


class SparseRows(NamedTuple):  # a list makes ten: a frozen dataclass sets field after field
    """Rows of a sparse matrix, laid out and named as scipy's CSR arrays have them; its parts are believed."""

    data: NDArray[Any]  # (n_entries,) float32 or float64
    indices: NDArray[np.signedinteger]  # (n_entries,) the column of each
    indptr: NDArray[np.signedinteger]  # (n_rows + 1,) where each row begins and ends
    shape: tuple[int, int]

    def __matmul__(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Times a dense matrix `(n_columns, n)` of the same type: `(n_rows, n)`, to the bit as scipy's.

        Raises:
            ValueError: the matrix has another number of rows, as one of a damaged bundle might.
        """
        self._require_rows(matrix.shape[0])
        n_rows, n = self.shape[0], matrix.shape[1]
        product = np.zeros((n_rows, n), matrix.dtype)
        own = (self.indptr, self.indices, self.data)
        if n == 1:  # the same sums, in a third of the time
            _sparsetools.csr_matvec(n_rows, self.shape[1], *own, matrix.ravel(), product.ravel())
        else:
            _sparsetools.csr_matvecs(n_rows, self.shape[1], n, *own, matrix.ravel(), product.ravel())
        return product

    def transposed_times(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """The transpose times a dense matrix `(n_rows, n)` of the same type: `(n_columns, n)`, as scipy's.

        Raises:
            ValueError: the matrix has another number of rows.
        """
        n_columns, n = self.shape[1], matrix.shape[1]
        if matrix.shape[0] != self.shape[0]:
            raise ValueError(f"{self.shape[0]} rows, transposed, times a matrix of {matrix.shape[0]} rows")
        product = np.zeros((n_columns, n), matrix.dtype)
        own = (self.indptr, self.indices, self.data)
        if n == 1:
            _sparsetools.csc_matvec(n_columns, self.shape[0], *own, matrix.ravel(), product.ravel())
        else:
            _sparsetools.csc_matvecs(n_columns, self.shape[0], n, *own, matrix.ravel(), product.ravel())
        return product

    def times(self, matrix: sp.csr_array) -> NDArray[Any]:
        """Times a sparse matrix of the same type, dense, `(n_rows, n_columns)`: to the bit as scipy's.

        Raises:
            ValueError: as `@`.
        """
        n_rows, n_columns = matrix.shape
        self._require_rows(n_rows)
        product = np.zeros((self.shape[0], n_columns), matrix.dtype)
        # Dense: of a history's sums few are zero, and scipy's way counts them before it adds.
        for row, (start, end) in enumerate(pairwise(self.indptr.tolist())):
            chosen = rows_of(matrix, self.indices[start:end])
            own = (chosen.indptr, chosen.indices, chosen.data, self.data[start:end])
            _sparsetools.csc_matvec(n_columns, end - start, *own, product[row])
        return product

    def parted(self, n: int) -> tuple["SparseRows", "SparseRows"]:
        """The first `n` rows and the others, for products; their entries stay where they are."""
        n_rows, n_columns = self.shape
        first = SparseRows(self.data, self.indices, self.indptr[: n + 1], (n, n_columns))
        return first, SparseRows(self.data, self.indices, self.indptr[n:], (n_rows - n, n_columns))

    def _require_rows(self, n_rows: int) -> None:
        """The kernels would read beyond the end of a shorter matrix."""
        if n_rows != self.shape[1]:
            raise ValueError(f"rows of {self.shape[1]} columns times a matrix of {n_rows} rows")

    def to_csr(self) -> sp.csr_array:
        """As scipy's array."""
        return sp.csr_array((self.data, self.indices, self.indptr), shape=self.shape)
