"""What a server does beside requests."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from marquee.errors import ConfigError
from marquee.experiments.config import ExperimentsConfig
from serving.housekeeping import Experiments, Housekeeping, follow
from serving.metrics import Metrics

TEXT = """
experiments:
  - name: ranker
    variants: [{name: a, weight: 1}, {name: b, weight: 1, bundle: b}]
"""


class Engine:
    """What the experiments' file reaches."""

    def __init__(self) -> None:
        self.experiments = ExperimentsConfig()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiments.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def replaced(path: Path, text: str) -> None:
    """As an editor and Kubernetes do it: another file under the name."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def test_experiments_of_no_file_are_none():
    experiments, engine = Experiments(None), Engine()

    assert experiments.first() == ExperimentsConfig()
    experiments.look(engine)  # type: ignore[arg-type]

    assert engine.experiments == ExperimentsConfig()


def test_experiments_that_do_not_fit_end_the_start(file):
    replaced(file, "experiments: 7")

    with pytest.raises(ConfigError, match=r"experiments\.yaml"):
        Experiments(file).first()


def test_kill_switch_in_the_file_is_seen_at_the_next_look(file):
    experiments, engine = Experiments(file), Engine()
    engine.experiments = experiments.first()
    assert engine.experiments.is_on

    replaced(file, TEXT + "is_on: false\n")
    experiments.look(engine)  # type: ignore[arg-type]

    assert not engine.experiments.is_on
    assert engine.experiments.experiments[0].name == "ranker"


def test_file_that_did_not_change_is_not_read_again(file):
    experiments, engine = Experiments(file), Engine()
    engine.experiments = first = experiments.first()

    for _ in range(3):
        experiments.look(engine)  # type: ignore[arg-type]

    assert engine.experiments is first


def test_edit_that_does_not_fit_leaves_things_as_they_are_and_is_said_once_each_time(file, caplog):
    experiments, engine = Experiments(file), Engine()
    engine.experiments = first = experiments.first()

    def look(text: str | None) -> None:
        file.unlink(missing_ok=True) if text is None else replaced(file, text)
        for _ in range(3):
            experiments.look(engine)  # type: ignore[arg-type]

    look(None)
    assert engine.experiments is first
    look("experiments: [{")
    assert engine.experiments is first
    look(TEXT + "is_on: false\n")
    assert not engine.experiments.is_on
    look("experiments: [{")

    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3  # gone, broken, and broken again after it was whole
    assert all(text.startswith("experiments stay as they are") for text in said)


def housekeeping(every_s: float, *looks: Any) -> Housekeeping:
    bundles, matrices, surges, connect, experiments = looks
    slots = SimpleNamespace(
        look_at_bundles=bundles, look_at_matrices=matrices, look_at_surges=surges, current={}
    )
    engine = SimpleNamespace(slots=slots, rows=None)
    store, file = SimpleNamespace(connect=connect), SimpleNamespace(look=experiments)
    return Housekeeping(engine, store, file, every_s)  # type: ignore[arg-type]


def test_look_that_fails_neither_ends_the_others_nor_the_next(caplog):
    seen: list[str] = []

    def fail() -> None:
        seen.append("bundles")
        raise ZeroDivisionError

    made = housekeeping(
        60,
        fail,
        lambda: seen.append("matrices"),
        lambda: seen.append("surges"),
        lambda _rows, _slots: seen.append("store"),
        lambda _engine: seen.append("experiments"),
    )
    for _ in range(2):
        made.look()

    assert seen == ["bundles", "matrices", "surges", "store", "experiments"] * 2
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError] * 2


def test_housekeeping_looks_again_and_again_until_it_is_stopped():
    looked = threading.Semaphore(0)
    made = housekeeping(
        0.01,
        lambda: None,
        lambda: None,
        lambda: None,
        lambda _rows, _slots: None,
        lambda _engine: looked.release(),
    )
    made.start()
    assert all(looked.acquire(timeout=20) for _ in range(3))

    made.stop()

    while looked.acquire(blocking=False):
        pass
    assert not looked.acquire(timeout=0.05)


def test_follow_exports_the_state_of_what_is_served(engine):
    registry = CollectorRegistry()
    follow(Metrics(registry), engine)
    age = registry.get_sample_value("marquee_item_matrix_age_seconds", {"variant": "default"})
    assert age is not None
    assert age > 50 * 365 * 86_400  # of 1970
    assert registry.get_sample_value("marquee_store_paused", {"store": "online"}) == 0

    for _ in range(5):
        engine.rows.breaker.failed()

    assert registry.get_sample_value("marquee_store_paused", {"store": "online"}) == 1
