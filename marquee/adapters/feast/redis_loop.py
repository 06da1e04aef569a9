"""Redis asked from an event loop, without a thread in between and without a client's layers.

A thread that has to be woken for every row, and the client and the streams around the connection, took as
long as all the rest of a popular list. How to connect and log in is redis-py's (`Connection.connect`), and
what is said is packed and read by hiredis; in between a question is one write and one future.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import hiredis
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as LostConnectionError
from redis.exceptions import ResponseError

MAX_IDLE: Final = 16
"""Connections that are kept for the next questions; a burst may have more."""
_UNFINISHED: Final = object()


def packed(*words: str | bytes) -> bytes:
    """A command as Redis reads it."""
    command: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub knows tuples of one
    return command


class _Line(asyncio.Protocol):
    """A connection that is logged in: one question at a time, each with one answer."""

    def __init__(self, connection: Connection) -> None:
        self.is_lost = False
        self._connection = connection  # held: it hangs up when it is forgotten
        assert connection._writer is not None  # noqa: S101 - for the type: it is connected
        self._transport: Any = connection._writer.transport
        self._reader = hiredis.Reader(replyError=ResponseError, notEnoughData=_UNFINISHED)
        self._answer: asyncio.Future[Any] | None = None
        self._transport.set_protocol(self)  # from redis-py's streams, which have nothing left to read

    def ask(self, command: bytes) -> "asyncio.Future[Any]":
        """Send a question; the answer to come."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(command)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Take apart what came in: an answer may come in pieces."""
        self._reader.feed(data)
        if (answer := self._reader.gets()) is _UNFINISHED:
            return
        waiting, self._answer = self._answer, None
        if waiting is None or waiting.done():
            return
        if isinstance(answer, Exception):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who still waits."""
        self.is_lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LostConnectionError(f"Redis hung up: {exc or 'without a word'}"))

    async def hang_up(self) -> None:
        """End the connection."""
        await self._connection.disconnect(nowait=True)


@dataclass(eq=False)
class LoopConnections:
    """Connections of one event loop, the last used first; another loop gets new ones.

    It waits as long as Redis does: who asks brings a limit, and may be cancelled at any point.
    """

    make: Callable[[], Connection]
    _idle: list[_Line] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop | None = None

    async def ask(self, command: bytes) -> Any:  # noqa: ANN401 - whatever Redis answers
        """The answer to one command that reads, `packed` or the like.

        Raises:
            RedisError: it can't be connected to, or refuses.
        """
        if self._loop is not (loop := asyncio.get_running_loop()):
            self._loop, self._idle = loop, []
        while self._idle:
            if (line := self._idle.pop()).is_lost:
                await line.hang_up()
                continue
            try:
                return await self._exchange(line, command)
            except LostConnectionError:
                continue  # ended while it was idle, as by a restart
        return await self._exchange(await self._connected(), command)

    async def close(self) -> None:
        """End those that are idle, in their loop."""
        while self._idle:
            await self._idle.pop().hang_up()

    async def _connected(self) -> _Line:
        connection = self.make()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return _Line(connection)

    async def _exchange(self, line: _Line, command: bytes) -> Any:  # noqa: ANN401 - as `ask`
        is_answered = False
        try:
            answer = await line.ask(command)
            is_answered = True
        except ResponseError:
            is_answered = True
            raise
        finally:
            # Not where the asker went away: the answer to come would be taken for the next one's.
            if is_answered and len(self._idle) < MAX_IDLE:
                self._idle.append(line)
            else:
                await line.hang_up()
        return answer
