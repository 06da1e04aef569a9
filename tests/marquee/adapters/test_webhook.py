import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from marquee.adapters import webhook
from marquee.adapters.webhook import post_text
from marquee.errors import ConfigError

SECRET = "T0KEN"  # noqa: S105 - a secret of the test's own


@dataclass
class Hook:
    """A webhook on this machine, and what it was told."""

    url: str = ""
    status: int = 200
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False


@pytest.fixture
def hook() -> Iterator[Hook]:
    state = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if state.hangs:
                state.released.wait(30)
                return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.asked.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(state.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/services/{SECRET}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_message_is_posted_as_json_with_a_text(hook: Hook):
    failed = post_text(hook.url, "marquee run-1: SUCCEEDED – ü")

    assert failed is None
    assert hook.asked == [
        (f"/services/{SECRET}", "application/json", {"text": "marquee run-1: SUCCEEDED – ü"})
    ]


@pytest.mark.parametrize("status", [404, 500])
def test_refused_message_is_told_without_the_secret_address(hook: Hook, status: int):
    hook.status = status

    failed = post_text(hook.url, "hello")

    assert failed is not None
    assert str(status) in failed
    assert "127.0.0.1" in failed
    assert SECRET not in failed


def test_hook_that_hangs_is_given_up(hook: Hook, monkeypatch: pytest.MonkeyPatch):
    hook.hangs = True
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.2)

    failed = post_text(hook.url, "hello")

    assert failed is not None
    assert "timed out" in failed


def test_hook_that_does_not_speak_http_is_told(nonsense: str):
    failed = post_text(nonsense, "hello")

    assert failed is not None
    assert "127.0.0.1" in failed
    assert SECRET not in failed


@pytest.fixture
def nonsense() -> Iterator[str]:
    """The address of a server that answers with something else."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"good day\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/services/{SECRET}"
        thread.join()


def test_hook_that_is_not_there_is_told(hook: Hook):
    closed = "http://127.0.0.1:1/services/" + SECRET

    failed = post_text(closed, "hello")

    assert failed is not None
    assert SECRET not in failed


@pytest.mark.parametrize(
    "url", [f"file:///etc/{SECRET}", f"hooks.example.org/{SECRET}", f"ftp://example.org/{SECRET}", "http://"]
)
def test_address_that_is_no_web_address_is_refused_without_showing_it(url: str):
    with pytest.raises(ConfigError) as caught:
        post_text(url, "hello")

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"http://[::1/{SECRET}",
        f"http://example.org:port/{SECRET}",
        f"http://a b/{SECRET}",
        f"http://127.0.0.1:1/{SECRET} x",
    ],
)
def test_address_that_can_not_be_read_neither_raises_nor_is_shown(url: str):
    try:
        told = post_text(url, "hello") or ""
    except ConfigError as refused:
        told = str(refused)

    assert told
    assert SECRET not in told
