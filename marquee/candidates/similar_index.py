"""Similar items without looking at each: a nearest-neighbour index over a route's item factors.

Looking at each costs time in proportion to the catalogue, and stays the way of small ones. From a
configured size on an index made with the model answers instead; it is approximate, and benchmarks/
shows how much of the exact list it finds.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee.candidates.route import Arrays, Route
from marquee.errors import BundleError

LINKS: Final = 32
"""Neighbours of an item in the HNSW graph (M of the paper); twice as many on the lowest level."""
BREADTH: Final = 128
"""Items that a search of the graph keeps in view (ef of the paper), or as many as it returns."""
DEEPEST: Final = 2_000
"""Most items that an index is asked for; looking at each is no slower then."""
WIDTH: Final[Mapping[str, int]] = {"hnsw": 2, "lsh": 10}
"""Items that an index is asked for per item of the list: its own order of hashes is rough."""


class SimilarConfig(BaseModel):
    """How similar items are found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: Literal["exact", "hnsw", "lsh"] = "hnsw"
    """Index of a large catalogue: a graph of neighbours, or random-hyperplane hashes; exact: never one."""
    index_from_items: int = Field(default=50_000, ge=1)
    """Catalogues of fewer items are looked through item by item."""
    lsh_bits: int = Field(default=1_024, ge=8, le=65_536, multiple_of=8)
    """Length of the hashes."""


@runtime_checkable
class LatentRoute(Route, Protocol):
    """A route whose `similar` is the cosine between the factors of known items."""

    @property
    def item_factors(self) -> NDArray[np.float32]:
        """`(n_items, n_factors)`."""
        ...

    @property
    def known(self) -> NDArray[np.bool_]:
        """`(n_items,)` items that have factors worth comparing."""
        ...


class Neighbours(NamedTuple):
    """Items most like one, best first; equally like ones by ascending index."""

    item_index: NDArray[np.int32]  # (n,)
    score: NDArray[np.float32]  # (n,) cosine, calculated from the factors


@dataclass(frozen=True, eq=False)
class SimilarIndex:
    """Finds the items most like one among the known items of a latent route.

    Equal factors, knobs and seed give an equal index. Any number of threads may ask.

    Source: Malkov, Yashunin (2020), "Efficient and Robust Approximate Nearest Neighbor Search Using
    Hierarchical Navigable Small World Graphs", algorithms 1 and 5; Charikar (2002), "Similarity
    Estimation Techniques from Rounding Algorithms", section 3 (random hyperplanes). Both as in faiss.
    """

    kind: str
    model: LatentRoute
    built: Any  # a faiss index: row r is the r-th known item

    @classmethod
    def fit(cls, model: LatentRoute, config: SimilarConfig, *, seed: int) -> Self:
        """Index the known items of a route.

        Raises:
            ValueError: the configured index is none.
        """
        import faiss  # noqa: PLC0415 - 40 ms and 60 MB that a small catalogue does without

        vectors = _unit_rows(model.item_factors[model.known])
        built: Any
        if config.index == "hnsw":
            built = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
            built.hnsw.rng = faiss.RandomGenerator(seed)  # type: ignore[attr-defined]  # not in its stubs
        elif config.index == "lsh":
            built = faiss.IndexLSH(vectors.shape[1], config.lsh_bits, True, False)
            built.rrot.init(seed)
        else:
            raise ValueError(f"{config.index!r} is no index")
        with _one_thread():
            built.add(vectors)
        return cls(config.index, model, built)

    @cached_property
    def items(self) -> NDArray[np.int32]:
        """Item index of each row of the index, ascending."""
        return np.flatnonzero(self.model.known).astype(np.int32)

    def nearest(self, item_index: int, n: int, *, hidden: NDArray[np.bool_]) -> Neighbours | None:
        """The best `n` items by likeness to one, itself left out.

        The index is asked for more than `n`, the more the more is hidden, and what is hidden is then
        left out.

        Args:
            item_index: the one.
            n: length of the list.
            hidden: `(n_items,)` items that may not be shown.

        Returns:
            None where fewer than `n` are left, or would have to be searched too deep: the caller then
            looks at each.
        """
        shown_share = 1 - np.count_nonzero(hidden) / len(hidden)
        depth = int((n * WIDTH[self.kind] + 1) / shown_share) if shown_share > 0 else DEEPEST + 1
        if depth > DEEPEST or not self.model.known[item_index]:
            return None
        query = _unit_rows(self.model.item_factors[[item_index]])
        items = self.items[self._rows(query, min(depth, len(self.items)))]
        items = items[~hidden[items] & (items != item_index)]
        if len(items) < n:
            return None
        score = _unit_rows(self.model.item_factors[items]) @ query[0]
        best = np.lexsort((items, -score))[:n]
        return Neighbours(items[best], score[best])

    def _rows(self, query: NDArray[np.float32], n: int) -> NDArray[np.int64]:
        """At most `n` rows of the index near a `(1, n_factors)` query."""
        import faiss  # noqa: PLC0415

        # What is set on the index itself would be shared by all threads that ask it.
        how = None
        if self.kind == "hnsw":
            how = faiss.SearchParametersHNSW(efSearch=max(BREADTH, n))  # type: ignore[attr-defined]  # as above
        with _one_thread():
            rows = self.built.search(query, n, params=how)[1][0]
        return np.asarray(rows[rows >= 0], np.int64)  # padded with -1 where the graph leads no further

    def arrays(self) -> Arrays:
        """The index as faiss writes it, `uint8`, by its kind."""
        import faiss  # noqa: PLC0415

        return {self.kind: np.asarray(faiss.serialize_index(self.built), np.uint8)}

    @classmethod
    def from_arrays(cls, model: LatentRoute, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild the index of a route from what `arrays` gave.

        Raises:
            BundleError: it is no index that this release reads, or one of other items.
        """
        import faiss  # noqa: PLC0415

        ((kind, stored),) = arrays.items()
        try:
            built = faiss.deserialize_index(np.asarray(stored, np.uint8))
        except RuntimeError as err:
            raise BundleError(
                f"the bundle's similar/{kind} is no index that faiss {faiss.__version__} reads.",
                remedy="Train again with this release.",
            ) from err
        expected = (int(model.known.sum()), model.item_factors.shape[1])
        if kind not in WIDTH or (built.ntotal, built.d) != expected:
            raise BundleError(
                f"the bundle's similar/{kind} has {built.ntotal} items × {built.d} factors where its route"
                f" {model.name} has {expected[0]} × {expected[1]}.",
                remedy="Train again.",
            )
        return cls(kind, model, built)


def index_similar(routes: Mapping[str, Route], config: SimilarConfig, *, seed: int) -> SimilarIndex | None:
    """Index the first latent route, if the catalogue is large enough and there is such a route."""
    model = _first_latent(routes)
    if model is None or config.index == "exact" or len(model.known) < config.index_from_items:
        return None
    return SimilarIndex.fit(model, config, seed=seed)


def read_similar_index(
    routes: Mapping[str, Route], arrays: Mapping[str, NDArray[np.generic]]
) -> SimilarIndex | None:
    """The index that `index_similar` made, of the stored arrays; None where there are none.

    Raises:
        BundleError: as `SimilarIndex.from_arrays`, or no route is latent.
    """
    if not arrays:
        return None
    model = _first_latent(routes)
    if model is None:
        raise BundleError(
            "the bundle has an index of similar items and no route of factors.", remedy="Train again."
        )
    return SimilarIndex.from_arrays(model, arrays)


def _first_latent(routes: Mapping[str, Route]) -> LatentRoute | None:
    return next((route for route in routes.values() if isinstance(route, LatentRoute)), None)


def _unit_rows(factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length one; a row of zeros stays."""
    norms = np.linalg.norm(factors, axis=1, keepdims=True)
    return np.asarray(factors / np.maximum(norms, np.finfo(np.float32).tiny), np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of faiss: more link the graph in another order each time, and one query needs no more."""
    import faiss  # noqa: PLC0415

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
