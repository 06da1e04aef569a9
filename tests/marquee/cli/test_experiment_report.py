"""`marquee experiment report` and `replay`, as their user meets them."""

import json
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from tests.marquee.experiment_report.made_logs import NAME, MadeLog
from tests.small_run import Place, run_here

SETTINGS = """
n_looks: 3
decision:
  success: [ctr, events_per_user]
  guardrails:
    - {metric: latency_ms, kind: quantile_ratio, quantile: 0.9, limit: 1.5}
    - {metric: degraded, kind: increase, limit: 0.05}
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    MadeLog({"control": 0.3, "fresh": 0.45}, {"control": 600, "fresh": 600}).write(folder)
    (folder / "settings.yaml").write_text(SETTINGS, encoding="utf-8")
    return folder


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(tmp_path)


def report(logs: Path, here: Place, *more, events: str = "events.parquet", name: str = NAME):
    return run_here(
        "experiment", "report", name, "--exposures", logs, "--events", logs / events,
        "--settings", logs / "settings.yaml", *more, at=here,
    )  # fmt: skip


class Page(HTMLParser):
    """What a page holds and whether each tag that was opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [
            value for name, value in attrs if name in {"src", "href"} and not value.startswith("#")
        ]
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_report_prints_a_table_and_writes_page_and_decision(logs: Path, here: Place):
    outcome = report(logs, here)

    assert outcome.code == 0, outcome
    assert "users: control 600, fresh 600" in outcome.out
    (row,) = [line.split() for line in outcome.out.splitlines() if line.startswith("ctr ")]
    assert (row[0], row[-1]) == ("ctr", "better")
    assert "fresh: ship" in outcome.out
    folder = here.runs / "experiments" / NAME
    values = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
    assert values["treatments"]["fresh"]["action"] == "ship"
    assert list(values["inputs"]["exposures"]) == ["exposures-2024.jsonl"]
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert page.tags.count("svg") == 4  # users, always valid, one look, over time
    assert page.links == []
    assert "script" not in page.tags


def test_report_json_is_the_decision(logs: Path, here: Place):
    shown = report(logs, here, "--json", "--out", here.root / "there").json

    written = json.loads((here.root / "there" / "decision.json").read_text(encoding="utf-8"))
    assert shown == written | {"folder": str(here.root / "there")}


def test_same_logs_give_the_same_bytes(logs: Path, here: Place):
    for folder in ("one", "two"):
        assert report(logs, here, "--out", here.root / folder).code == 0

    for file in ("decision.json", "report.html"):
        assert (here.root / "one" / file).read_bytes() == (here.root / "two" / file).read_bytes()


def test_doubled_and_shuffled_logs_give_the_same_decision(logs: Path, here: Place):
    other = here.root / "other"
    other.mkdir()
    lines = (logs / "exposures-2024.jsonl").read_bytes().splitlines(keepends=True)
    (other / "exposures-a.jsonl").write_bytes(b"".join(lines[::-1]))
    (other / "exposures-b.jsonl").write_bytes(b"".join(lines[:500]))
    events = pl.read_parquet(logs / "events.parquet")
    pl.concat([events[::-1], events[:300]]).write_parquet(other / "events.parquet")
    (other / "settings.yaml").write_text(SETTINGS, encoding="utf-8")

    first, second = (report(place, here, "--json").json for place in (logs, other))

    assert second["treatments"] == first["treatments"]
    assert second["sample_ratio"] == first["sample_ratio"]


def test_events_may_come_as_text(logs: Path, here: Place):
    table = pl.read_parquet(logs / "events.parquet").with_columns(
        pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    )
    table.write_csv(here.root / "events.csv")
    table.write_ndjson(here.root / "events.jsonl")

    found = [
        report(logs, here, "--json", events=path).json["treatments"]
        for path in ("events.parquet", here.root / "events.csv", here.root / "events.jsonl")
    ]

    assert found[0] == found[1] == found[2]


def test_until_asks_as_of_an_earlier_moment(logs: Path, here: Place):
    shown = report(logs, here, "--json", "--until", "2024-03-02T12:00:00").json

    assert shown["until"] == "2024-03-02T12:00:00+00:00"
    assert shown["treatments"]["fresh"]["comparisons"]["ctr"]["n_control"] < 600


def test_replay_gives_the_same_and_tells_of_a_changed_threshold(logs: Path, here: Place):
    report(logs, here)
    file = here.runs / "experiments" / NAME / "decision.json"

    same = run_here("experiment", "replay", file, at=here)
    values = json.loads(file.read_text(encoding="utf-8"))
    values["config"]["decision"]["sequential"]["min_users"] = 100_000
    file.write_text(json.dumps(values), encoding="utf-8")
    other = run_here("experiment", "replay", file, at=here)

    assert (same.code, same.out) == (0, "fresh: ship, as written\n")
    assert (other.code, other.out) == (1, "fresh: continue, NOT as written\n")


def test_shares_of_the_file_of_experiments_are_held_beside_the_log(logs: Path, here: Place):
    file = here.root / "experiments.yaml"
    file.write_text(
        f"experiments: [{{name: {NAME}, variants: [{{name: control, weight: 3}}, {{name: fresh}}]}}]",
        encoding="utf-8",
    )

    shown = report(logs, here, "--json", "--config", file).json

    assert any("other shares than the log" in note for note in shown["notes"])
    assert len(shown["inputs"]["experiments_sha256"]) == 64
    report(logs, here, "--config", file, name="other").require_error("'other'", NAME)


def test_faults_of_a_user_are_told_in_two_lines(logs: Path, here: Place):
    (here.root / "bad.yaml").write_text("window_hours: -1", encoding="utf-8")
    (here.root / "empty").mkdir()
    (here.root / "events.txt").touch()

    report(logs, here, name="unknown").require_error("unknown", NAME)
    report(logs, here, "--control", "nobody").require_error("nobody", "control, fresh")
    report(logs, here, "--settings", here.root / "bad.yaml").require_error("window_hours = -1")
    report(logs, here, events="nowhere.parquet").require_error("nowhere.parquet")
    report(logs, here, events=here.root / "events.txt").require_error("neither a warehouse")
    report(logs, here, "--exposures", here.root / "empty").require_error("holds no exposure")
    report(logs, here, "--exposures", here.root / "nowhere").require_error("can't be read")
    run_here("experiment", "replay", here.root / "bad.yaml", at=here).require_error("can't be read")


def test_decision_of_another_version_is_refused(logs: Path, here: Place):
    for content, word in (({"version": 9}, "version = 9"), ({}, "version"), ([], "no JSON object")):
        (here.root / "decision.json").write_text(json.dumps(content), encoding="utf-8")

        run_here("experiment", "replay", here.root / "decision.json", at=here).require_error(word)
