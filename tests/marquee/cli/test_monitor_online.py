"""`marquee monitor online` and `--metrics`, as their user meets them."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from marquee.adapters.mlflow import Tracking
from tests.marquee.adapters.mlflow.empty_store import empty_store, runs
from tests.marquee.adapters.prometheus_file import drawn
from tests.marquee.experiment_report.made_logs import NAME, START, MadeLog
from tests.marquee.steps.drift_place import write_warehouse
from tests.small_run import Outcome, Place, run_here

__all__ = ["empty_store", "runs"]

N = 60
"""Requests of the log below, two items each, of thirty users."""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    MadeLog({"control": 0.5}, {"control": N // 2}).write(folder)
    return folder


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(tmp_path)


def online(logs: Path, here: Place, *more: object, events: str = "events.parquet") -> Outcome:
    return run_here("monitor", "online", "--exposures", logs, "--events", logs / events, *more, at=here)


def gauges(file: Path) -> dict[tuple[str, ...], float]:
    return drawn(file.read_text(encoding="utf-8"))


def by_hand(logs: Path) -> tuple[int, int]:
    """Requests, and clicks, of the whole log: all clicks come within the hour and are credited."""
    lines = (logs / "exposures-2024.jsonl").read_bytes().splitlines()
    events = pl.read_parquet(logs / "events.parquet")
    return len(lines), events.filter(interaction_type="click").height - 1  # one is nobody's


def test_online_prints_a_table_and_writes_parquet(logs: Path, here: Place):
    outcome = online(logs, here)

    assert outcome.code == 0, outcome
    assert "Online metrics" in outcome.out
    assert "coverage is not measured" in outcome.out
    table = pl.read_parquet(here.runs / "online" / "online.parquet").filter(slicing="all")
    n_requests, n_clicks = by_hand(logs)
    assert table.filter(metric="requests")["value"].sum() == n_requests == N
    assert table.filter(metric="ctr")["total"].sum() == n_clicks
    assert table.filter(metric="ctr")["base"].sum() == 2 * N
    assert table.filter(metric="ctr")["is_final"].all()


def test_json_holds_the_same_numbers(logs: Path, here: Place, tmp_path: Path):
    said = online(logs, here, "--json", "--to", tmp_path / "there").json

    table = pl.read_parquet(tmp_path / "there" / "online.parquet").filter(slicing="all")
    assert [each["value"] for each in said["metrics"]] == table["value"].to_list()
    assert (said["periods_replaced"], said["label_coverage"]) == (table["period"].n_unique(), 1.0)


def test_past_can_be_asked_again_and_takes_nothing_away(logs: Path, here: Place):
    online(logs, here)
    before = (here.runs / "online" / "online.parquet").read_bytes()
    early = online(logs, here, "--until", "2024-03-02T12:00:00", "--json").json

    assert early["periods_replaced"] == 0
    assert early["periods_kept"] == ["2024-03-01T00:00:00+00:00", "2024-03-02T00:00:00+00:00"]
    assert early["label_coverage"] == 1.0
    finals = {each["metric"] for each in early["metrics"] if each["is_final"]}
    assert {"requests", "degraded_share"} <= finals
    assert "ctr" not in finals  # a day and its window have not passed
    assert (here.runs / "online" / "online.parquet").read_bytes() == before


def test_since_begins_with_its_period(logs: Path, here: Place):
    said = online(logs, here, "--since", "2024-03-02T12:00:00", "--json").json

    assert {each["period"] for each in said["metrics"]} == {"2024-03-02T00:00:00+00:00"}


def test_metrics_file_and_mlflow_get_the_newest_and_all(
    logs: Path,
    here: Place,
    tmp_path: Path,
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    file = tmp_path / "online.prom"
    first = online(logs, here, "--metrics", file, "--mlflow", "--runs", runs)
    again = online(logs, here, "--metrics", file, "--mlflow", "--runs", runs)

    assert (first.code, again.code) == (0, 0), (first, again)
    assert "0 new points in MLflow" in again.out
    row = (
        pl.read_parquet(runs / "online" / "online.parquet")
        .filter(slicing="all", metric="ctr", period=START + timedelta(days=1))
        .row(0, named=True)
    )
    assert gauges(file)["marquee_online_ctr", "champion", "home"] == row["value"]
    with Tracking.of(runs, {}).connected() as client:
        experiment = client.get_experiment_by_name("marquee-online-events")
        (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics["home/champion/ctr"] == row["value"]


def test_warehouse_gives_a_catalogue(here: Place, tmp_path: Path):
    write_warehouse(here.settings.warehouse("ml-100k"))
    MadeLog({"control": 0.5}, {"control": 5}).write(tmp_path / "logs")

    outcome = run_here(
        "monitor", "online", "--exposures", tmp_path / "logs", "--events",
        here.settings.warehouse("ml-100k"), "--json", at=here,
    )  # fmt: skip

    assert outcome.code == 0, outcome
    coverage = [each["value"] for each in outcome.json["metrics"] if each["metric"] == "coverage"]
    assert coverage
    assert not any("catalogue" in note for note in outcome.json["notes"])


def test_files_from_before_the_time_that_is_asked_for_are_not_read(logs: Path, here: Place, tmp_path: Path):
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "exposures-20240301T10-a-1-2-00001.jsonl").write_bytes(bytes(range(256)) * 40)  # no text
    (folder / "exposures-20240302T10-a-1-2-00002.jsonl").write_bytes(
        (logs / "exposures-2024.jsonl").read_bytes()
    )
    given = ["--exposures", folder, "--events", logs / "events.parquet"]

    whole = run_here("monitor", "online", *given, at=here)
    late = run_here("monitor", "online", *given, "--since", "2024-03-02", "--json", at=here)

    assert whole.code == 2
    assert (late.code, {each["period"] for each in late.json["metrics"]}) == (
        0,
        {"2024-03-02T00:00:00+00:00"},
    )


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--window", "soon"], "--window = 'soon'"),
        (["--window", "0h"], "window_hours"),
        (["--exposures", "absent"], "absent"),
        (["--events", "absent.parquet"], "absent.parquet"),
        (["--since", "2031-01-01"], "no event since"),
        (["--until", "2001-01-01"], "nothing was shown"),
        (["--metrics", "online.txt"], ".prom"),
        (["--config", "absent.yaml"], "absent.yaml"),
    ],
)
def test_what_a_user_can_cause_is_said(logs: Path, here: Place, more: list[str], named: str):
    outcome = online(logs, here, *more)

    assert outcome.code == 2
    assert named in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err


def test_empty_address_of_metrics_is_none_as_in_a_place_without_a_pushgateway(
    logs: Path, here: Place, tmp_path: Path
):
    where = ["--deployment", tmp_path / "deployment", "--stable", "old"]
    measured = online(logs, here, "--metrics", "")
    begun = run_here("canary", "start", "new", *where, "--metrics", "", at=here)

    assert [(each.code, ".prom" in each.err) for each in (measured, begun)] == [(0, False)] * 2


# --- the other jobs' gauges -----------------------------------------------------------------------------


def test_drift_leaves_gauges_also_where_it_blocks(here: Place, tmp_path: Path):
    write_warehouse(here.settings.warehouse("ml-100k"), gone="age")
    file = tmp_path / "drift.prom"

    outcome = run_here(
        "monitor", "drift", "--current", "7d", "--out", tmp_path / "drift", "--metrics", file, at=here
    )

    assert outcome.code == 1
    found = gauges(file)
    assert found["marquee_data_gate", "block"] == 1.0
    assert found["marquee_null_share", "users", "age"] == 1.0
    assert found["marquee_drift_verdict", "blocked"] == 1.0


def test_experiment_leaves_gauges(tmp_path: Path, here: Place):
    MadeLog({"control": 0.3, "fresh": 0.45}, {"control": 300, "fresh": 300}).write(tmp_path / "logs")
    file = tmp_path / "experiment.prom"

    outcome = run_here(
        "experiment", "report", NAME, "--exposures", tmp_path / "logs",
        "--events", tmp_path / "logs" / "events.parquet", "--metrics", file, "--json", at=here,
    )  # fmt: skip

    assert outcome.code == 0, outcome
    found, decided = gauges(file), outcome.json["treatments"]["fresh"]
    assert found["marquee_experiment_users", NAME, "fresh"] == 300.0
    assert found["marquee_experiment_action", NAME, "fresh", decided["action"]] == 1.0
    assert found["marquee_srm_p", NAME] == 1.0
    low, high = (found[f"marquee_experiment_{end}", NAME, "ctr", "fresh"] for end in ("low", "high"))
    assert low < found["marquee_experiment_lift", NAME, "ctr", "fresh"] < high


def test_canary_leaves_gauges_and_a_file_that_fails_stops_no_rollout(here: Place, tmp_path: Path):
    where = ["--deployment", tmp_path / "deployment"]
    file = tmp_path / "canary.prom"

    run_here("canary", "start", "new", *where, "--stable", "old", "--metrics", file, at=here)
    begun = gauges(file)
    ended = run_here("canary", "abort", *where, "--metrics", tmp_path / "canary.txt", at=here)
    run_here("canary", "step", *where, "--metrics", file, at=here)

    assert begun["marquee_canary_phase", "marquee", "stepping"] == 1.0
    assert (ended.code, ".prom" in ended.err) == (0, True)
    assert gauges(file)["marquee_canary_phase", "marquee", "rolled_back"] == 1.0
    assert gauges(file)["marquee_canary_weight", "marquee"] == 0.0
