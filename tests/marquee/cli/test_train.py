import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from marquee.assessment import TWO_STAGE, Assessment
from marquee.cli.train import _lift
from marquee.data.interactions import Ragged
from marquee.evaluation.evaluate import EvaluationConfig, evaluate_lists
from marquee.evaluation.gate import GateDecision
from tests.small_run import UNREACHABLE_GATE, Place, process_environment, run_here, write_recipe

METRICS_KEYS = {"dataset", "protocol", "k", "models", "gate", "seconds", "peak_rss_mb"}
STAGES = [
    "fetch and ingest", "load", "feature state", "feature store", "split", "training set", "ranker",
    "candidates", "evaluate", "refit on all events", "write bundle", "bring online", "register",
]  # fmt: skip


def in_terminal(columns: int, *arguments: str, at: Place) -> str:
    """What a command writes to a terminal of so many columns, without its colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**process_environment(at), "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "marquee", *arguments]
    with subprocess.Popen(command, env=environment, stdout=theirs, stderr=subprocess.DEVNULL) as child:
        os.close(theirs)
        written = b"".join(iter(lambda: read_or_nothing(ours), b""))
    os.close(ours)
    assert child.returncode == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode()).replace("\r\n", "\n")


def read_or_nothing(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's way to say that the other end was closed
        return b""


def train_output(trained: Place, stream: str) -> str:
    return (trained.root / f"train.{stream}").read_text(encoding="utf-8")


def test_train_with_json_prints_nothing_else_on_standard_output(trained: Place):
    printed = json.loads(train_output(trained, "out"))

    assert printed.keys() >= METRICS_KEYS | {"bundle_id", "run"}
    assert printed["bundle_id"] == trained.bundle_id()
    assert Path(printed["run"]).resolve() == trained.latest.resolve()


def test_train_reports_each_stage_on_standard_error(trained: Place):
    finished = [line for line in train_output(trained, "err").splitlines() if "✓" in line]

    assert [line.split("✓")[1].rsplit(maxsplit=2)[0].strip() for line in finished] == STAGES


def test_train_for_people_shows_each_model_the_verdict_and_three_lists(place: Place):
    outcome = run_here(*place.train_arguments, at=place)

    assert outcome.code == 0, outcome
    for shown in ("two_stage", "als", "popular", "Gate: passed", "For user ", "For somebody new who clicked"):
        assert shown in outcome.out
    assert "For somebody without any history" in outcome.out
    assert f"id {place.bundle_id()}" in outcome.out
    assert "✓ ranker" not in outcome.out
    assert "✓ ranker" in outcome.err


def test_train_shows_commands_that_can_be_typed(place: Place):
    shown = run_here(*place.train_arguments, at=place).out
    commands = [line.split("#")[0].split() for line in shown.splitlines() if ".venv/bin/marquee" in line]

    assert [command[1] for command in commands] == ["recommend", "similar", "bundle", "evaluate"]
    for command in commands:
        assert run_here(*command[1:], at=place).code == 0


def test_train_refused_by_the_gate_exits_1_and_keeps_the_run(place: Place):
    write_recipe(place.root / "recipe.yaml", gate=UNREACHABLE_GATE)

    outcome = run_here(*place.train_arguments, "--json", at=place)

    assert outcome.code == 1
    assert outcome.json["gate"]["passed"] is False
    assert (place.latest / "metrics.json").is_file()
    assert not (place.runs / f"champion-{place.storage}").exists()


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_metrics_and_verdict_are_whole_in_a_terminal(trained: Place, columns: int):
    shown = in_terminal(columns, "evaluate", at=trained)
    report = shown[shown.index("Metrics over") :].splitlines()

    assert max(map(len, report)) <= columns
    assert "…" not in "".join(report)
    assert sum(line.startswith(("two_stage ", "als ", "popular ", "union ")) for line in report[:6]) == 4
    assert ("coverage@10" in report[1]) == (columns >= 100)


def test_train_show_config_prints_a_file_that_train_accepts(place: Place):
    shown = run_here("train", "--show-config", "--config", place.root / "recipe.yaml", at=place)
    (place.root / "complete.yaml").write_text(shown.out, encoding="utf-8")

    again = run_here("train", "--show-config", "--config", place.root / "complete.yaml", "--json", at=place)

    assert again.code == 0
    assert again.json["routes"]["enabled"] == ["als", "popular"]
    assert not place.runs.exists()


def test_train_seed_overrides_the_configuration(place: Place):
    shown = run_here("train", "--show-config", "--seed", "11", "--json", at=place)

    assert shown.json["seed"] == 11


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "netflix"], ["'netflix'", "ml-100k"]),
        (["train", "folder"], ["--source"]),
        (["train", "folder", "--source", "nowhere"], ["nowhere"]),
        (["train", "synthetic", "--source", "nowhere"], ["--source", "nowhere"]),
        (["train", "--config", "missing.yaml"], ["missing.yaml", "--config"]),
        (["train", "--seed", "-1"], ["seed", "-1"]),
    ],
)
def test_train_on_impossible_arguments_names_them(place: Place, arguments: list[str], named: list[str]):
    run_here(*arguments, at=place).require_error(*named)

    assert place.finished_runs() == []
    assert place.partial_runs() == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("sead: 7\n", ["sead", "7"]),
        ("ranker: {lightgbm: {n_estimators: none}}\n", ["ranker.lightgbm.n_estimators", "'none'"]),
        ("routes: {enabled: [ease, magic]}\n", ["routes.enabled", "magic"]),
        ("evaluation: {ks: [5]}\n", ["evaluation.ks"]),
        ("- a list\n", ["a list"]),
        ("seed: [7\n", ["not valid YAML"]),
    ],
)
def test_train_with_wrong_configuration_names_file_and_key(place: Place, text: str, named: list[str]):
    (place.root / "wrong.yaml").write_text(text, encoding="utf-8")

    outcome = run_here("train", "folder", "--config", place.root / "wrong.yaml", at=place)

    outcome.require_error("wrong.yaml", *named)


def test_train_with_binary_configuration_says_it_is_no_yaml(place: Place):
    (place.root / "wrong.yaml").write_bytes(b"\xff\xfe\x00junk")

    outcome = run_here("train", "folder", "--config", place.root / "wrong.yaml", at=place)

    outcome.require_error("wrong.yaml", "no YAML")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("interactions: {files: events.csv}\n", ["interactions", "mapping"]),
        ("interactions: {files: 'n*.csv', mapping: contract-csv}\n", ["n*.csv"]),
        ("interactions: {files: events.csv, mapping: no-such}\n", ["no-such"]),
        ("interactions: {files: events.csv, mapping: {format: csv, columns: {user_id: u}}}\n", ["columns"]),
        ("events: events.csv\n", ["events"]),
    ],
)
def test_train_with_bad_mapping_names_the_field(place: Place, text: str, named: list[str]):
    (place.root / "source" / "mapping.yaml").write_text(text, encoding="utf-8")

    run_here(*place.train_arguments, at=place).require_error(*named)


def test_train_on_too_few_events_says_so(place: Place):
    events = place.root / "source" / "events.csv"
    lines = events.read_text(encoding="utf-8").splitlines()
    events.write_text("\n".join(lines[:4]) + "\n", encoding="utf-8")

    outcome = run_here(*place.train_arguments, at=place)

    outcome.require_error()
    assert place.partial_runs() == []


def test_train_where_runs_is_a_file_names_it(place: Place):
    place.runs.write_text("in the way", encoding="utf-8")

    outcome = run_here(*place.train_arguments, at=place)

    outcome.require_error(str(place.runs), "--runs")


def test_train_with_unknown_option_is_a_usage_error(place: Place):
    outcome = run_here("train", "--sead", "7", at=place)

    assert outcome.code == 2
    assert "--sead" in outcome.err
    assert outcome.out == ""


def test_lift_over_a_model_that_found_nothing_is_undefined():
    targets = Ragged(np.array([0, 1, 2]), np.array([0, 0]))
    lists = {TWO_STAGE: np.array([[0], [0]], np.int32), "als": np.array([[1], [1]], np.int32)}
    evaluation = evaluate_lists(
        lists, targets, config=EvaluationConfig(), seed=1, references=["als"], query_keys=np.arange(2)
    )
    gate = GateDecision(passed=False, checks=(), notes=())

    assert _lift(Assessment(evaluation, [], {}, gate), "als") == "undefined"
