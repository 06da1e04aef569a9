"""`marquee replay` as its user meets it."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from marquee import schema
from marquee.config import TrainingConfig
from marquee.observing import SilentObserver
from marquee.replay.start import FOLDER, Wanted, replay_dataset
from tests.marquee.replay.weeks import REPLAY, TRAINING, events, movies, users
from tests.small_run import DATASET, NOW, Place, run_here


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The weeks as a folder of one's own."""
    root = tmp_path_factory.mktemp("replay")
    source = root / "source"
    source.mkdir()
    at = pl.col(schema.TIMESTAMP).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    events().with_columns(at).write_csv(source / "events.csv")
    users().write_csv(source / "users.csv")
    movies().write_parquet(source / "movies.parquet")
    (source / "mapping.yaml").write_text(
        "interactions: {files: events.csv, mapping: contract-csv}\nusers: users.csv\nmovies: movies.parquet\n"
    )
    (root / "recipe.yaml").write_text(yaml.safe_dump(TRAINING))
    return Place(root)


def arguments(place: Place, *more: str) -> list[str]:
    return [
        "replay", DATASET, "--source", str(place.root / "source"), "--config",
        str(place.root / "recipe.yaml"), "--min-users", "20", *more,
    ]  # fmt: skip


def test_replay_prints_policies_and_leaves_a_folder(place: Place):
    outcome = run_here(*arguments(place, "--policy", "never", "--policy", "timer:21d"), at=place)

    assert outcome.code == 0, outcome
    (folder,) = (path for path in (place.runs / FOLDER).iterdir() if path.is_dir() and not path.is_symlink())
    assert str(folder / "replay.html") in outcome.out.replace("\n", "")
    values = json.loads((folder / "replay.json").read_text())
    assert [each["policy"] for each in values["policies"]] == ["never", "timer:21d"]
    assert values["policies"][0]["retrains"] == 0
    assert f"{values['policies'][0]['ndcg']['estimate']:.4f}" in outcome.out


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--policy", "weekly"), "--policy = 'weekly'"),
        (("--policy", "never", "--shock", "flood@1"), "'flood' is no kind"),
        (("--policy", "never", "--window-days", "0"), "window_days"),
    ],
)
def test_replay_wrong_option_is_one_clear_error(place: Place, more: tuple[str, ...], named: str):
    outcome = run_here(*arguments(place, *more), at=place)

    outcome.require_error(named)
    assert not list((place.runs / FOLDER).glob("*.partial"))


class Stopped(SilentObserver):
    """Interrupts at the first policy, as a user might."""

    def begin(self, stage: str) -> None:
        if stage == "never":
            raise KeyboardInterrupt


def test_replay_that_is_interrupted_leaves_nothing(place: Place, tmp_path: Path):
    recipe = TrainingConfig.from_values(TRAINING, where="the test")
    source = str(place.root / "source")
    wanted = Wanted(DATASET, ("never",), source=source, training=recipe, replay=REPLAY)
    settings = place.settings.with_runs(tmp_path)

    with pytest.raises(KeyboardInterrupt):
        replay_dataset(wanted, settings, now=NOW, observer=Stopped())

    assert not [path for path in (tmp_path / FOLDER).iterdir() if path.is_dir()]
