import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from marquee.adapters.mlflow import Tracking, TrackingError
from marquee.adapters.mlflow.quiet import DEFAULTS, quiet

ROOT = Path(__file__).parents[4]


def look_into(tracking: Tracking) -> list[str]:
    """The names of the experiments."""
    with tracking.connected() as client:
        return [experiment.name for experiment in client.search_experiments()]


def test_tracking_without_environment_is_a_database_in_the_runs_folder(tmp_path: Path):
    tracking = Tracking.of(tmp_path, {})

    assert tracking == Tracking(f"sqlite:///{tmp_path}/mlflow.db", local=tmp_path)
    assert tracking.is_empty


def test_tracking_takes_what_kubeflow_injects(tmp_path: Path):
    environment = {
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "MLFLOW_RUN_ID": "r",
        "MLFLOW_EXPERIMENT_ID": "e",
        "MLFLOW_EXPERIMENT_NAME": "n",
    }

    tracking = Tracking.of(tmp_path, environment)

    assert tracking == Tracking(
        "http://mlflow:5000", local=None, run_id="r", experiment_id="e", experiment_name="n"
    )
    assert tracking.artifact_location("n") is None


def test_connected_makes_a_whole_database_and_leaves_no_other_file(tmp_path: Path):
    assert look_into(Tracking.of(tmp_path, {})) == ["Default"]

    assert sorted(path.name for path in tmp_path.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


KILLED = """
import os, signal, sys
from pathlib import Path
from alembic.ddl.impl import DefaultImpl
from marquee.adapters.mlflow import Tracking
create, made = DefaultImpl.create_table, []
def dying(self, *arguments, **options):
    made.append(create(self, *arguments, **options))
    if len(made) == 20:
        os.kill(os.getpid(), signal.SIGKILL)
DefaultImpl.create_table = dying
with Tracking.of(Path(sys.argv[1]), {}).connected():
    pass
"""
"""Makes a database and dies at its twentieth table."""


def test_connected_after_a_process_was_killed_while_it_made_the_database_makes_it(tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / ".mlflow.db.partial").stat().st_size > 0

    assert look_into(Tracking.of(tmp_path, {})) == ["Default"]
    assert not (tmp_path / ".mlflow.db.partial").exists()


def test_connected_to_a_file_that_is_no_database_names_it(tmp_path: Path):
    (tmp_path / "mlflow.db").write_bytes(b"nonsense" * 1000)

    with pytest.raises(TrackingError, match=r"mlflow\.db .*not a database.*Move that file away"):
        look_into(Tracking.of(tmp_path, {}))


def test_connected_to_a_database_of_another_release_says_how_to_upgrade(runs: Path):
    connection = sqlite3.connect(runs / "mlflow.db")
    connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    connection.commit()
    connection.close()

    with pytest.raises(TrackingError, match="mlflow db upgrade"):
        look_into(Tracking.of(runs, {}))


def test_connected_to_a_server_that_is_down_names_it_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracking = Tracking.of(tmp_path, {"MLFLOW_TRACKING_URI": "http://me:secret@127.0.0.1:9"})

    with pytest.raises(TrackingError, match=r"http://\*\*\*@127\.0\.0\.1:9 does not answer") as caught:
        look_into(tracking)
    assert "secret" not in str(caught.value)
    assert "Start the server" in caught.value.remedy


def test_connected_to_a_runs_folder_that_is_a_file_is_an_error_of_ours(tmp_path: Path):
    (tmp_path / "runs").touch()

    with pytest.raises(TrackingError, match="runs"):
        look_into(Tracking.of(tmp_path / "runs", {}))


def test_quiet_gives_the_environment_back_and_respects_the_user(monkeypatch: pytest.MonkeyPatch):
    for name in DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "300")
    before = dict(os.environ)

    with quiet():
        inside = dict(os.environ)

    assert dict(os.environ) == before
    assert inside == before | DEFAULTS | {"MLFLOW_HTTP_REQUEST_TIMEOUT": "300"}


def test_quiet_turns_the_telemetry_off_that_an_earlier_import_turned_on(monkeypatch: pytest.MonkeyPatch):
    from mlflow.telemetry import client

    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    seen = []
    monkeypatch.setattr(client, "set_telemetry_client", lambda: seen.append(dict(os.environ)))

    with quiet():
        pass

    assert [environment["MLFLOW_DISABLE_TELEMETRY"] for environment in seen] == ["true"]
