"""What steps hand to one another, and what they do with what is unfinished or damaged."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from marquee.errors import BundleError, NotEnoughDataError, StepError
from marquee.features.state.folder import StateFolder
from marquee.steps.build_training_set import build_training_set
from marquee.steps.folders import Data, Facts, Features, Rows, joined
from marquee.steps.knobs import read_config
from marquee.steps.materialize_features import materialize_features
from marquee.steps.reading import read_data, reading
from marquee.steps.score_lists import score_lists
from marquee.steps.state_folder import restored
from marquee.steps.train_candidates import read_candidates
from marquee.steps.train_ranker import read_choice, train_ranker
from marquee.steps.windows import read_windows
from tests.marquee.steps.chain import Chain
from tests.small_run import Place, recipe


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Tests only read it."""
    return Chain(Place.made(tmp_path_factory.mktemp("chain")))


def test_data_handed_on_is_loaded_with_the_rows_that_its_facts_state(chain: Chain):
    dataset = read_data(chain.data, read_config(chain.config))

    assert len(dataset.interactions) == 75 * 30
    assert dataset.snapshot_id == Data.read(chain.data).snapshot


def test_features_handed_on_name_the_state_that_lies_at_the_place(chain: Chain):
    facts = Features.read(chain.features)
    contents = StateFolder(chain.settings.state(Data.read(chain.data).storage)).contents()

    assert contents is not None
    assert facts.state == contents.id
    assert facts.contracts
    assert {"feature state", "feature store"} <= set(facts.seconds)


def test_state_is_restored_where_there_is_none_and_left_alone_where_it_is(chain: Chain, tmp_path: Path):
    place = StateFolder(tmp_path / "state")

    restored(chain.features, Features.read(chain.features), place)
    first = place.contents()
    files = {path: path.stat().st_ino for path in (tmp_path / "state").rglob("*.parquet")}
    restored(chain.features, Features.read(chain.features), place)

    assert first is not None
    assert first.id == Features.read(chain.features).state
    assert {path: path.stat().st_ino for path in (tmp_path / "state").rglob("*.parquet")} == files


def test_training_rows_are_read_back_as_windows_newest_first(chain: Chain):
    facts = Rows.read(chain.rows)

    windows = read_windows(chain.rows)

    assert len(windows) == len(facts.windows) > 0
    for window in windows:
        assert window.features.shape == (len(window.labels), len(facts.feature_names))
        assert int(window.group_sizes.sum()) == len(window.labels)


def test_training_rows_twice_are_the_same(chain: Chain, tmp_path: Path):
    with reading(chain.features, chain.task) as state:
        build_training_set(chain.data, tmp_path / "again", state=state, config=chain.config, task=chain.task)

    for one, other in zip(read_windows(chain.rows), read_windows(tmp_path / "again"), strict=True):
        np.testing.assert_array_equal(one.features, other.features)
        np.testing.assert_array_equal(one.labels, other.labels)


@pytest.mark.parametrize("damage", [b"", b"torn", b"PK\x03\x04 torn"])
def test_damaged_training_rows_are_refused(chain: Chain, tmp_path: Path, damage: bytes):
    shutil.copytree(chain.rows, tmp_path / "rows")
    (tmp_path / "rows" / Rows.read(chain.rows).windows[0]).write_bytes(damage)

    with pytest.raises(StepError, match="can't be read"):
        read_windows(tmp_path / "rows")


def test_windows_that_teach_nothing_are_refused(chain: Chain, tmp_path: Path):
    config = recipe(training_set={"windows": 1, "min_events": 10_000}).model_dump_json()

    with pytest.raises(NotEnoughDataError), reading(chain.features, chain.task) as state:
        build_training_set(chain.data, tmp_path / "rows", state=state, config=config, task=chain.task)

    assert not (tmp_path / "rows").exists()


def test_ranker_is_read_back_with_how_it_was_chosen_and_what_it_took(chain: Chain):
    choice, facts = read_choice(chain.ranker)

    assert choice.chosen == "trees"
    assert set(facts) == {"seconds", "memory_mb"}
    assert "ranker" in facts["seconds"]


def test_ranker_is_not_written_over_another(chain: Chain):
    with pytest.raises(BundleError):
        train_ranker(chain.rows, chain.ranker, config=chain.config, task=chain.task)


def test_both_first_stages_are_read_back_without_a_ranker(chain: Chain):
    stages, facts = read_candidates(chain.candidates)

    assert set(stages) == {"evaluated", "bundle"}
    assert all(stage.ranker is None for stage in stages.values())
    assert {"candidates", "refit on all events"} <= set(facts["seconds"])


def test_tampered_first_stage_is_refused(chain: Chain, tmp_path: Path):
    shutil.copytree(chain.candidates, tmp_path / "candidates")
    next((tmp_path / "candidates" / "bundle").rglob("*.npy")).write_bytes(b"tampered")

    with pytest.raises(BundleError):
        read_candidates(tmp_path / "candidates")


def test_state_comes_online_twice_as_the_same_matrix(chain: Chain):
    versions = {materialize_features(chain.data, chain.features, task=chain.task) for _ in range(2)}

    assert len(versions) == 1


def test_state_that_is_online_already_is_not_touched(chain: Chain, monkeypatch: pytest.MonkeyPatch):
    version = materialize_features(chain.data, chain.features, task=chain.task)
    monkeypatch.setattr("marquee.feature_state.FeatureState.bring_online", None)  # calling it would fail

    assert materialize_features(chain.data, chain.features, task=chain.task) == version


@pytest.mark.parametrize("change", ["another matrix", "another profile", "no record"])
def test_state_that_was_replaced_since_is_brought_online_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
):
    chain = Chain(Place.made(tmp_path))
    materialize_features(chain.data, chain.features, task=chain.task)
    storage = Data.read(chain.data).storage
    task = chain.task
    if change == "another matrix":
        (chain.settings.item_matrix(storage) / "CURRENT").write_text("0" * 32, encoding="utf-8")
    elif change == "no record":
        (chain.settings.state(storage) / "built_from.json").unlink()
    else:
        task = replace(task, settings=chain.settings.model_copy(update={"profile": "cluster"}))
    asked: list[str] = []
    monkeypatch.setattr("marquee.feature_state.FeatureState.declare", lambda *_: asked.append("declare"))

    with pytest.raises(AttributeError):  # what was asked for has no door
        materialize_features(chain.data, chain.features, task=task)

    assert asked == ["declare"]


def test_lists_without_a_champion_are_refused(chain: Chain, tmp_path: Path):
    with pytest.raises(StepError, match="has no champion"), reading(chain.features, chain.task) as state:
        score_lists(chain.data, tmp_path / "lists", state=state, config=chain.config, n=5, task=chain.task)


@pytest.mark.parametrize("n", [0, 101])
def test_lists_of_a_length_that_is_none_are_refused(chain: Chain, tmp_path: Path, n: int):
    with pytest.raises(StepError, match=f"n = {n}"), reading(chain.features, chain.task) as state:
        score_lists(chain.data, tmp_path / "lists", state=state, config=chain.config, n=n, task=chain.task)


@pytest.mark.parametrize("kind", [Data, Features, Rows])
def test_facts_of_an_unfinished_folder_are_refused_by_what_it_should_be(kind: type[Facts], tmp_path: Path):
    with pytest.raises(StepError, match=f"no finished {kind.__name__.lower()} folder"):
        kind.read(tmp_path)


def test_facts_of_another_kind_are_refused(chain: Chain):
    with pytest.raises(StepError, match="it holds something else"):
        Rows.read(chain.data)


def test_facts_where_a_file_is_in_the_way_are_a_step_s_error(tmp_path: Path):
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(StepError):
        Facts().write(tmp_path / "file")


def test_seconds_of_steps_are_joined_in_their_order():
    assert list(joined({"split": 1.0, "ranker": 2.0}, {"evaluate": 3.0, "split": 4.0}).items()) == [
        ("split", 4.0),
        ("ranker", 2.0),
        ("evaluate", 3.0),
    ]
