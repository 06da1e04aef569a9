"""Few sparse rows times a matrix, by scipy's own kernels without what scipy checks around them.

A list multiplies one history with seven matrices. What scipy does before and after each (choosing the width
of indexes, looking for disorder, counting what will come out, wrapping it) took longer than the products.
"""

from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of a sparse matrix, laid out and named as scipy's CSR arrays have them; its parts are believed."""

    data: NDArray[Any]  # (n_entries,) float32 or float64
    indices: NDArray[np.int32]  # (n_entries,) the column of each
    indptr: NDArray[np.int32]  # (n_rows + 1,) where each row begins and ends
    shape: tuple[int, int]

    def __matmul__(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Times a dense matrix `(n_columns, n)` of the same type: `(n_rows, n)`, to the bit as scipy's.

        Raises:
            ValueError: the matrix has another number of rows, as one of a damaged bundle might.
        """
        self._require_rows(matrix.shape[0])
        n_rows, n = self.shape[0], matrix.shape[1]
        product = np.zeros((n_rows, n), matrix.dtype)
        _sparsetools.csr_matvecs(
            n_rows, self.shape[1], n, self.indptr, self.indices, self.data, matrix.ravel(), product.ravel()
        )
        return product

    def times(self, matrix: sp.csr_array) -> "SparseRows":
        """Times a sparse matrix of the same type, to the bit and in the order of scipy's `@`.

        Raises:
            ValueError: as `@`.
        """
        self._require_rows(matrix.shape[0])
        if matrix.indptr.dtype != np.int32:  # more entries than that can count
            product = self.to_csr() @ matrix
            return SparseRows(product.data, product.indices, product.indptr, product.shape)
        n_rows, n = self.shape[0], matrix.shape[1]
        added = np.cumsum(matrix.indptr.take(self.indices + 1) - matrix.indptr.take(self.indices))
        until = np.append(0, added)[self.indptr]
        room = int(np.minimum(np.diff(until), n).sum())  # a row holds no more than was added up, or there is
        data, indices = np.empty(room, matrix.dtype), np.empty(room, np.int32)
        indptr = np.empty(n_rows + 1, np.int32)
        own, other = (self.indptr, self.indices, self.data), (matrix.indptr, matrix.indices, matrix.data)
        _sparsetools.csr_matmat(n_rows, n, *own, *other, indptr, indices, data)
        n_entries = int(indptr[-1])
        return SparseRows(data[:n_entries], indices[:n_entries], indptr, (n_rows, n))

    def _require_rows(self, n_rows: int) -> None:
        """The kernels would read beyond the end of a shorter matrix."""
        if n_rows != self.shape[1]:
            raise ValueError(f"rows of {self.shape[1]} columns times a matrix of {n_rows} rows")

    def toarray(self) -> NDArray[Any]:
        """Dense, `shape`."""
        dense = np.zeros(self.shape, self.data.dtype)
        _sparsetools.csr_todense(*self.shape, self.indptr, self.indices, self.data, dense)
        return dense

    def to_csr(self) -> sp.csr_array:
        """As scipy's array."""
        return sp.csr_array((self.data, self.indices, self.indptr), shape=self.shape)
