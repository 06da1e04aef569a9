"""Files and pushes for Prometheus."""

import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from marquee.adapters.prometheus_text import publish
from marquee.errors import ConfigError
from marquee.monitoring.gauges import DRIFT_Z, GAUGES, WINDOW_USERS, Gauge
from tests.full_disk import files_of_at_most
from tests.marquee.adapters.prometheus_file import drawn


def test_file_holds_the_readings(tmp_path: Path):
    file = tmp_path / "drift.prom"
    publish(
        [*DRIFT_Z.at(1.5, "ndcg"), *DRIFT_Z.at(-2.0, 'a "b"\n'), *WINDOW_USERS.at(80)], str(file), job="drift"
    )

    assert drawn(file.read_text()) == {
        ("marquee_drift_z", "ndcg"): 1.5,
        ("marquee_drift_z", 'a "b"\n'): -2.0,
        ("marquee_window_users",): 80.0,
    }
    assert "# HELP marquee_window_users Users that the drift check measured." in file.read_text()


def test_next_time_replaces_the_file(tmp_path: Path):
    file = tmp_path / "drift.prom"
    publish(DRIFT_Z.at(1.5, "gone"), str(file), job="drift")
    publish(DRIFT_Z.at(2.5, "ndcg"), str(file), job="drift")

    assert drawn(file.read_text()) == {("marquee_drift_z", "ndcg"): 2.5}
    assert [each.name for each in tmp_path.iterdir()] == ["drift.prom"]


@pytest.mark.services  # installed by what runs these
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_file_with_all_gauges_passes_promtool(tmp_path: Path):
    file = tmp_path / "all.prom"
    publish(
        (each for gauge in GAUGES for each in gauge.at(1.0, *(f"some {name}" for name in gauge.labels))),
        str(file),
        job="all",
    )

    with file.open("rb") as content:
        told = subprocess.run(
            ["promtool", "check", "metrics"],  # noqa: S607 - wherever it is installed
            stdin=content,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (told.returncode, told.stderr) == (0, "")


def test_file_that_the_collector_passes_by_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"does not end on \.prom"):
        publish(WINDOW_USERS.at(1), str(tmp_path / "metrics.txt"), job="drift")


def test_full_disk_leaves_the_old_file(tmp_path: Path):
    file = tmp_path / "drift.prom"
    publish(WINDOW_USERS.at(1), str(file), job="drift")
    before = file.read_bytes()

    with files_of_at_most(200), pytest.raises(ConfigError, match="file of metrics"):
        publish((each for n in range(99) for each in DRIFT_Z.at(n, f"s{n}")), str(file), job="drift")

    assert file.read_bytes() == before


def test_gauge_that_no_dashboard_knows_is_a_fault_of_ours(tmp_path: Path):
    with pytest.raises(ValueError, match="not among GAUGES"):
        publish(Gauge("marquee_own", "Own.").at(1), str(tmp_path / "own.prom"), job="own")


class Gateway(BaseHTTPRequestHandler):
    """Takes what is pushed and keeps it; a path with `full` is refused."""

    taken: list[tuple[str, str, str]]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.taken.append((self.command, self.path, body))
        self.send_response(507 if "full" in self.path else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    Gateway.taken = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", Gateway.taken
    server.shutdown()
    server.server_close()


def test_push_replaces_the_group_of_the_job(gateway):
    address, taken = gateway
    publish(WINDOW_USERS.at(80), address, job="marquee-drift")

    [(verb, path, body)] = taken
    assert (verb, path) == ("PUT", "/metrics/job/marquee-drift")
    assert drawn(body) == {("marquee_window_users",): 80.0}


def test_gateway_that_refuses_or_is_absent_is_said_without_its_password(gateway):
    address, _ = gateway
    with pytest.raises(ConfigError, match="did not take the metrics"):
        publish(WINDOW_USERS.at(80), f"{address}/full", job="marquee-drift")
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1") as caught:
        publish(WINDOW_USERS.at(80), "http://me:secret@127.0.0.1:9", job="marquee-drift")
    assert "secret" not in str(caught.value)
