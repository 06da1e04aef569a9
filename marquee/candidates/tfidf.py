"""TF-IDF: lists of terms as sparse rows, a rare term counting more than a common one."""

import numpy as np
import polars as pl
import scipy.sparse as sp


def tfidf(terms: pl.Series, *, min_items: int) -> sp.csr_array:
    """Rows `(n_items, n_terms) float32` of length one; zero for an item without a term that counts.

    Weights are (1 + log count) × (1 + log((1 + n) ÷ (1 + items with the term))), n being the number
    of items with any term.

    Source: Salton, Buckley (1988), "Term-weighting approaches in automatic text retrieval", with the
    logarithmic count of table 6.1 in Manning, Raghavan, Schütze (2008); both ones beside the
    fraction keep a term that every item has from vanishing.

    Args:
        terms: a list of terms per item.
        min_items: terms of fewer items are dropped: they liken nothing to anything.
    """
    counts = (
        terms.rename("term")
        .to_frame()
        .with_row_index("row")
        .explode("term")
        .drop_nulls()
        .group_by("row", "term")
        .len("count")
        .with_columns(items=pl.len().over("term"))
    )
    n = counts["row"].n_unique()
    kept = counts.filter(pl.col("items") >= min_items).sort("row", "term")
    names = kept["term"].unique().sort()
    column = kept["term"].cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int32)
    weight = (1 + np.log(kept["count"].to_numpy())) * (1 + np.log((1 + n) / (1 + kept["items"].to_numpy())))
    row = kept["row"].to_numpy().astype(np.int32)
    shape = (len(terms), len(names))
    return normalised_rows(sp.csr_array((weight.astype(np.float32), (row, column)), shape=shape))


def normalised_rows(matrix: sp.csr_array) -> sp.csr_array:
    """The matrix with every row scaled to length one; rows of zeros stay."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    squares = np.bincount(row, weights=matrix.data.astype(np.float64) ** 2, minlength=matrix.shape[0])
    scale = 1 / np.sqrt(np.where(squares > 0, squares, 1))
    data = (matrix.data * scale[row]).astype(np.float32)
    return sp.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
