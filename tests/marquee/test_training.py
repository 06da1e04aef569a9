import numpy as np
import pytest

from marquee.assessment import TWO_STAGE
from marquee.bundle import write_bundle
from marquee.data.histories import Queries
from marquee.data.splits import consumed
from marquee.errors import NotEnoughDataError
from marquee.packing import pack
from marquee.recommend import Recommender
from marquee.training import FirstStage, StageClock, collect_training_set, train
from tests.factories import events, quick_config, taste_groups, with_events


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
    return train(dataset, quick_config(), observer=heard)


def bundle_id(recommender, dataset, path):
    return write_bundle(path, pack(recommender, dataset.movies), content={}, provenance={}).bundle_id


def test_train_twice_gives_the_same_bundle(dataset, result, tmp_path):
    again = train(taste_groups(), quick_config())

    for part in ("recommender", "evaluated"):
        one, two = getattr(result, part), getattr(again, part)
        assert bundle_id(one, dataset, tmp_path / f"{part}1") == bundle_id(
            two, dataset, tmp_path / f"{part}2"
        )
    assert again.assessment.to_dict() == result.assessment.to_dict()


def test_train_other_seed_gives_another_bundle(dataset, result, tmp_path):
    other = train(dataset, quick_config(seed=8))

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
    assert result.evaluated.catalogue.statistics.as_of_us == result.split.cut_us
    assert result.recommender.catalogue.statistics.as_of_us == events_after.timestamp_us[-1]
    assert result.recommender.ranker is result.evaluated.ranker


def test_train_champion_of_another_recipe_takes_part(dataset):
    champion = quick_config(union={"depth": 5})

    result = train(dataset, quick_config(), champion=champion)

    assert "champion" in result.assessment.evaluation.means
    assert "champion: ranker" in result.seconds


def test_train_champion_of_the_same_recipe_is_not_trained_twice(dataset, result):
    same = train(dataset, quick_config(), champion=quick_config())

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
        train(with_events(dataset, events(*rows)), quick_config(training_set={"min_events": 50}))

    assert caught.value.remedy


# --- the training set -----------------------------------------------------------------------------


def rows_of(dataset, **knobs):
    base = {"windows": 3, "min_events": 3, "history_shares": [0.5]}
    stage = FirstStage.of(dataset, quick_config(training_set=base | knobs))
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

    assert len({recommender.catalogue.statistics.as_of_us for recommender, _ in asked}) == 3
    for recommender, queries in asked:
        as_of_us = recommender.catalogue.statistics.as_of_us
        assert (queries.time_us > as_of_us).all()
        assert recommender.routes["popular"].counts.sum() == (chosen.timestamp_us <= as_of_us).sum()


def test_stage_clock_stage_that_fails_is_not_finished():
    heard = Heard()
    clock = StageClock(heard)

    with pytest.raises(KeyError), clock.stage("broken"):
        raise KeyError

    assert heard.began == ["broken"]
    assert heard.finished == clock.seconds == {}
