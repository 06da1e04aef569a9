from dataclasses import replace

import numpy as np
import pytest

from marquee import schema
from marquee.bundle import Bundle, read_manifest, write_bundle
from marquee.candidates.similar_index import SimilarConfig, index_similar
from marquee.errors import BundleError
from marquee.packing import DISPLAY_COLUMNS, Model, pack, unpack
from marquee.ranking.lightgbm import LightGbmRanker
from tests.factories import first_stage, movie_table, queries, quick_config, taste_groups
from tests.marquee.test_bundle import flip

ASKED = queries([(0, 5), (3, 9), (6, 9)], [], users=[2, -1])


class Trained:
    """A small recommender of both stages and the movies it knows."""

    def __init__(self):
        from marquee.ranking.ranker import TrainingSet

        self.dataset = taste_groups()
        recommender = first_stage(self.dataset)
        rng = np.random.default_rng(0)
        n_features = len(recommender.feature_names)
        rows = TrainingSet(
            rng.random((200, n_features)).astype(np.float32),
            np.tile([1, 0, 0, 0], 50).astype(np.int8),
            np.full(50, 4, np.int32),
            recommender.feature_names,
        )
        ranker = LightGbmRanker.fit(rows, quick_config().ranker.lightgbm, seed=1)
        self.recommender = recommender.with_ranker(ranker)
        self.content = {
            "routes": list(recommender.routes),
            "feature_order": list(recommender.feature_names),
            "movie_state_order": list(schema.MOVIE_STATE),
            "config": quick_config().model_dump(mode="json"),
        }

    def write(self, path, **content):
        parts = pack(self.recommender, self.dataset.movies)
        write_bundle(path, parts, content=self.content | content, provenance={})
        return path


@pytest.fixture(scope="module")
def trained():
    return Trained()


@pytest.fixture
def path(trained, tmp_path):
    return trained.write(tmp_path / "bundle")


@pytest.mark.parametrize("kind", ["hnsw", "lsh"])
def test_model_read_from_a_bundle_has_its_index_of_similar_items(trained, tmp_path, monkeypatch, kind):
    config = SimilarConfig(index=kind, index_from_items=1)
    index = index_similar(trained.recommender.routes, config, seed=1)
    indexed = replace(trained.recommender, similar_index=index)
    write_bundle(
        tmp_path / "bundle", pack(indexed, trained.dataset.movies), content=trained.content, provenance={}
    )

    read = Model.read(tmp_path / "bundle").recommender

    monkeypatch.setattr(type(read.routes["als"]), "similar", None)  # item by item is out of order
    np.testing.assert_array_equal(read.similar(4, 5).item_index, indexed.similar(4, 5).item_index)


def test_model_read_from_a_bundle_recommends_the_same(trained, path):
    before = trained.recommender.recommend(ASKED, 20)

    after = Model.read(path).recommender.recommend(ASKED, 20)

    np.testing.assert_array_equal(after.item_index, before.item_index)
    np.testing.assert_array_equal(after.score, before.score)


def test_model_read_from_a_bundle_predicts_the_same_stars(trained, path):
    pairs = np.array([0, 0, 1]), np.array([1, 4, 4], np.int32)

    before = trained.recommender.stars(ASKED.histories, *pairs)
    after = Model.read(path).recommender.stars(ASKED.histories, *pairs)

    assert np.isfinite(before).all()
    np.testing.assert_array_equal(after, before)


def test_model_of_a_bundle_without_ratings_has_no_stars(trained, tmp_path):
    parts = pack(replace(trained.recommender, ratings=None), trained.dataset.movies)
    write_bundle(tmp_path / "bundle", parts, content=trained.content, provenance={})

    assert Model.read(tmp_path / "bundle").recommender.ratings is None


def test_model_packed_again_is_the_same_files(trained, path):
    model = Model.read(path)

    again = pack(model.recommender, trained.dataset.movies)

    packed = pack(trained.recommender, trained.dataset.movies)
    assert again.arrays.keys() == packed.arrays.keys()
    for name, array in packed.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array, strict=True)
    assert again.texts == packed.texts
    assert all(again.tables[name].equals(table) for name, table in packed.tables.items())


def test_model_knows_what_is_shown_of_its_movies(trained, path):
    movies = Model.read(path).movies

    assert movies.columns == list(DISPLAY_COLUMNS)
    assert movies[schema.ITEM_ID].to_list() == trained.recommender.items.ids.to_list()
    assert movies[schema.TITLE][7] == "Movie 7"


def test_pack_movie_without_a_row_is_shown_by_its_id(trained):
    few = movie_table({schema.ITEM_ID: ["m003"], schema.TITLE: ["Third"]})

    shown = pack(trained.recommender, few).tables["movies"]

    assert len(shown) == len(trained.recommender.items)
    assert shown[schema.TITLE].drop_nulls().to_list() == ["Third"]
    assert pack(trained.recommender, None).tables["movies"][schema.TITLE].null_count() == len(shown)


def test_pack_without_ranker_is_refused(trained):
    with pytest.raises(ValueError, match="ranker"):
        pack(replace(trained.recommender, ranker=None), None)


def test_model_trained_on_another_feature_order_is_refused_with_both_names(trained, tmp_path):
    order = list(trained.content["feature_order"])
    order[0], order[1] = order[1], order[0]

    with pytest.raises(BundleError) as caught:
        Model.read(trained.write(tmp_path / "b", feature_order=order))

    assert order[0] in caught.value.problem
    assert order[1] in caught.value.problem


def test_model_trained_on_another_order_of_the_movies_state_is_refused_with_both_names(trained, tmp_path):
    order = list(schema.MOVIE_STATE)
    order[3], order[4] = order[4], order[3]

    with pytest.raises(BundleError) as caught:
        Model.read(trained.write(tmp_path / "b", movie_state_order=order))

    assert order[3] in caught.value.problem
    assert order[4] in caught.value.problem


def test_model_that_did_without_a_view_does_so_again(trained, tmp_path):
    views = (schema.MOVIE_PUBLICITY_VIEW, schema.USER_PROFILE_VIEW)
    config = quick_config(features={"views_off": views}).model_dump(mode="json")
    order = list(schema.ranking_features_without(tuple(trained.recommender.routes), views))

    found = Model.read(trained.write(tmp_path / "b", config=config, feature_order=order)).recommender

    assert found.views_off == views
    assert list(found.feature_names) == order
    features = found.propose(ASKED)[1]
    every = trained.recommender.propose(ASKED)[1]
    kept = [trained.recommender.feature_names.index(name) for name in order]
    np.testing.assert_array_equal(features, every[:, kept])


def test_model_trained_on_fewer_features_is_refused(trained, tmp_path):
    with pytest.raises(BundleError):
        Model.read(trained.write(tmp_path / "b", feature_order=trained.content["feature_order"][:-1]))


@pytest.mark.parametrize(
    "content",
    [
        {"routes": ["ease", "als", "unheard of"]},
        {"config": {}},
        {"config": {"union": {"depth": 0}}},
    ],
    ids=["unknown route", "no config", "impossible config"],
)
def test_model_whose_content_does_not_fit_is_refused(trained, tmp_path, content):
    with pytest.raises(BundleError):
        Model.read(trained.write(tmp_path / "b", **content))


def test_model_without_one_of_its_parts_is_refused(trained, path):
    bundle = Bundle.read(path)
    for kind in ("arrays", "tables", "texts"):
        for name in getattr(bundle.parts, kind):
            held = getattr(bundle.parts, kind)
            lacking = replace(
                bundle.parts, **{kind: {key: part for key, part in held.items() if key != name}}
            )

            with pytest.raises((KeyError, BundleError)):
                unpack(replace(bundle, parts=lacking))


def test_model_flipped_byte_in_any_file_is_refused_by_its_name(path):
    names = [*read_manifest(path).files, "manifest.json"]
    assert len(names) > 20
    for name in names:
        file = path / name
        intact = file.read_bytes()
        flip(file, len(intact) // 2)

        with pytest.raises(BundleError) as caught:
            Model.read(path)

        assert str(file) in caught.value.problem
        file.write_bytes(intact)
