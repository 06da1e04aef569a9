import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from marquee.errors import ConfigError
from marquee.ranking.rankers import RankerConfig, fit_ranker
from marquee.ranking.search import STUDY, Search, SearchConfig, SearchResult, Validation, read_study
from marquee.ranking.search_space import SearchSpace
from tests.conformance import separable

SPACE = SearchSpace.model_validate(
    {
        "boosters": ["lightgbm", "xgboost"],
        "lightgbm": {
            "n_estimators": {"type": "int", "min": 2, "max": 8, "step": 2},
            "num_leaves": {"type": "int", "min": 2, "max": 16, "scale": "log"},
        },
        "xgboost": {
            "n_estimators": {"type": "choice", "values": [2, 4]},
            "learning_rate": {"type": "float", "min": 0.01, "max": 0.3, "scale": "log"},
        },
    }
)
START = RankerConfig.model_validate(
    {"lightgbm": {"n_estimators": 9, "num_leaves": 4, "min_data_in_leaf": 5}, "xgboost": {"n_estimators": 9}}
)
BUDGET = SearchConfig(trials=6, seconds=600, check_every=2, rounds_of_grace=0, startup_trials=4)


def answers_found(scores: np.ndarray) -> float:
    """Mean probability that a softmax of the scores gives the answers of `separable(seed=1)`."""
    weights = np.exp(scores.reshape(-1, 10))
    return float(
        (weights / weights.sum(axis=1, keepdims=True))[separable(seed=1).labels.reshape(-1, 10) == 1].mean()
    )


SEARCH = Search(
    separable(), Validation(separable(seed=1).features, answers_found), SPACE, START, BUDGET, seed=3
)


def run(path: Path, search: Search = SEARCH, **budget: float) -> SearchResult:
    within = search.config.model_copy(update=budget)
    return replace(search, config=within).run(path, identity={"data": "x"}, on_trial=lambda _n, _s: None)


def tried(result: SearchResult) -> list[tuple[object, float, bool]]:
    return [(trial.point, trial.value, trial.is_pruned) for trial in result.trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> SearchResult:
    return run(tmp_path_factory.mktemp("whole") / "study.db")


def test_search_starts_from_the_configured_rankers(whole):
    assert whole.trials[0].point == {
        "booster": "lightgbm", "lightgbm.n_estimators": 8, "lightgbm.num_leaves": 4,  # 9 is beyond 8
    }  # fmt: skip
    assert whole.trials[1].point == {
        "booster": "xgboost", "xgboost.n_estimators": 4, "xgboost.learning_rate": 0.05,
    }  # fmt: skip
    assert whole.start_trial == whole.trials[0]


def test_search_best_is_the_highest_of_the_whole_trials(whole):
    values = [trial.value for trial in whole.trials if not trial.is_pruned]

    assert len(whole.trials) == 6
    assert whole.best_trial.value == max(values)


def test_search_best_ranker_has_the_value_that_the_trial_had(whole):
    ranker = fit_ranker(separable(), whole.best, seed=3)

    assert answers_found(ranker.score(separable(seed=1).features)) == pytest.approx(whole.best_trial.value)


def test_search_knobs_outside_the_space_stay_as_configured(whole):
    assert whole.best.lightgbm.min_data_in_leaf == 5


def test_search_same_seed_tries_the_same(whole, tmp_path):
    assert tried(run(tmp_path / "again.db")) == tried(whole)


def test_search_other_seed_tries_others(whole, tmp_path):
    other = run(tmp_path / "other.db", replace(SEARCH, seed=4))

    assert [trial.point for trial in other.trials] != [trial.point for trial in whole.trials]


def test_search_in_two_calls_tries_what_one_call_tries(whole, tmp_path):
    first = run(tmp_path / "study.db", trials=3)
    second = run(tmp_path / "study.db")

    assert tried(first) == tried(whole)[:3]
    assert tried(second) == tried(whole)


@pytest.mark.parametrize("dies_at", [0, 1, 4])
def test_search_killed_within_a_trial_goes_on_with_that_trial(whole, tmp_path, dies_at):
    n_measured = []

    def dies(scores: np.ndarray) -> float:
        n_finished = len(optuna.load_study(
            study_name=STUDY, storage=f"sqlite:///{tmp_path / 'study.db'}"
        ).get_trials(states=(optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)))  # fmt: skip
        n_measured.append(n_finished)
        if n_finished == dies_at:
            raise KeyboardInterrupt
        return answers_found(scores)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "study.db", replace(SEARCH, validation=replace(SEARCH.validation, measure=dies)))

    assert n_measured[-1] == dies_at
    assert tried(run(tmp_path / "study.db")) == tried(whole)


def test_search_without_time_makes_one_trial_and_no_more(tmp_path):
    assert len(run(tmp_path / "study.db", seconds=1e-9).trials) == 1


def test_search_spent_study_only_reports(whole, tmp_path):
    run(tmp_path / "study.db")

    again = run(tmp_path / "study.db")

    assert tried(again) == tried(whole)


def test_search_gives_bad_trials_up(tmp_path):
    def worse_each_time(scores: np.ndarray) -> float:
        calls.append(len(scores))
        return -float(len(calls))

    calls: list[int] = []
    validation = replace(SEARCH.validation, measure=worse_each_time)
    impatient = BUDGET.model_copy(update={"startup_trials": 2})

    result = run(tmp_path / "study.db", replace(SEARCH, validation=validation, config=impatient))

    assert not result.trials[0].is_pruned
    assert any(trial.is_pruned for trial in result.trials)
    assert not result.best_trial.is_pruned


def test_search_without_pruner_gives_nothing_up(tmp_path):
    patient = replace(SEARCH, config=BUDGET.model_copy(update={"pruner": "none"}))

    assert not any(trial.is_pruned for trial in run(tmp_path / "study.db", patient).trials)


@pytest.mark.parametrize(
    ("other", "key"),
    [
        ({"seed": 4}, "seed"),
        ({"start": RankerConfig()}, "start"),
        ({"space": SPACE.model_copy(update={"boosters": ("xgboost",)})}, "space"),
    ],
)
def test_search_another_in_the_same_file_is_refused(tmp_path, other, key):
    run(tmp_path / "study.db", trials=1)

    with pytest.raises(ConfigError, match=rf"another|other data, space, seed or knobs: {key}"):
        run(tmp_path / "study.db", replace(SEARCH, **other))


def test_search_on_other_data_is_refused(tmp_path):
    run(tmp_path / "study.db", trials=1)

    with pytest.raises(ConfigError, match="knobs: data"):
        SEARCH.run(tmp_path / "study.db", identity={"data": "y"}, on_trial=lambda _n, _s: None)


def test_search_file_that_is_no_study_is_refused(tmp_path):
    (tmp_path / "study.db").write_text("no database, but quite a few words " * 50)

    with pytest.raises(ConfigError, match=r"study\.db is no study"):
        run(tmp_path / "study.db")


def test_search_leaves_the_file_closed(tmp_path):
    run(tmp_path / "study.db", trials=1)

    with sqlite3.connect(tmp_path / "study.db", timeout=0) as connection:
        connection.execute("BEGIN EXCLUSIVE")
    connection.close()


def test_search_tells_of_every_trial(tmp_path):
    heard: list[int] = []

    replace(SEARCH, config=BUDGET.model_copy(update={"trials": 3})).run(
        tmp_path / "study.db", identity={}, on_trial=lambda n, _seconds: heard.append(n)
    )

    assert heard == [0, 1, 2, 3]


def test_search_importances_are_shares_of_the_best_boosters_knobs(tmp_path):
    result = run(tmp_path / "study.db", trials=12, pruner="none")

    assert set(result.importances) == {name for name in result.best_trial.point if name != "booster"}
    assert sum(result.importances.values()) == pytest.approx(1)


# --- reading a study back -----------------------------------------------------------------------------


def test_read_study_gives_what_the_search_gave(tmp_path):
    made = run(tmp_path / "study.db")
    before = (tmp_path / "study.db").read_bytes()

    found, space = read_study(tmp_path / "study.db")

    assert tried(found) == tried(made)
    assert (found.best, found.best_trial.number, found.importances) == (
        made.best, made.best_trial.number, made.importances,
    )  # fmt: skip
    assert space == SPACE
    assert (tmp_path / "study.db").read_bytes() == before


def test_read_study_that_is_not_there_is_refused_and_not_made(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_study(tmp_path / "none.db")

    assert "no such file" in caught.value.problem
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("content", [b"no database", b""])
def test_read_study_of_another_file_is_refused(tmp_path, content):
    path = tmp_path / "study.db"
    path.write_bytes(content)

    with pytest.raises(ConfigError):
        read_study(path)


def test_read_study_of_somebody_elses_study_is_refused(tmp_path):
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    optuna.create_study(storage=storage, study_name=STUDY)
    storage.remove_session()
    storage.engine.dispose()

    with pytest.raises(ConfigError):
        read_study(tmp_path / "study.db")
