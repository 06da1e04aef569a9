"""An answer leaves as a whole."""

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from serving.http import WholeAnswers

REQUEST = b"GET /%b HTTP/1.1\r\nHost: here\r\n%b\r\n"
CLOSE = b"Connection: close\r\n"


class Wire(asyncio.Transport):
    """Keeps what is written, write by write, and when it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        assert not self.is_closed
        self.done.append(bytes(data))

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def echo(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """Answers with the path: at once, or in pieces with a pause in between."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/slow":
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def written(*requests: bytes) -> Wire:
    """What reaches the wire for requests that come in one piece."""

    async def life() -> Wire:
        config = uvicorn.Config(echo, http=WholeAnswers, log_config=None)
        config.load()
        protocol, wire = WholeAnswers(config, ServerState(), {}), Wire()
        protocol.connection_made(wire)
        protocol.data_received(b"".join(requests))
        await asyncio.sleep(0.1)
        protocol.connection_lost(ConnectionResetError())  # without one, it would close the wire by itself
        return wire

    return asyncio.run(life())


def test_head_and_body_are_one_write():
    wire = written(REQUEST % (b"one", b""))

    [whole] = wire.done
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\n" in whole
    assert b"/one" in whole
    assert not wire.is_closed


def test_requests_in_one_piece_are_answered_in_order():
    wire = written(*(REQUEST % (b"%d" % number, b"") for number in range(4)))

    assert [each.count(b"HTTP/1.1 200") for each in wire.done] == [1] * len(wire.done)
    assert [f"/{number}".encode() in each for number, each in enumerate(wire.done)] == [True] * 4


def test_what_comes_later_is_not_waited_for():
    wire = written(REQUEST % (b"slow", b""))

    first, second = wire.done
    assert b"first" in first
    assert b"/slow" in second
    assert b"HTTP" not in second


def test_connection_that_ends_with_its_answer_ends_after_it():
    wire = written(REQUEST % (b"last", CLOSE))

    [whole] = wire.done
    assert b"/last" in whole
    assert wire.is_closed
