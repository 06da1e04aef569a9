"""The thread that makes lists which take long, so that they never hold up the event loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, NamedTuple

_END: Final = None


class _Call(NamedTuple):
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[None]"
    make: Callable[[Any], object]
    argument: Any


class ScoringThread:
    """Makes one call after another, in the order in which they were asked for.

    A `ThreadPoolExecutor` of one thread does as much; its two futures a call, and the locks and callbacks
    between them, cost a home list an eighth of a millisecond more (`benchmarks.serving_inside`).
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="scoring", daemon=True)
        self._thread.start()

    def submit(
        self,
        make: Callable[[Any], object],
        argument: Any,  # noqa: ANN401 - whatever `make` takes
        loop: asyncio.AbstractEventLoop,
    ) -> "asyncio.Future[None]":
        """Have a call made; the loop's future of it raises what the call raises.

        A call whose future is cancelled before its turn is left out.
        """
        done = loop.create_future()
        self._calls.put(_Call(loop, done, make, argument))
        return done

    def close(self) -> None:
        """Make the calls that wait, then end; asked more than once, it has ended."""
        self._calls.put(_END)
        self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not _END:
            fault: BaseException | None = None
            try:
                if not call.done.cancelled():
                    call.make(call.argument)
            except BaseException as error:  # noqa: BLE001 - it is the caller's, and raised there
                fault = error
            with suppress(RuntimeError):  # the loop was closed, and nobody waits there any more
                call.loop.call_soon_threadsafe(_answer, call.done, fault)
            del call, fault  # or the last request would live until the next one


def _answer(done: "asyncio.Future[None]", fault: BaseException | None) -> None:
    if done.done():  # its caller went away
        return
    if fault is None:
        done.set_result(None)
    else:
        done.set_exception(fault)
