"""The load's HTTP client against servers that do what servers may do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from benchmarks.load_connections import Answer, Connections

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Server:
    """Gives each request the same bytes."""

    def __init__(
        self, answer: bytes, *, pieces: int = 1, hold_s: float = 0.0, hangs_up: bool = False
    ) -> None:
        self.answer, self.pieces, self.hold_s, self.hangs_up = answer, pieces, hold_s, hangs_up
        self.connections = self.open = self.most_open = 0
        self.bodies: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                await asyncio.sleep(self.hold_s)
                size = -(-len(self.answer) // self.pieces)
                for start in range(0, len(self.answer), size):
                    writer.write(self.answer[start : start + size])
                    await writer.drain()
                    await asyncio.sleep(0.001)
                if self.hangs_up:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def listening(handler: Handler, **options: Any) -> AsyncIterator[Connections]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connections = Connections(f"http://127.0.0.1:{port}/lists", **{"most": 8, "timeout_s": 5.0} | options)
    try:
        yield connections
    finally:
        connections.close()
        server.close()


def asked(server: Server, *bodies: bytes, **options: Any) -> list[Answer]:
    async def all_of_them() -> list[Answer]:
        async with listening(server, **options) as connections:
            return [await connections.post(body) for body in bodies]

    return asyncio.run(all_of_them())


def test_connection_is_kept_for_the_next_request():
    server = Server(OK)

    answers = asked(server, b"one", b"two", b"")

    assert [(each.status, each.content) for each in answers] == [(200, b"{}")] * 3
    assert server.bodies == [b"one", b"two", b""]
    assert server.connections == 1


def test_answer_may_come_in_pieces_and_chunks():
    server = Server(
        b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", pieces=9
    )

    [answer] = asked(server, b"{}")

    assert (answer.status, answer.content) == (503, b"abcde")


@pytest.mark.parametrize(
    "server",
    [
        Server(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")),  # said
        Server(OK, hangs_up=True),  # done
    ],
)
def test_server_that_ends_its_connections_is_connected_to_again(server: Server):
    async def twice() -> list[int]:
        async with listening(server) as connections:
            first = await connections.post(b"{}")
            await asyncio.sleep(0.05)
            return [first.status, (await connections.post(b"{}")).status]

    assert asyncio.run(twice()) == [200, 200]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("server", "fault"),
    [
        (Server(OK, hold_s=1.0), TimeoutError),
        (Server(b"no HTTP at all\r\n\r\n"), ConnectionError),
        (Server(OK[:-1], hangs_up=True), ConnectionResetError),
    ],
)
def test_no_answer_is_an_error_and_spoils_no_other(server: Server, fault: type[Exception]):
    async def twice() -> Answer:
        async with listening(server, timeout_s=0.2) as connections:
            with pytest.raises(fault):
                await connections.post(b"{}")
            server.answer, server.hold_s, server.hangs_up = OK, 0.0, False
            return await connections.post(b"{}")

    assert asyncio.run(twice()).content == b"{}"
    assert server.connections == 2


def test_no_more_connections_than_allowed():
    server = Server(OK, hold_s=0.02)

    async def at_once() -> list[Answer]:
        async with listening(server, most=2) as connections:
            return await asyncio.gather(*(connections.post(b"{}") for _ in range(7)))

    assert len(asyncio.run(at_once())) == 7
    assert server.most_open == 2
