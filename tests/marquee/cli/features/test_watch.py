"""Feast's own server, started for real, answers for one user; a taken port is one clear error."""

import json
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from marquee.cli.features.watch import ask as asking
from marquee.errors import FeatureStoreError
from tests.marquee.cli.features.small_place import ask, make, run

PATIENCE_SECONDS = 60


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make(tmp_path, monkeypatch)


def test_serve_on_a_taken_port_is_one_clear_error(place: Path):
    ask("apply")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(FeatureStoreError, match=f"port {port} of 127.0.0.1 can't be used") as refusal:
            run("serve", "--port", str(port))

    assert "--port" in refusal.value.remedy


def test_serve_before_apply_names_the_remedy(place: Path):
    with pytest.raises(FeatureStoreError, match="there is no registry") as refusal:
        run("serve")

    assert "marquee features apply" in refusal.value.remedy


@pytest.mark.slow
def test_serve_answers_for_one_user_and_ends_by_its_process_id(place: Path):
    for command in ("build", "apply", "materialize"):
        ask(command)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    body = json.dumps({"feature_service": "candidates_v1", "entities": {"user_id": ["u0", "nobody"]}})
    words = [sys.executable, "-m", "marquee", "features", "serve", "--dataset", "small", "--port", str(port)]

    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        answer = _answer(server, shlex.split(asking(port, body)))
    finally:
        server.terminate()
        ended = server.wait(timeout=PATIENCE_SECONDS)

    names = answer["metadata"]["feature_names"]
    values = dict(zip(names, (result["values"] for result in answer["results"]), strict=True))
    assert values["user_history_items"] == [["a", "b"], None]
    assert values["user_id"] == ["u0", "nobody"]
    assert ended == 0


def _answer(server: subprocess.Popen, command: list[str]) -> dict:
    """What the printed command asks, asked as soon as somebody listens."""
    url, _, header, _, body = command[2:]
    name, _, value = header.partition(": ")
    request = urllib.request.Request(url, data=body.encode(), headers={name: value})  # noqa: S310 - http, as above
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
                return json.load(response)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError(f"the server did not answer: {server.poll()}")
