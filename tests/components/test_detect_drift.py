"""The body of detect-drift, and what it leaves for the graph."""

import json
from pathlib import Path

import pytest
from kfp import dsl

from components.detect_drift import detect_drift
from components.ingest_interactions import ingest_interactions
from marquee.errors import ConfigError
from marquee.monitoring.decision import Decision, replay
from tests.components.artifacts import artifact
from tests.marquee.adapters.prometheus_file import drawn
from tests.small_run import DATASET, Place

KINDS = {
    "decision": dsl.Artifact,
    "reason": dsl.Markdown,
    "measured": dsl.Metrics,
    "report": dsl.HTML,
    "gauges": dsl.Artifact,
}


def knobs(threshold: float) -> str:
    """A policy for 75 people, that speaks above a z."""
    policy = {"users_to_test": 5, "users_to_act": 5, "min_pool": 20, "votes": 1, "of_windows": 1}
    quality = {"min_volume_share": 0.0}
    return json.dumps({"drift": {"policy": {**policy, "threshold": threshold}}, "quality": quality})


@pytest.fixture
def data(place: Place, monkeypatch: pytest.MonkeyPatch) -> dsl.Dataset:
    monkeypatch.setenv("MARQUEE_DATA", str(place.settings.data))
    monkeypatch.setenv("MARQUEE_RUNS", str(place.runs))
    made = artifact(dsl.Dataset, place.root / "data-of-step")
    source = str(place.root / "source")
    ingest_interactions.python_func(dataset=DATASET, source=source, config="", fingerprint="", data=made)
    return made


def detect(
    data: dsl.Dataset, place: Place, config: str, current: str = "20d"
) -> tuple[bool, dict[str, dsl.Artifact]]:
    """The component's answer and its artifacts."""
    made = {name: artifact(kind, place.root / "artifacts" / name) for name, kind in KINDS.items()}
    (place.root / "artifacts").mkdir(exist_ok=True)
    answer = detect_drift.python_func(data=data, config=config, current=current, reference="", **made)
    return answer, made


def test_quiet_window_is_one_plain_false_with_every_artifact(data: dsl.Dataset, place: Place):
    answer, made = detect(data, place, knobs(1000.0))

    assert answer is False
    decision = Decision.read(Path(made["decision"].path))
    assert (decision.outcome.verdict, replay(decision).is_same) == ("none", True)
    assert Path(made["reason"].path).read_text(encoding="utf-8").startswith("**none**")
    assert made["measured"].metadata["users"] == decision.window.users > 5
    assert json.loads(Path(made["measured"].path).read_text(encoding="utf-8")) == made["measured"].metadata
    assert (
        Path(made["report"].path)
        .read_text(encoding="utf-8")
        .lower()
        .lstrip()
        .startswith(("<!doctype", "<html"))
    )


def test_loud_window_is_one_plain_true(data: dsl.Dataset, place: Place):
    answer, made = detect(data, place, knobs(0.001))

    assert answer is True
    assert Decision.read(Path(made["decision"].path)).outcome.retrain
    kept = [path.name for path in (place.runs / "models" / "drift").rglob("*.json")]
    assert len(kept) == 2  # the decision, and the state


def test_gauges_are_those_of_the_decision(data: dsl.Dataset, place: Place):
    _, made = detect(data, place, knobs(0.001))

    decision = Decision.read(Path(made["decision"].path))
    values = drawn(Path(made["gauges"].path).read_text(encoding="utf-8"))
    assert values["marquee_drift_verdict", decision.outcome.verdict] == 1.0
    assert values["marquee_window_users",] == decision.window.users
    assert {name[1] for name in values if name[0] == "marquee_drift_z"} == {
        name for name, z in decision.z.items() if z is not None
    }
    assert values["marquee_data_gate", decision.quality.verdict] == 1.0
    assert values["marquee_last_success_timestamp_seconds", "drift"] > 0


def test_window_that_is_none_is_refused(data: dsl.Dataset, place: Place):
    with pytest.raises(ConfigError, match="'yesterday' is neither"):
        detect(data, place, "", "yesterday")
