"""HTTP/1.1 for a load: connections that are kept, a parser, and next to nothing of its own in any latency.

A general client takes most of a millisecond for a request, half of it before anything leaves and half of it
after the answer came: on a slow host that was a third of what a short list seemed to take.
"""

import asyncio
import socket
import time
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

PORTS: Final = {"http": 80, "https": 443}


class Answer(NamedTuple):
    """What came back."""

    status: int
    content: bytes
    at: float
    """When its last byte was there, by `time.perf_counter`."""


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self.is_usable = True
        self._transport: Any = None
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._parts: list[bytes] = []
        self._at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes, timeout_s: float) -> "asyncio.Future[Answer]":
        """Send a request; the answer to come, or TimeoutError, ConnectionError."""
        loop = asyncio.get_running_loop()
        self._answer = answer = loop.create_future()
        too_late = loop.call_later(timeout_s, self._fail, TimeoutError())
        answer.add_done_callback(lambda _: too_late.cancel())
        self._parts = []
        self._transport.write(request)
        return answer

    def data_received(self, data: bytes) -> None:
        self._at = time.perf_counter()
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(ConnectionError(str(error)))

    def on_body(self, part: bytes) -> None:
        """A part of an answer's body."""
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """An answer is there as a whole."""
        self.is_usable = self.is_usable and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._parser.get_status_code(), b"".join(self._parts), self._at))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc if isinstance(exc, ConnectionError) else ConnectionResetError("hung up"))

    def _fail(self, error: Exception) -> None:
        self.is_usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def close(self) -> None:
        """Hang up."""
        self.is_usable = False
        self._transport.abort()


class Connections:
    """To one address, the last used first; who asks while all are busy waits for one.

    Args:
        url: where bodies are posted to, with scheme and path.
        most: connections at a time.
        timeout_s: for an answer, from when its request leaves.
    """

    def __init__(self, url: str, *, most: int, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._url = urlsplit(url)
        self._head = (
            f"POST {self._url.path} HTTP/1.1\r\nHost: {self._url.netloc}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._idle: list[_Connection] = []
        self._turns = asyncio.Semaphore(most)

    async def post(self, body: bytes) -> Answer:
        """Post JSON.

        Raises:
            OSError: nobody listens, the connection broke, or (TimeoutError) no answer came in time.
        """
        async with self._turns:
            connection = self._kept() or await self._connected()
            try:
                request = b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
                return await connection.ask(request, self._timeout_s)
            finally:
                if connection.is_usable:
                    self._idle.append(connection)
                else:
                    connection.close()

    def _kept(self) -> _Connection | None:
        while self._idle:
            if (connection := self._idle.pop()).is_usable:
                return connection
        return None

    async def _connected(self) -> _Connection:
        url = self._url
        async with asyncio.timeout(self._timeout_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                _Connection,
                url.hostname,
                url.port or PORTS[url.scheme],
                ssl=True if url.scheme == "https" else None,
            )
        return connection

    def close(self) -> None:
        """Hang up all that are idle."""
        while self._idle:
            self._idle.pop().close()
