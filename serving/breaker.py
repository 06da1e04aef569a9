"""A circuit breaker: a store that fails is left alone for a while, then asked again by one request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

FAILURES_TO_OPEN: Final = 5
"""In a row."""
FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 5.0


@dataclass
class Breaker:
    """Closed: all may ask. Open: nobody. After a pause one tries: success closes, failure doubles the pause.

    For one thread, such as an event loop's. Written here because it is thirty lines: the libraries that
    there are bring storages and listeners of their own, and none leaves the clock to its user.

    Source: Nygard (2007), "Release It!", section 5.2.
    """

    clock: Callable[[], float] = monotonic
    failures: int = 0
    """In a row."""
    _pause_s: float = FIRST_PAUSE_S
    _open_until: float | None = field(default=None, repr=False)
    _is_trying: bool = field(default=False, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether only a trial is let through."""
        return self._open_until is not None

    def may_ask(self) -> bool:
        """Whether this request may ask; whoever is let through must say how it went."""
        if self._open_until is None:
            return True
        if self._is_trying or self.clock() < self._open_until:
            return False
        self._is_trying = True
        return True

    def succeeded(self) -> None:
        """The store answered."""
        self.failures, self._pause_s = 0, FIRST_PAUSE_S
        self._open_until, self._is_trying = None, False

    def gave_up(self) -> None:
        """Whoever was let through went away before the store answered or failed."""
        self._is_trying = False

    def failed(self) -> None:
        """The store did not answer."""
        self.failures += 1
        if self._is_trying:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        if self._is_trying or (self._open_until is None and self.failures >= FAILURES_TO_OPEN):
            self._open_until, self._is_trying = self.clock() + self._pause_s, False
