import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.bundle import Bundle, Parts, write_bundle
from marquee.candidates.als import ImplicitAls
from marquee.candidates.popular import Popular
from marquee.candidates.similar_index import (
    DEEPEST,
    SimilarConfig,
    SimilarIndex,
    index_similar,
    read_similar_index,
)
from marquee.candidates.union import top_items
from marquee.errors import BundleError
from tests.factories import checkerboard

N_ITEMS, N_FACTORS = 3_000, 16
KINDS = ("hnsw", "lsh")
NOTHING = np.zeros(N_ITEMS, bool)


def latent(factors, known=None) -> ImplicitAls:
    return ImplicitAls(
        item_factors=np.asarray(factors, np.float32),
        known=np.ones(len(factors), bool) if known is None else np.asarray(known, bool),
        regularization=1.0,
        confidence=1.0,
        half_life_events=None,
    )


def clustered(seed: int = 0) -> ImplicitAls:
    """Factors around 40 centres, of any length, every 7th item unknown."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(40, N_FACTORS))
    directions = centres[rng.integers(40, size=N_ITEMS)] + 0.5 * rng.normal(size=(N_ITEMS, N_FACTORS))
    lengths = rng.uniform(0.1, 10, (N_ITEMS, 1))
    return latent(directions * lengths, np.arange(N_ITEMS) % 7 != 0)


def config(kind: str, **knobs: Any) -> SimilarConfig:
    return SimilarConfig.model_validate({"index": kind, "index_from_items": 1, **knobs})


@pytest.fixture(scope="module")
def als():
    return clustered()


@pytest.fixture(scope="module", params=KINDS)
def index(request, als):
    return SimilarIndex.fit(als, config(request.param), seed=3)


def exact(als: ImplicitAls, item: int, n: int) -> np.ndarray:
    return top_items(als.similar(item)[np.newaxis], n)[0]


def test_nearest_finds_nearly_all_of_the_exact_list(index, als):
    found = [index.nearest(item, 20, hidden=NOTHING).item_index for item in range(1, 700, 7)]

    expected = [exact(als, item, 20) for item in range(1, 700, 7)]
    hits = [np.isin(own, best).mean() for own, best in zip(found, expected, strict=True)]
    assert np.mean(hits) > 0.97


def test_nearest_scores_are_the_cosines_of_its_items_in_order(index, als):
    found = index.nearest(8, 30, hidden=NOTHING)

    assert found.item_index.dtype == np.int32
    assert found.score.dtype == np.float32
    np.testing.assert_allclose(found.score, als.similar(8)[found.item_index], rtol=1e-5)
    assert (np.diff(found.score) <= 0).all()


@given(st.integers(0, N_ITEMS - 1), st.integers(1, 60), st.integers(0, 2**32 - 1), st.floats(0, 1))
@settings(max_examples=40)
def test_nearest_is_a_full_list_of_known_items_that_may_be_shown_or_none(index, als, item, n, seed, share):
    hidden = np.random.default_rng(seed).random(N_ITEMS) < share

    found = index.nearest(item, n, hidden=hidden)

    if found is not None:
        assert len(set(found.item_index.tolist())) == n
        assert item not in found.item_index
        assert als.known[found.item_index].all()
        assert not hidden[found.item_index].any()


def test_nearest_asks_deeper_where_much_is_hidden(index, als):
    # A fifth may be shown: of the 2 · 20 + 1 that suffice when all may, some 8 would be left.
    hidden = np.random.default_rng(0).random(N_ITEMS) < 0.8

    found = index.nearest(8, 20, hidden=hidden)

    assert found is not None
    all_ranked = exact(als, 8, N_ITEMS)
    best = [item for item in all_ranked[all_ranked >= 0] if not hidden[item]][:20]
    assert np.isin(found.item_index, best).mean() >= 0.9


def test_nearest_where_too_few_may_be_shown_is_none(index):
    # 2999 of 3000 hidden: the index would be asked for at least 2 · 3000 items.
    hidden = np.ones(N_ITEMS, bool)
    hidden[9] = False

    assert index.nearest(8, 1, hidden=hidden) is None
    assert index.nearest(8, 1, hidden=np.ones(N_ITEMS, bool)) is None
    assert index.nearest(8, DEEPEST, hidden=NOTHING) is None


def test_nearest_to_an_unknown_item_is_none(index):
    assert index.nearest(7, 1, hidden=NOTHING) is None


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_of_equal_likeness_comes_by_index_and_zero_factors_are_like_nothing(kind):
    als = latent([[2, 0], [0, 0], [0, 3], [5, 0], [1, 0]])

    found = SimilarIndex.fit(als, config(kind), seed=0).nearest(3, 4, hidden=np.zeros(5, bool))

    assert found is not None
    assert found.item_index.tolist() == [0, 4, 1, 2]
    assert found.score.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_fit_equal_seed_gives_an_equal_index_and_another_seed_another(kind, als):
    one, again, other = (
        SimilarIndex.fit(als, config(kind), seed=seed).arrays()[kind].tobytes() for seed in (1, 1, 2)
    )

    assert one == again
    assert one != other


def test_fit_leaves_the_number_of_threads(als):
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(2)
    try:
        SimilarIndex.fit(als, config("hnsw"), seed=1).nearest(8, 3, hidden=NOTHING)
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)


def test_fit_longer_hashes_find_more(als):
    def recall(bits):
        index = SimilarIndex.fit(als, config("lsh", lsh_bits=bits), seed=1)
        found = [index.nearest(item, 10, hidden=NOTHING).item_index for item in range(1, 700, 14)]
        asked = [exact(als, item, 10) for item in range(1, 700, 14)]
        return np.mean([np.isin(own, best).mean() for own, best in zip(found, asked, strict=True)])

    assert recall(16) < recall(128)


def test_fit_of_no_index_is_refused(als):
    with pytest.raises(ValueError, match="exact"):
        SimilarIndex.fit(als, config("exact"), seed=1)


def test_nearest_asked_by_threads_at_once_is_as_asked_by_one(index):
    items = [item for item in range(400) if item % 7]
    alone = [index.nearest(item, 10, hidden=NOTHING).item_index.tolist() for item in items]

    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(lambda item: index.nearest(item, 10, hidden=NOTHING).item_index.tolist(), items)
        )

    assert together == alone


def test_index_similar_is_made_from_the_configured_size_on(als):
    routes = {"popular": Popular.fit(checkerboard()), "als": als}

    def made(**knobs):
        return index_similar(routes, SimilarConfig.model_validate(knobs), seed=1)

    assert made() is None
    assert made(index_from_items=N_ITEMS + 1) is None
    assert made(index="exact", index_from_items=1) is None
    index = made(index_from_items=N_ITEMS)
    assert index is not None
    assert (index.kind, index.model) == ("hnsw", als)


def test_index_similar_without_a_route_of_factors_is_none():
    routes = {"popular": Popular.fit(checkerboard())}

    assert index_similar(routes, config("lsh"), seed=1) is None


def test_arrays_through_a_bundle_give_an_equal_index(index, als, tmp_path):
    parts = Parts(arrays={f"similar/{key}": array for key, array in index.arrays().items()})
    write_bundle(tmp_path / "bundle", parts, content={}, provenance={})
    found = Bundle.read(tmp_path / "bundle").parts.under("similar")

    again = read_similar_index({"als": als}, found)

    assert again is not None
    assert again.kind == index.kind
    for item in (1, 8, 2_990):
        assert again.nearest(item, 30, hidden=NOTHING).item_index.tolist() == (
            index.nearest(item, 30, hidden=NOTHING).item_index.tolist()
        )


def test_read_similar_index_of_no_arrays_is_none(als):
    assert read_similar_index({"als": als}, {}) is None


def test_read_similar_index_torn_names_it(index, als):
    stored = {key: array[: len(array) // 2] for key, array in index.arrays().items()}

    with pytest.raises(BundleError, match=f"similar/{index.kind}"):
        read_similar_index({"als": als}, stored)


def test_read_similar_index_of_other_items_says_how_many(index, als):
    known = N_ITEMS - (N_ITEMS + 6) // 7
    fewer = latent(als.item_factors, np.arange(N_ITEMS) < 10)

    with pytest.raises(BundleError, match=rf"{known} items × 16 factors .* has 10 × 16"):
        read_similar_index({"als": fewer}, index.arrays())


def test_read_similar_index_without_its_route_is_refused(index):
    routes = {"popular": Popular.fit(checkerboard())}

    with pytest.raises(BundleError, match="no route of factors"):
        read_similar_index(routes, index.arrays())


def test_import_recommend_in_a_fresh_interpreter_does_not_load_faiss():
    program = "import marquee.recommend, sys; print('faiss' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "False"
