"""Log lines are JSON, one each, and what callers do wrong is not among them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import HTTPException
from kserve.errors import InferenceError, InvalidInput, ModelNotFound, ModelNotReady

from serving.logs import JsonLines, WithoutClientsFaults, note_fault
from tests.serving.conftest import Server


@pytest.fixture
def lines() -> Iterator["Lines"]:
    """What is written to the log of `marquee.serving`."""
    found = Lines()
    log = logging.getLogger("marquee.serving")
    log.addHandler(found.handler)
    yield found
    log.removeHandler(found.handler)


class Lines:
    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(JsonLines())
        self.handler.addFilter(WithoutClientsFaults())
        self.log = logging.getLogger("marquee.serving")

    @property
    def objects(self) -> list[Any]:
        return [json.loads(line) for line in self.stream.getvalue().split("\n") if line]


def test_line_is_one_json_object_whatever_it_says(lines: Lines) -> None:
    lines.log.warning("one\ntwo %s", '"quoted" \u2028 é', extra={"fields": {"folder": lines, "n": 2}})

    (found,) = lines.objects
    assert found["message"] == 'one\ntwo "quoted" \u2028 é'
    assert (found["level"], found["logger"], found["n"]) == ("warning", "marquee.serving", 2)
    assert found["time"].endswith("+00:00")
    assert "Lines object" in found["folder"]


def test_fault_of_ours_is_one_line_with_its_traceback_and_the_request(lines: Lines) -> None:
    def fail() -> None:
        raise KeyError("colour")

    try:
        fail()
    except KeyError as error:
        note_fault(error, "abc")

    (found,) = lines.objects
    assert found["request_id"] == "abc"
    assert "in fail" in found["traceback"]
    assert found["traceback"].endswith("KeyError: 'colour'")


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("n"),
        ModelNotFound("other"),
        ModelNotReady("marquee"),
        InferenceError("no tensor"),
        HTTPException(404),
        NotImplementedError(),
    ],
    ids=repr,
)
def test_fault_of_a_caller_is_not_logged_but_a_line_without_one_is(lines: Lines, error: Exception) -> None:
    lines.log.error("Exception:", exc_info=error)
    lines.log.error("something else")
    lines.log.error("ours", exc_info=ValueError("ours"))

    assert [each["message"] for each in lines.objects] == ["something else", "ours"]


def test_server_logs_json_alone_and_nothing_of_what_callers_do_wrong(server: Server) -> None:
    before = log_lines(server)

    for body in (b"{", b'{"instances": []}', b'{"instances": [{"n": 0}]}'):
        assert server.call("/v1/models/marquee:predict", body).status == 400
        assert server.call("/v1/models/marquee:explain", body).status == 400
    assert server.call("/v1/models/other").status == 404
    assert server.call("/v2/models/marquee/versions/1").status == 404
    assert server.predict({"user_id": "u000"}).status == 200

    assert log_lines(server) == before
    (loaded,) = [each for each in before if each["message"] == "bundle loaded"]
    assert loaded["variant"] == "default"


def log_lines(server: Server) -> list[Any]:
    """What the server logged; the welcome is for people and no log."""
    text = server.log.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line.startswith("{")]
