import json
from pathlib import Path

import numpy as np
import pytest

from marquee.errors import ConfigError
from marquee.monitoring.calibration import Null
from marquee.monitoring.decision import (
    Decision,
    SignalFacts,
    WindowFacts,
    as_markdown,
    decide_on,
    read_state,
    replay,
)
from marquee.monitoring.drift_policy import DriftState
from marquee.monitoring.omnibus import OMNIBUS
from marquee.monitoring.signals import QUALITY, SIGNALS

WINDOW = WindowFacts(
    window_id="w1",
    ended_at_us=10**15,
    bundle_id="b1",
    users=80,
    users_in_window=90,
    reference_users=400,
    pool=450,
)


MEAN = np.array([0.0 if name == QUALITY else np.log(0.1) for name in SIGNALS])
DRAWS = np.random.default_rng(0).normal(size=(60, len(SIGNALS)))
NULL = Null(MEAN, np.full(len(SIGNALS), 0.5), 80, 450, DRAWS)


def made(*, quality_t: float = 0.0, state: DriftState | None = None) -> Decision:
    raw = np.full(len(SIGNALS), 0.1)
    raw[list(SIGNALS).index(QUALITY)] = quality_t
    return decide_on(WINDOW, raw=raw, null=NULL, state=state or DriftState())


def test_z_is_the_distance_from_the_usual_in_deviations():
    decision = made(quality_t=1.5)

    assert decision.z[QUALITY] == pytest.approx(1.5 / 0.5)
    assert decision.z["genre_psi"] == pytest.approx(0)
    assert decision.signals["genre_psi"].raw == 0.1


def test_all_kinds_together_are_held_against_the_simulated_windows():
    usual, deviation = NULL.omnibus(np.full(len(SIGNALS), True))

    decision = made(quality_t=1.5)

    assert decision.signals[OMNIBUS] == SignalFacts(statistic=3.0, usual=usual, deviation=deviation)
    assert decision.z[OMNIBUS] == pytest.approx((3.0 - usual) / deviation)


def test_decision_of_before_there_was_such_a_thing_is_read_and_made_again(tmp_path: Path):
    content = json.loads(made(quality_t=3.0).to_json())
    for part in ("signals", "z"):
        del content[part][OMNIBUS]
    for part in ("state_before", "state_after"):
        del content[part]["omnibus"], content[part]["gathered"]
    del content["policy"]["omnibus"]
    path = tmp_path / "decision.json"
    path.write_text(json.dumps(content))

    again = replay(Decision.read(path))

    assert (again.is_same, again.outcome.verdict) == (True, "retrain")


@pytest.mark.parametrize("quality_t", [0.0, 2.0, 4.0])
def test_replayed_decision_is_the_same_after_a_round_trip(quality_t: float, tmp_path: Path):
    before = made(quality_t=2.0).state_after
    decision = made(quality_t=quality_t, state=before.model_copy(update={"last": None}))
    path = tmp_path / "decision.json"
    path.write_bytes(decision.to_json())

    again = replay(Decision.read(path))

    assert again.is_same
    assert again.outcome == decision.outcome
    assert Decision.read(path).to_json() == path.read_bytes()


def test_record_whose_statistics_were_changed_comes_out_otherwise(tmp_path: Path):
    path = tmp_path / "decision.json"
    content = json.loads(made(quality_t=4.0).to_json())
    content["signals"][QUALITY]["statistic"] = 0.0
    path.write_text(json.dumps(content))

    again = replay(Decision.read(path))

    assert content["outcome"]["verdict"] == "retrain"
    assert (again.is_same, again.outcome.verdict) == (False, "none")


def test_decision_without_measurements_is_complete(tmp_path: Path):
    few = WINDOW.model_copy(update={"users": 3})

    decision = decide_on(few, raw=None, null=None, state=DriftState(), notes=("a note",))

    assert decision.outcome.verdict == "insufficient"
    assert set(decision.z.values()) == {None}
    assert replay(decision).is_same


def test_statistic_beyond_all_bounds_can_be_written():
    raw = np.full(len(SIGNALS), 0.1)
    raw[list(SIGNALS).index(QUALITY)] = np.inf
    null = Null(np.zeros(len(SIGNALS)), np.ones(len(SIGNALS)), 80, 450)

    decision = decide_on(WINDOW, raw=raw, null=null, state=DriftState())

    assert b"Infinity" not in decision.to_json()
    assert decision.outcome.verdict == "retrain"
    assert replay(decision).is_same


def test_markdown_names_the_verdict_its_reason_and_each_signal():
    text = as_markdown(made(quality_t=4.0))

    assert text.startswith("**retrain**: ndcg_t z = 8.0")
    assert all(f"| {name} |" in text for name in (*SIGNALS, OMNIBUS))


@pytest.mark.parametrize("content", [None, b"{", b"{}", b"[1]"])
def test_file_that_holds_no_decision_is_refused(content: bytes | None, tmp_path: Path):
    path = tmp_path / "decision.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match="holds no drift decision"):
        Decision.read(path)


def test_state_is_new_where_there_is_no_file_and_refused_where_it_is_torn(tmp_path: Path):
    path = tmp_path / "state.json"
    assert read_state(path) == DriftState()

    path.write_text('{"version": 1, "calm": "many"}')

    with pytest.raises(ConfigError, match="holds no state of the drift policy"):
        read_state(path)
