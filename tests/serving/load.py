"""A steady load of single requests from a few clients, and what became of each."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.serving.conftest import PATIENCE_S, Reply, Server


@dataclass
class Load:
    """Clients that ask one after another, a hundredth of a second apart, until they are stopped."""

    server: Server
    users: tuple[str, ...]
    replies: list[tuple[float, Reply]] = field(default_factory=list)
    lost: list[Exception] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        for user in itertools.cycle(self.users):
            if self._stopping.is_set():
                return
            began = time.perf_counter()
            try:
                reply = self.server.predict({"user_id": user})
            except OSError as error:
                self.lost.append(error)
            else:
                self.replies.append((time.perf_counter() - began, reply))
            time.sleep(0.01)

    def predictions(self, first: int = 0) -> list[Any]:
        """From a reply on."""
        return [reply.prediction for _, reply in self.replies[first:] if reply.status == 200]

    def until(self, is_true: Callable[[list[Any]], bool], *, patience_s: float = PATIENCE_S) -> list[Any]:
        """The predictions from now on, as soon as something holds of them."""
        first, ends_at = len(self.replies), time.monotonic() + patience_s
        while not is_true(found := self.predictions(first)):
            assert time.monotonic() < ends_at, Counter(str(each["degraded_reasons"]) for each in found)
            time.sleep(0.05)
        return found

    @property
    def statuses(self) -> Counter[int]:
        return Counter(reply.status for _, reply in self.replies)


@contextmanager
def steady_load(server: Server, *users: str, clients: int = 3) -> Iterator[Load]:
    load = Load(server, users)
    threads = [threading.Thread(target=load.ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load._stopping.set()
        for thread in threads:
            thread.join()


def degraded_by(reason: str, n: int = 1) -> Callable[[list[Any]], bool]:
    """So many answers without this."""
    return lambda found: sum(reason in each["degraded_reasons"] for each in found) >= n


def whole(n: int = 30) -> Callable[[list[Any]], bool]:
    """So many answers in a row with all that should be known."""
    return lambda found: len(found) >= n and not any(each["degraded"] for each in found[-n:])
