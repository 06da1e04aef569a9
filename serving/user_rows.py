"""One user's row from the online store within a bounded time; without it, why."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from marquee.errors import MarqueeError
from serving.breaker import Breaker
from serving.logs import LOG

TIMEOUT_S: Final = 0.02
"""How long a request waits for the store."""
READERS: Final = 4
"""Threads that read; the store's own time-out frees one that hangs."""
MAX_WAITING: Final = 64
"""Reads that may be under way or wait for a thread; beyond, the store is not asked."""

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
ReadRow = Callable[[str, datetime], Mapping[str, Any]]
"""From user id and moment to the row's features; raises `MarqueeError` where the store does not answer."""


class AskRow(Protocol):
    """As `ReadRow`, from the event loop."""

    def __call__(self, user_id: str, now: datetime) -> Awaitable[Mapping[str, Any]]:
        """The row's features; cancelled where it takes too long."""

    async def close(self) -> None:
        """End connections."""


class UserState(NamedTuple):
    """What is known of the user at the request."""

    values: Mapping[str, Any]
    """By feature; empty where nothing is known."""
    fault: str | None = None
    """Why nothing is known, though something may be: `store_timeout`, `store_error`, `store_paused`,
    `store_busy`, `store_absent`, or `row_lost` where there was a row before."""

    @property
    def is_known(self) -> bool:
        """Whether any view has a row of the user."""
        return any(value is not None for value in self.values.values())


NOBODY: Final = UserState(NOTHING)
"""Somebody without an id: there is nothing to ask for."""


class _TooLateError(Exception):
    """The store took longer than a request waits."""


@dataclass
class UserRows:
    """Reads rows without holding up the event loop, and leaves a store alone that does not answer.

    Args:
        read: asked in a thread; None where no store could be opened yet.
        timeout_s: how long a request waits.
        ask: asked by the event loop instead, where the store can be.
    """

    read: ReadRow | None
    timeout_s: float = TIMEOUT_S
    ask: AskRow | None = None
    breaker: Breaker = field(default_factory=Breaker)
    service_hash: str = ""
    """What the rows mean (`FeatureDoor.service_hash`); empty where no store could be opened yet."""
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(READERS, thread_name_prefix="user-row"), repr=False
    )
    _under_way: int = 0

    async def get(self, user_id: str, now: datetime) -> UserState:
        """The row as of `now`; never raises for what a store may do, and never waits beyond the limit."""
        if self.read is None:
            return UserState(NOTHING, "store_absent")
        if self._under_way >= MAX_WAITING:
            return UserState(NOTHING, "store_busy")
        if not self.breaker.may_ask():
            return UserState(NOTHING, "store_paused")
        try:
            values = await (self._asked(user_id, now) if self.ask else self._read(user_id, now))
        except _TooLateError:
            return self._failed("store_timeout", f"no answer within {1e3 * self.timeout_s:g} ms")
        except MarqueeError as error:
            return self._failed("store_error", error.problem)
        except BaseException:  # cancelled, or a fault of ours: without a word the next trial would never come
            self.breaker.gave_up()
            raise
        self._succeeded()
        return UserState(values)

    async def _asked(self, user_id: str, now: datetime) -> Mapping[str, Any]:
        assert self.ask is not None  # noqa: S101 - for the type
        self._under_way += 1
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self.ask(user_id, now)
        except TimeoutError as error:
            raise _TooLateError from error
        finally:
            self._under_way -= 1

    async def _read(self, user_id: str, now: datetime) -> Mapping[str, Any]:
        assert self.read is not None  # noqa: S101 - for the type
        self._under_way += 1
        reading = asyncio.get_running_loop().run_in_executor(self._pool, self.read, user_id, now)
        reading.add_done_callback(self._done)
        done, _ = await asyncio.wait((reading,), timeout=self.timeout_s)
        if not done:
            raise _TooLateError
        return reading.result()

    def _failed(self, fault: str, words: str) -> UserState:
        was_open = self.breaker.is_open
        self.breaker.failed()
        if self.breaker.is_open and not was_open:
            LOG.warning("the online store is left alone for a while: %s", words)
        return UserState(NOTHING, fault)

    def _succeeded(self) -> None:
        if self.breaker.is_open:
            LOG.warning("the online store answers again")
        self.breaker.succeeded()

    def _done(self, reading: "asyncio.Future[Mapping[str, Any]]") -> None:
        """Counts a read as over, also one that nobody waits for any more."""
        self._under_way -= 1
        if not reading.cancelled():
            reading.exception()  # looked at, so that asyncio does not report it as forgotten

    async def hang_up(self) -> None:
        """End the event loop's connections to the store, in that loop."""
        if self.ask is not None:
            await self.ask.close()

    def close(self) -> None:
        """Let no more reads begin."""
        self._pool.shutdown(wait=False, cancel_futures=True)
