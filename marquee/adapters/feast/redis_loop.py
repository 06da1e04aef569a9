"""Redis asked from an event loop, without a thread in between and without a client's layers.

A thread that has to be woken for every row, and the client around the connection, took as long as all the
rest of a popular list. These are redis-py's own connections: how to connect, log in and speak is theirs.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as LostConnectionError

MAX_IDLE: Final = 16
"""Connections that are kept for the next questions; a burst may have more."""


@dataclass(eq=False)
class LoopConnections:
    """Connections of one event loop, the last used first; another loop gets new ones.

    It waits as long as Redis does: who asks brings a limit, and may be cancelled at any point.
    """

    make: Callable[[], Connection]
    _idle: list[Connection] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop | None = None

    async def ask(self, *command: Any) -> Any:  # noqa: ANN401 - whatever Redis answers
        """The answer to one command that reads.

        Raises:
            RedisError: it can't be connected to, or refuses.
        """
        if self._loop is not (loop := asyncio.get_running_loop()):
            self._loop, self._idle = loop, []
        while self._idle:
            try:
                return await self._exchange(self._idle.pop(), command)
            except LostConnectionError:
                continue  # ended while it was idle, as by a restart
        return await self._exchange(self.make(), command)

    async def close(self) -> None:
        """End those that are idle, in their loop."""
        while self._idle:
            await self._idle.pop().disconnect()

    async def _exchange(self, connection: Connection, command: tuple[Any, ...]) -> Any:  # noqa: ANN401
        try:
            if not connection.is_connected:
                await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_packed_command(connection.pack_command(*command), check_health=False)
            answer = await connection.read_response()
        except BaseException:
            # Also where the asker went away: the answer to come would be taken for the next one's.
            await connection.disconnect(nowait=True)
            raise
        if len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        else:
            await connection.disconnect(nowait=True)
        return answer
