"""The whole check on a warehouse: gate, statistics, decision, files, memory."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import TypeAdapter

from marquee.adapters import evidently
from marquee.adapters.object_store import open_store
from marquee.data.warehouse import Warehouse
from marquee.errors import ConfigError, StepError
from marquee.monitoring.decision import Decision, replay
from marquee.monitoring.drift_config import DriftConfig, DriftPolicyConfig
from marquee.monitoring.drift_policy import DriftState
from marquee.monitoring.exposure import FILE_PREFIX, Exposure
from marquee.monitoring.exposure_lines import exposure_files
from marquee.settings import Settings
from marquee.steps.detect_drift import DriftQuestion, detect, detect_drift
from marquee.steps.task import Task
from tests.marquee.monitoring.drift_world import Shock
from tests.marquee.monitoring.exposure_factory import exposure, shown
from tests.marquee.steps.drift_place import write_warehouse

NOW = datetime(2024, 6, 1, tzinfo=UTC)
AT_ONCE = DriftConfig(policy=DriftPolicyConfig(votes=1, of_windows=1))


def question(root: Path, **differences: object) -> DriftQuestion:
    asked = DriftQuestion(storage="tastes", main=root, current="7d", drift=AT_ONCE)
    return replace(asked, **differences)


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    return Path(write_warehouse(tmp_path / "quiet").root)


@pytest.fixture
def surged(tmp_path: Path) -> Path:
    return Path(write_warehouse(tmp_path / "surged", shock=Shock(surge="Horror", surge_share=0.4)).root)


def task_at(root: Path, **more: str) -> Task:
    return Task(Settings(runs=root / "runs", **more), {}, NOW)


def test_quiet_week_leaves_a_decision_for_nothing(quiet: Path, tmp_path: Path):
    found = detect(question(quiet), DriftState(), tmp_path / "out", now=NOW)

    decision = Decision.read(tmp_path / "out" / "decision.json")
    assert decision == found.decision
    assert decision.outcome.verdict == "none"
    assert decision.quality.verdict == "pass"
    assert decision.window.users_in_window == pytest.approx(100, abs=3)
    assert replay(decision).is_same


def test_surge_of_a_genre_asks_for_a_training(surged: Path, tmp_path: Path):
    decision = detect(question(surged), DriftState(), tmp_path / "out", now=NOW).decision

    assert decision.outcome.verdict == "retrain"
    assert "genre" in decision.outcome.reason
    assert "genre" in (tmp_path / "out" / "decision.md").read_text(encoding="utf-8")


def test_null_column_blocks_and_asks_for_no_training(tmp_path: Path):
    root = Path(write_warehouse(tmp_path / "gone", gone="age", shock=Shock(surge="Horror")).root)

    decision = detect(question(root), DriftState(), tmp_path / "out", now=NOW).decision

    assert decision.outcome.verdict == "blocked"
    assert any(words.startswith("users: nulls of age = 1") for words in decision.quality.words)


def test_ratings_off_their_scale_block(tmp_path: Path):
    root = Path(write_warehouse(tmp_path / "scale", shock=Shock(scale=2.0)).root)

    decision = detect(question(root), DriftState(), tmp_path / "out", now=NOW).decision

    assert decision.outcome.verdict == "blocked"
    assert "ratings off their scale" in " ".join(decision.quality.words)


def test_reference_that_is_too_short_calibrates_nothing(quiet: Path, tmp_path: Path):
    decision = detect(question(quiet, reference="2w"), DriftState(), tmp_path / "out", now=NOW).decision

    assert decision.outcome.verdict == "insufficient"
    assert "held-out users are too few" in decision.outcome.reason


def test_report_that_fails_leaves_the_decision_and_its_traceback(surged: Path, tmp_path: Path, monkeypatch):
    def crash(*_: object) -> None:
        raise KeyError("inside Evidently")

    monkeypatch.setattr(evidently, "is_available", lambda: True)
    monkeypatch.setattr(evidently, "_run", crash)

    found = detect(question(surged), DriftState(), tmp_path / "out", now=NOW)

    assert Decision.read(tmp_path / "out" / "decision.json").outcome.retrain
    assert "KeyError: 'inside Evidently'" in found.markdown
    assert "Traceback" in (tmp_path / "out" / "decision.md").read_text(encoding="utf-8")


def test_exposures_bring_scores_and_sources(quiet: Path, tmp_path: Path):
    log = _write_exposures(tmp_path / "log", quiet)

    decision = detect(question(quiet, exposures=log), DriftState(), tmp_path / "out", now=NOW).decision

    assert decision.z["top_score_wasserstein"] is not None
    assert decision.z["source_mix_psi"] is not None
    assert decision.source_distance == pytest.approx(0, abs=0.1)


def test_exposures_of_other_surfaces_are_no_lists_of_the_model(quiet: Path, tmp_path: Path):
    log = _write_exposures(tmp_path / "log", quiet, surface="popular")

    decision = detect(question(quiet, exposures=log), DriftState(), tmp_path / "out", now=NOW).decision

    assert decision.z["top_score_wasserstein"] is None
    assert decision.source_distance is None


def _write_exposures(folder: Path, warehouse: Path, **fields: Any) -> Path:
    """Two places for each user and week, of two routes whose share does not change."""
    folder.mkdir()
    events = Warehouse(warehouse).read_interactions(columns=["user_id", "timestamp"]).unique("user_id")
    lines = []
    for number, (user, time) in enumerate(sorted(events.iter_rows())):
        items = (shown(1, route="ease", score=0.9 + number % 7 / 100), shown(2, route="popular", score=0.1))
        time_us = round(time.timestamp() * 1e6)
        made = exposure(number, user_id=user, time_us=time_us, items=items, **fields)
        lines.append(TypeAdapter(Exposure).dump_json(made).decode())
    (folder / f"{FILE_PREFIX}2024.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert exposure_files(folder)
    return folder


def test_decision_and_state_are_kept_and_the_second_look_is_the_same(surged: Path, tmp_path: Path):
    task, store = task_at(tmp_path), open_store(str(tmp_path / "store"))

    first = detect_drift(question(surged, bundle_id="b1"), tmp_path / "1", store=store, task=task)
    again = detect_drift(question(surged, bundle_id="b1"), tmp_path / "2", store=store, task=task)

    key = first.decision.outcome.key
    assert again.decision.outcome == first.decision.outcome
    assert store.list_keys("drift/") == [f"drift/tastes/{key}.json", "drift/tastes/state.json"]
    assert (
        DriftState.model_validate_json(store.read("drift/tastes/state.json").content).last
        == first.decision.outcome
    )


def test_torn_state_in_the_store_is_refused(quiet: Path, tmp_path: Path):
    store = open_store(str(tmp_path / "store"))
    store.write("drift/tastes/state.json", b"{", expected=None)

    with pytest.raises(ConfigError, match="holds no state of the drift policy"):
        detect_drift(question(quiet), tmp_path / "out", store=store, task=task_at(tmp_path))


def test_two_checks_at_once_leave_one_decision(quiet: Path, tmp_path: Path, monkeypatch):
    store = open_store(str(tmp_path / "store"))
    put = store.put_file

    def put_and_be_overtaken(key: str, file: Path) -> object:
        store.write("drift/tastes/state.json", b"{}", expected=None)
        return put(key, file)

    monkeypatch.setattr(store, "put_file", put_and_be_overtaken)

    with pytest.raises(StepError, match="decided at the same moment"):
        detect_drift(question(quiet), tmp_path / "out", store=store, task=task_at(tmp_path))


class _Webhook(BaseHTTPRequestHandler):
    heard: list[str] = []  # noqa: RUF012 - one server a test

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append(json.loads(body)["text"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("shock", "expected"), [(Shock(surge="Horror", surge_share=0.4), 1), (Shock(), 0)])
def test_people_hear_of_what_calls_for_them(shock: Shock, expected: int, tmp_path: Path):
    root = Path(write_warehouse(tmp_path / "main", shock=shock).root)
    _Webhook.heard = []
    server = HTTPServer(("127.0.0.1", 0), _Webhook)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        task = task_at(tmp_path, notify_url=f"http://127.0.0.1:{server.server_port}/hook")
        detect_drift(question(root), tmp_path / "out", store=open_store(str(tmp_path / "store")), task=task)
    finally:
        server.shutdown()
        server.server_close()

    assert len(_Webhook.heard) == expected
    assert all("retrain" in text for text in _Webhook.heard)
