"""Counting and logging answers, a few at a time.

While nobody asks, others fill the processor's caches: to note one answer then takes several times as long
as to note it after another ("noted" in benchmarks/results/serving.md). So answers wait for each other, behind
the back of those who asked.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from serving.answered import Answered

WITHIN_S: Final = 0.1
"""How long an answer waits to be noted, as long as the exposure log's lines wait for one another."""
AT_ONCE: Final = 16
"""So many are noted without waiting any longer: they hold the event loop up for a millisecond."""


@dataclass(eq=False)
class Records:
    """Answers that were given and are yet to be noted, in order.

    Each is noted once, by whoever comes first: the event loop, a reader of the metrics, or the end. A process
    that is killed loses those of the last tenth of a second, as it loses lines of the log that still wait.

    Args:
        note: counts and logs an answer; any thread may call it.
    """

    note: Callable[[Answered], None]
    _waiting: deque[Answered] = field(default_factory=deque, repr=False)
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, repr=False)

    def add(self, answered: Answered) -> None:
        """Note an answer soon; in an event loop."""
        self._waiting.append(answered)
        loop = asyncio.get_running_loop()
        if self._timer is None or self._loop is not loop:
            self._loop, self._timer = loop, loop.call_later(WITHIN_S, self._noted_in_time)
        elif len(self._waiting) == AT_ONCE:  # the answer first, which is not sent yet
            loop.call_soon(self.flush)

    def _noted_in_time(self) -> None:
        self._timer = None
        self.flush()

    def flush(self) -> None:
        """Note all that wait."""
        while self._waiting:
            try:
                answered = self._waiting.popleft()
            except IndexError:  # another thread was faster
                return
            self.note(answered)
