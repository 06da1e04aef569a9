import json

import pytest

from marquee.benchmarking.holdouts import HoldoutConfig
from marquee.benchmarking.learn import LearnConfig
from marquee.benchmarking.measure import TWO_STAGE, UNION
from marquee.benchmarking.protocols import (
    given_benchmark,
    literature_benchmark,
    temporal_benchmark,
)
from marquee.benchmarking.seed import EASE_PLAIN, BenchmarkConfig
from marquee.errors import NotEnoughDataError, RequestError
from marquee.evaluation.significance import BootstrapConfig
from marquee.ranking.lightgbm import LightGbmConfig
from tests.factories import quick_config, taste_groups

LEARNING = LearnConfig(
    holdout=HoldoutConfig(folds=2),
    trees=LightGbmConfig(n_estimators=5, min_data_in_leaf=5),
    search_max_events=0,
)


def _config(**changes):
    given = {"ks": (3, 5), "seeds": (7,), "learning": LEARNING, "bootstrap": BootstrapConfig(resamples=100)}
    return BenchmarkConfig(training=quick_config(), **(given | changes))


@pytest.fixture
def files(tmp_path):
    """Two taste groups: everybody chose 6 of their 8 items; the other 2 are asked for."""

    def write(name, rows):
        (tmp_path / name).write_text("".join(f"{user}\t{item}\n" for user, item in rows), encoding="utf-8")
        return tmp_path / name

    pairs = [
        (f"u{user}", f"{'ab'[user % 2]}{item}", (user + item) % 8) for user in range(16) for item in range(8)
    ]
    train = write("train.tsv", [(user, item) for user, item, place in pairs if place > 1])
    test = write("test.tsv", [(user, item) for user, item, place in pairs if place <= 1])
    return train, test


def test_given_split_two_tastes_are_told_apart(files):
    found = given_benchmark(*files, _config(models=("ease", TWO_STAGE, "popular"))).to_dict()

    models = found["models"]
    assert models["ease"]["metrics"]["recall@3"] == 1  # both missing items are among the first three
    assert models[TWO_STAGE]["metrics"]["recall@3"] == 1
    assert models["popular"]["metrics"]["recall@3"] < 0.7
    assert found["n_queries"] == 16


def test_given_split_shows_every_model_and_can_be_written(files):
    found = given_benchmark(*files, _config()).to_dict()

    assert {TWO_STAGE, UNION, EASE_PLAIN, "ease", "als", "popular", "kernel"} <= set(found["models"])
    assert "sequential" not in found["models"]
    assert json.loads(json.dumps(found, allow_nan=False))["chosen"][0]["second_stage"]


def test_given_split_same_seed_gives_the_same_numbers(files):
    config = _config(models=("als", TWO_STAGE))

    first, again = (given_benchmark(*files, config).to_dict()["models"] for _ in range(2))

    assert {name: each["metrics"] for name, each in first.items()} == {
        name: each["metrics"] for name, each in again.items()
    }


def test_given_split_with_later_test_events_reads_the_order(tmp_path):
    for name, days in (("train", range(8)), ("test", range(8, 10))):
        rows = [f"u{user},i{(user + day) % 12},5,{day * 86_400}\n" for user in range(12) for day in days]
        (tmp_path / name).write_text("".join(rows), encoding="utf-8")

    found = given_benchmark(tmp_path / "train", tmp_path / "test", _config()).to_dict()

    assert "sequential" in found["models"]
    assert any("order counts" in note for note in found["notes"])
    # Everybody goes on to the next number: who reads the order sees that.
    assert (
        found["models"]["sequential"]["metrics"]["ndcg@3"] > found["models"]["popular"]["metrics"]["ndcg@3"]
    )


def test_given_split_counts_users_and_items_that_never_trained(files):
    train, test = files
    test.write_text(test.read_text(encoding="utf-8") + "stranger\ta0\nu0\tnew\n", encoding="utf-8")

    found = given_benchmark(train, test, _config(models=("popular",))).to_dict()

    assert found["n_queries"] == 16
    assert "1 test users and 1 test items have no training event." in found["notes"]


def test_given_split_with_only_strangers_is_refused(files):
    train, test = files
    test.write_text("stranger\ta0\n", encoding="utf-8")

    with pytest.raises(NotEnoughDataError, match="no user of the test part"):
        given_benchmark(train, test, _config(models=("popular",)))


def test_negatives_make_the_task_easier(files, tmp_path):
    negatives = tmp_path / "negatives.tsv"
    negatives.write_text("".join(f"u{user}\t{'ba'[user % 2]}0\n" for user in range(16)), encoding="utf-8")

    free = given_benchmark(*files, _config(models=("popular",))).to_dict()
    bound = given_benchmark(*files, _config(models=("popular",)), negatives=negatives).to_dict()

    # Three candidates, two of them right: recall at 3 is whole for anybody.
    assert bound["models"]["popular"]["metrics"]["recall@3"] == 1
    assert free["models"]["popular"]["metrics"]["recall@3"] < 1


def test_unknown_model_is_named_with_those_that_there_are(files):
    with pytest.raises(RequestError, match=r"--models magic.*two_stage"):
        given_benchmark(*files, _config(models=("magic",)))


def test_literature_draws_a_split_a_seed():
    found = literature_benchmark(taste_groups(), _config(seeds=(7, 11), models=("popular", "ease"))).to_dict()

    assert len(found["models"]["popular"]["per_seed"]) == 2
    assert found["models"]["popular"]["per_seed"][0] != found["models"]["popular"]["per_seed"][1]
    assert found["best_route"] == "ease"


def test_temporal_measures_what_train_measures():
    from tests.factories import state_of, trained

    config = _config(ks=(10,), seeds=(7,))
    data = taste_groups()

    recipe = config.model_copy(update={"training": quick_config()})
    found = temporal_benchmark(data, recipe, state_of(data)).to_dict()

    expected = trained(data).assessment.evaluation.means
    for name in (TWO_STAGE, "ease", "popular"):
        assert found["models"][name]["metrics"]["ndcg@10"] == pytest.approx(expected[name]["ndcg@10"])
