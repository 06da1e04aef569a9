"""Connections of an event loop, against a server that speaks as much of Redis as they need."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from marquee.adapters.feast.redis_loop import MAX_IDLE, LoopConnections, packed

T = TypeVar("T")


@dataclass
class Echo:
    """Answers `GET word` with the word; holds what begins with `slow` until it is let go."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    connections: list[asyncio.StreamWriter] = field(default_factory=list)
    port: int = 0

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while line := await reader.readline():
                words = []
                for _ in range(int(line[1:])):
                    await reader.readline()
                    words.append((await reader.readline())[:-2])
                await self.answer(words, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def answer(self, words: list[bytes], writer: asyncio.StreamWriter) -> None:
        if words[0] != b"GET":  # what a client says of itself
            writer.write(b"+OK\r\n")
            return
        if words[1].startswith(b"slow"):
            await self.gate.wait()
        if words[1] == b"hang up":
            writer.write(b"$7\r\nhan")
            writer.close()
            return
        if words[1] == b"pieces":
            for piece in (b"$", b"6\r", b"\npie", b"ces\r\n"):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            return
        refused = words[1] == b"refuse"
        writer.write(b"-ERR no\r\n" if refused else b"$%d\r\n%s\r\n" % (len(words[1]), words[1]))

    def end_all(self) -> None:
        for writer in self.connections:
            writer.close()


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[Echo, LoopConnections]]:
    server = Echo()
    listening = await asyncio.start_server(server.meet, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    retry = Retry(NoBackoff(), 0)
    asked = LoopConnections(lambda: Connection(host="127.0.0.1", port=server.port, retry=retry))
    try:
        yield server, asked
    finally:
        server.gate.set()
        await asked.close()
        server.end_all()
        listening.close()


def run(life: Callable[[Echo, LoopConnections], Awaitable[T]]) -> T:
    async def main() -> T:
        async with echo() as (server, connections):
            return await asyncio.wait_for(life(server, connections), 20)

    return asyncio.run(main())


def test_one_question_after_another_takes_one_connection():
    async def life(server: Echo, connections: LoopConnections) -> tuple[list[bytes], int]:
        answers = [await connections.ask(packed("GET", f"word{number}")) for number in range(5)]
        return answers, len(server.connections)

    assert run(life) == ([b"word0", b"word1", b"word2", b"word3", b"word4"], 1)


def test_questions_at_once_each_get_their_own_answer_and_few_connections_are_kept():
    async def life(server: Echo, connections: LoopConnections) -> tuple[list[bytes], int, int]:
        asking = [
            asyncio.ensure_future(connections.ask(packed("GET", f"slow{number}"))) for number in range(40)
        ]
        await asyncio.sleep(0.05)
        server.gate.set()
        answers = list(await asyncio.gather(*asking))
        await asyncio.gather(*(connections.ask(packed("GET", "again")) for _ in range(MAX_IDLE)))
        return answers, len(server.connections), len(connections._idle)

    answers, n_connections, n_idle = run(life)

    assert answers == [f"slow{number}".encode() for number in range(40)]
    assert n_connections == 40  # and none for the last ones
    assert n_idle == MAX_IDLE


def test_answer_of_a_question_that_was_given_up_reaches_nobody_else():
    async def life(server: Echo, connections: LoopConnections) -> list[bytes]:
        await connections.ask(packed("GET", "first"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connections.ask(packed("GET", "slow one"))
        server.gate.set()
        return [await connections.ask(packed("GET", f"later{number}")) for number in range(3)]

    assert run(life) == [b"later0", b"later1", b"later2"]


def test_connections_that_ended_while_idle_are_replaced():
    async def life(server: Echo, connections: LoopConnections) -> bytes:
        server.gate.set()
        await asyncio.gather(*(connections.ask(packed("GET", f"slow{number}")) for number in range(3)))
        server.end_all()
        await asyncio.sleep(0.05)
        return bytes(await connections.ask(packed("GET", "back")))

    assert run(life) == b"back"


def test_refusal_is_an_error_and_the_next_question_is_answered():
    async def life(_: Echo, connections: LoopConnections) -> bytes:
        with pytest.raises(ResponseError, match="no"):
            await connections.ask(packed("GET", "refuse"))
        return bytes(await connections.ask(packed("GET", "well")))

    assert run(life) == b"well"


def test_answer_that_comes_in_pieces_is_put_together():
    async def life(server: Echo, connections: LoopConnections) -> tuple[list[bytes], int]:
        answers = [await connections.ask(packed("GET", word)) for word in ("pieces", "whole", "pieces")]
        return answers, len(server.connections)

    assert run(life) == ([b"pieces", b"whole", b"pieces"], 1)


def test_server_that_hangs_up_amid_an_answer_is_an_error_and_the_next_question_gets_a_connection():
    async def life(server: Echo, connections: LoopConnections) -> tuple[bytes, int]:
        with pytest.raises(RedisError, match="hung up"):
            await connections.ask(packed("GET", "hang up"))
        return bytes(await connections.ask(packed("GET", "well"))), len(server.connections)

    assert run(life) == (b"well", 2)


def test_server_that_is_not_there_is_an_error():
    connections = LoopConnections(lambda: Connection(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)))

    with pytest.raises(RedisError):
        asyncio.run(connections.ask(packed("GET", "word")))


def test_another_event_loop_gets_connections_of_its_own():
    async def life(server: Echo, connections: LoopConnections) -> tuple[bytes, int, bool]:
        await connections.ask(packed("GET", "word"))
        (old,) = connections._idle
        connections._loop = None  # as if that had been another loop's, which is gone
        answer = await connections.ask(packed("GET", "again"))
        is_kept = old in connections._idle
        await old.hang_up()
        return bytes(answer), len(server.connections), is_kept

    assert run(life) == (b"again", 2, False)
