import logging
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from kfp import dsl

from components.notify import notify


def status(state: str, message: str = "") -> dsl.PipelineTaskFinalStatus:
    return dsl.PipelineTaskFinalStatus(
        state=state,
        pipeline_job_resource_name="job",
        pipeline_task_name="exit-handler-1",
        error_code=1 if message else None,
        error_message=message or None,
    )


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    monkeypatch.delenv("MARQUEE_NOTIFY_URL", raising=False)
    caplog.set_level(logging.INFO, "marquee.steps")
    return caplog


def test_success_is_told_in_a_line(heard: pytest.LogCaptureFixture):
    said = notify.python_func("run-1", "manual", status("SUCCEEDED"))

    assert said == "marquee run-1: SUCCEEDED (started by manual)"
    assert said in heard.messages


def test_failure_is_told_with_its_message():
    said = notify.python_func("run-1", "", status("FAILED", "evaluate-model: no"))

    assert said == "marquee run-1: FAILED\nevaluate-model: no"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/T0KEN", "ftp://example.org/T0KEN", "http://[::1/T0KEN"])
def test_message_that_can_not_be_delivered_fails_nothing_and_keeps_the_secret(
    url: str, monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
):
    monkeypatch.setenv("MARQUEE_NOTIFY_URL", url)

    said = notify.python_func("run-1", "drift", status("SUCCEEDED"))

    assert said == "marquee run-1: SUCCEEDED (started by drift)"
    assert [record.levelname for record in heard.records] == ["INFO", "WARNING"]
    assert "T0KEN" not in heard.text


def test_webhook_of_the_settings_hears_it(monkeypatch: pytest.MonkeyPatch):
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        monkeypatch.setenv("MARQUEE_NOTIFY_URL", f"http://127.0.0.1:{server.server_port}/")
        notify.python_func("run-1", "schedule", status("SUCCEEDED"))
        thread.join()

    assert bodies == [b'{"text": "marquee run-1: SUCCEEDED (started by schedule)"}']
