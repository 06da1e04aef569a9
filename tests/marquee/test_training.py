from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from marquee import schema
from marquee.assessment import TWO_STAGE
from marquee.bundle import write_bundle
from marquee.data.histories import Queries
from marquee.data.splits import consumed
from marquee.errors import NotEnoughDataError
from marquee.features.recorded import RecordedReader, record
from marquee.observing import StageClock
from marquee.packing import pack
from marquee.recommend import Recommender
from marquee.training import Rival, collect_training_set, train
from marquee.training_moments import questions_of
from tests.factories import (
    DAY_S,
    SECOND_US,
    events,
    histories,
    quick_config,
    stage_of,
    state_of,
    taste_groups,
    trained,
    with_events,
)


class Heard:
    """An observer that notes what it hears."""

    def __init__(self):
        self.began: list[str] = []
        self.finished: dict[str, float] = {}
        self.shares: list[float] = []

    def begin(self, stage):
        self.began.append(stage)

    def advance(self, done, total):
        self.shares.append(done / total)

    def finish(self, stage, seconds):
        self.finished[stage] = seconds


@pytest.fixture(scope="module")
def dataset():
    return taste_groups()


@pytest.fixture(scope="module")
def heard():
    return Heard()


@pytest.fixture(scope="module")
def result(dataset, heard):
    return trained(dataset, observer=heard)


def bundle_id(recommender, dataset, path):
    return write_bundle(path, pack(recommender, dataset.movies), content={}, provenance={}).bundle_id


def test_train_twice_gives_the_same_bundle(dataset, result, tmp_path):
    again = trained(taste_groups())

    for part in ("recommender", "evaluated"):
        one, two = getattr(result, part), getattr(again, part)
        assert bundle_id(one, dataset, tmp_path / f"{part}1") == bundle_id(
            two, dataset, tmp_path / f"{part}2"
        )
    assert again.assessment.to_dict() == result.assessment.to_dict()


def test_train_other_seed_gives_another_bundle(dataset, result, tmp_path):
    other = trained(dataset, quick_config(seed=8))

    assert bundle_id(other.recommender, dataset, tmp_path / "a") != bundle_id(
        result.recommender, dataset, tmp_path / "b"
    )


def test_train_two_stage_beats_popular_and_finds_the_taste(result):
    means = result.assessment.evaluation.means

    assert means[TWO_STAGE]["ndcg@10"] > 2 * means["popular"]["ndcg@10"]
    assert means[TWO_STAGE]["ndcg@10"] > means["union"]["ndcg@10"]


def test_train_tells_of_every_stage(result, heard):
    stages = ["split", "training set", "ranker", "candidates", "evaluate", "refit on all events"]

    assert heard.began == list(heard.finished) == list(result.seconds) == stages
    assert heard.finished == result.seconds
    assert all(0 <= share <= 1 for share in heard.shares)
    assert heard.shares.count(1) >= 3  # training set, ranker and evaluation each end at the end


def test_train_evaluated_learned_before_the_cut_and_the_final_from_all(dataset, result):
    events_after = consumed(dataset.interactions)
    before = events_after.timestamp_us <= result.split.cut_us

    assert result.evaluated.routes["popular"].counts.sum() == before.sum()
    assert result.recommender.routes["popular"].counts.sum() == len(events_after)
    assert result.evaluated.catalogue.states.moments_us.tolist() == [result.split.cut_us]
    assert result.recommender.ranker is result.evaluated.ranker


def test_train_final_state_is_of_the_midnight_after_the_last_event_and_counts_all(dataset, result):
    chosen = consumed(dataset.interactions)
    states = result.recommender.catalogue.states

    (moment_us,) = states.moments_us.tolist()
    assert 0 < moment_us - chosen.timestamp_us[-1] <= DAY_S * SECOND_US
    assert moment_us % (DAY_S * SECOND_US) == 0
    counts = np.nan_to_num(states.column(schema.ITEM_EVENTS_ALL)[0])
    np.testing.assert_array_equal(counts, np.bincount(chosen.item_index, minlength=len(chosen.items)))


def test_train_is_measured_on_what_was_known_at_each_moment(dataset, result):
    test, chosen = result.test, consumed(dataset.interactions)

    assert test.queries.time_us.tolist() == result.split.test.time_us.tolist()
    for query, user in enumerate(test.queries.user_index):
        own = chosen.take(chosen.user_index == user)
        known = own.timestamp_us <= test.queries.time_us[query]
        history = test.queries.histories.take(np.array([query]))
        assert sorted(history.item_index.tolist()) == sorted(own.item_index[known].tolist())
        assert set(test.targets[query].tolist()) == set(own.item_index[~known].tolist())


def test_train_without_a_view_has_none_of_its_features_and_learns_another_ranker(dataset, result):
    views = (schema.MOVIE_PUBLICITY_VIEW, schema.REQUEST_CONTEXT)

    fewer = trained(dataset, quick_config(features={"views_off": views}))

    left_out = set(result.recommender.feature_names) - set(fewer.recommender.feature_names)
    assert left_out == {*schema.FEATURE_VIEWS[schema.MOVIE_PUBLICITY_VIEW], *schema.CONTEXT_NUMBERS}
    assert set(fewer.recommender.ranker.importance()) == set(fewer.recommender.feature_names)


def test_train_large_enough_a_catalogue_is_indexed_and_what_is_measured_is_not_touched(dataset, result):
    indexed = trained(dataset, quick_config(similar={"index_from_items": len(result.recommender.items)}))

    index = indexed.recommender.similar_index
    assert result.recommender.similar_index is None  # by default such a small one is looked through
    assert index is not None
    assert index.model is indexed.recommender.routes["als"]
    assert indexed.evaluated.similar_index is None


def test_questions_of_foresees_all_that_training_asks_for(dataset, result, tmp_path):
    def refused():
        raise AssertionError("training asked for state that was not foreseen")

    record(state_of(dataset), questions_of(dataset, quick_config()), tmp_path)
    again = train(dataset, quick_config(), RecordedReader(tmp_path, {}, refused))

    assert again.assessment.to_dict() == result.assessment.to_dict()
    assert again.recommender.ranker.to_text() == result.recommender.ranker.to_text()


def test_train_champion_takes_part_with_the_model_that_was_measured_where_it_learned_from_the_same(
    dataset, result
):
    asked = []

    def measured(snapshot, cut_us):
        asked.append((snapshot, cut_us))
        return result.evaluated

    rival = Rival(quick_config(union={"depth": 5}), measured)
    means = trained(dataset, champion=rival).assessment.evaluation.means

    assert asked == [(dataset.snapshot_id, result.split.cut_us)]
    # The very same model, not that of another depth.
    assert means["champion"]["ndcg@10"] == means[TWO_STAGE]["ndcg@10"]


def test_train_champion_of_another_recipe_takes_part(dataset):
    champion = quick_config(union={"depth": 5})

    result = trained(dataset, champion=Rival(champion))

    assert "champion" in result.assessment.evaluation.means
    assert "champion: ranker" in result.seconds


def test_train_champion_of_the_same_recipe_is_not_trained_twice(dataset, result):
    same = trained(dataset, champion=Rival(quick_config()))

    assert list(same.seconds) == list(result.seconds)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [("a", "x", 1)],
        [(f"u{user}", f"i{item}", 7) for user in range(9) for item in range(9)],
        [(f"u{user}", f"i{item}", 10 * user + item, None, "click") for user in range(9) for item in range(9)],
        # Everybody appears after the cut only: there is no past to make training rows from.
        [*(("z", f"i{at:03}", at) for at in range(200)), *(("a", f"i{at:03}", 300 + at) for at in range(40))],
    ],
    ids=["no event", "one event", "one moment", "clicks only", "one user in the past"],
)
def test_train_on_too_little_is_refused_with_a_remedy(dataset, rows):
    with pytest.raises(NotEnoughDataError) as caught:
        trained(with_events(dataset, events(*rows)), quick_config(training_set={"min_events": 50}))

    assert caught.value.remedy


# --- the training set -----------------------------------------------------------------------------


def rows_of(dataset, **knobs):
    base = {"windows": 3, "min_events": 3, "history_shares": [0.5]}
    stage = stage_of(dataset, quick_config(training_set=base | knobs))
    return collect_training_set(consumed(dataset.interactions), stage)


def test_collect_training_set_groups_and_columns_are_whole(dataset):
    found = rows_of(dataset)

    assert found.group_sizes.sum() == len(found.labels) == len(found.features)
    assert found.features.shape[1] == len(found.feature_names)
    starts = np.cumsum(found.group_sizes) - found.group_sizes
    assert (np.add.reduceat(found.labels, starts) >= 1).all()  # each query has a hit


def test_collect_training_set_more_windows_and_shares_give_more_queries(dataset):
    few = len(rows_of(dataset, windows=1).group_sizes)

    assert len(rows_of(dataset, windows=3).group_sizes) > few
    assert len(rows_of(dataset, windows=1, history_shares=[0.3, 0.7]).group_sizes) > few


def test_collect_training_set_asks_no_more_than_it_may(dataset):
    assert len(rows_of(dataset, max_queries=10).group_sizes) <= 10


def test_collect_training_set_first_stage_of_a_window_knows_nothing_of_it(dataset, monkeypatch):
    asked: list[tuple[Recommender, Queries]] = []
    propose = Recommender.propose

    def noting(self, queries, *arguments):
        asked.append((self, queries))
        return propose(self, queries, *arguments)

    monkeypatch.setattr(Recommender, "propose", noting)
    rows_of(dataset)
    chosen = consumed(dataset.interactions)

    learned_from = {int(recommender.routes["popular"].counts.sum()) for recommender, _ in asked}
    assert len(learned_from) == 3
    for recommender, queries in asked:
        n_learned = int(recommender.routes["popular"].counts.sum())
        assert (queries.time_us >= chosen.timestamp_us[n_learned - 1]).all()
        assert n_learned == (chosen.timestamp_us <= chosen.timestamp_us[n_learned - 1]).sum()


@pytest.mark.parametrize("newcomers", [True, False])
def test_collect_training_set_asks_newcomers_only_if_wanted(dataset, monkeypatch, newcomers):
    lengths: list[int] = []
    propose = Recommender.propose

    def noting(self, queries, *arguments):
        lengths.extend(queries.histories.lengths)
        return propose(self, queries, *arguments)

    monkeypatch.setattr(Recommender, "propose", noting)
    rows_of(dataset, window_share=0.3, newcomers=newcomers)

    assert (0 in lengths) == newcomers


def test_collect_training_set_movies_are_as_of_the_day_of_each_request(dataset, monkeypatch):
    asked: list[tuple[Recommender, Queries]] = []
    propose = Recommender.propose

    def noting(self, queries, *arguments):
        asked.append((self, queries))
        return propose(self, queries, *arguments)

    monkeypatch.setattr(Recommender, "propose", noting)
    rows_of(dataset)

    day_us = DAY_S * SECOND_US
    for recommender, queries in asked:
        states = recommender.catalogue.states
        read = states.moments_us[states.moment_of(queries.time_us)]
        np.testing.assert_array_equal(read, queries.time_us // day_us * day_us)


def test_first_stage_content_knows_a_movie_before_its_first_event_and_texts(dataset):
    everything = consumed(dataset.interactions)
    new = int(everything.item_index[0])
    chosen = everything.take(everything.item_index != new)
    told = dataset.movies.with_columns(pl.lit("heist", pl.String).alias(schema.DESCRIPTION))
    config = quick_config(routes={"enabled": ["content"]})

    one, other = (
        stage_of(replace(dataset, movies=movies), config)
        .fit(chosen, until_us=int(chosen.timestamp_us[-1]))
        .routes["content"]
        for movies in (dataset.movies, told)
    )

    assert np.isfinite(one.score(histories(()))[0, new])
    assert other.features.shape[1] == one.features.shape[1] + 1  # the word of the description


def test_stage_clock_stage_that_fails_is_not_finished():
    heard = Heard()
    clock = StageClock(heard)

    with pytest.raises(KeyError), clock.stage("broken"):
        raise KeyError

    assert heard.began == ["broken"]
    assert heard.finished == clock.seconds == {}
