"""Asks a server for lists, at a rate or as fast as it answers, and says how soon they came.

    python -m benchmarks.load --url http://127.0.0.1:8080 --people people.json --rate 100 --seconds 20
    python -m benchmarks.load --url http://127.0.0.1:8080 --people people.json --clients 8 --seconds 20

At a rate (an open loop) requests leave when they are due, whether or not the ones before were answered, and
the time of each counts from when it was due: a server that stops for a second delays all that were due
meanwhile, and all of that is in the figures. With clients (a closed loop) each asks again when it has its
answer: what a server can do at most, and no measure of how long anyone waits.

Run in a process of its own, so that it takes nothing from the server's interpreter, and with little between a
request and the wire (`benchmarks.load_connections`): what a client takes would count as the server's. Prints
one line of JSON; with the server's process id, its CPU time over the measured time stands there, too.
"""

import argparse
import asyncio
import json
import selectors
import sys
import time
from array import array
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import psutil

from benchmarks.load_connections import Connections

MODEL: Final = "marquee"
MAX_SECONDS: Final = 7200.0
MAX_RATE: Final = 5000.0
MAX_CLIENTS: Final = 256
"""Connections, too; far below the 1,024 that `select` can watch."""
TIMEOUT_S: Final = 10.0
"""After this a request is an error."""
BODIES: Final = 4096
"""Made before the clock starts, and sent again and again."""
WATCH_S: Final = 0.0005
"""So long before a request is due its sender no longer sleeps: a virtual machine's timers are as late."""
WATCH_SHARE: Final = 0.1
"""Of the time that may go into that."""
SIMILAR: Final = "similar"


@dataclass(frozen=True)
class Load:
    """What to ask for, and how fast."""

    surfaces: Mapping[str, float]
    """By name with weights."""
    seconds: float
    rate: float | None = None
    """Requests a second; None for a closed loop."""
    is_poisson: bool = True
    """Whether arrivals are independent of each other; else they are as even as a clock's ticks."""
    clients: int = 1
    """Of a closed loop."""
    batch: int = 1
    """Instances in a request."""
    n: int = 12
    explain: bool = False
    warm_up: int = 20
    """Requests before the clock starts."""
    seed: int = 7


@dataclass
class Tally:
    """What came back."""

    milliseconds: "array[float]" = field(default_factory=lambda: array("d"))
    late_ms: "array[float]" = field(default_factory=lambda: array("d"))
    """By how much requests left after they were due: ours, not the server's."""
    errors: Counter[str] = field(default_factory=Counter)
    degraded: int = 0
    empty: int = 0
    n_bytes: int = 0

    def note(self, due: float, began: float, ended: float, fault: str | None, content: bytes) -> None:
        """Count one answer, good or bad."""
        self.milliseconds.append(1e3 * (ended - due))
        self.late_ms.append(1e3 * (began - due))
        if fault is not None:
            self.errors[fault] += 1
            return
        self.n_bytes += len(content)
        for each in orjson.loads(content)["predictions"]:
            self.degraded += each["degraded"]
            self.empty += not each["items"]


def bodies(load: Load, people: Mapping[str, Sequence[str]]) -> list[bytes]:
    """Requests of users drawn with the load's seed."""
    rng = np.random.default_rng(load.seed)
    names, weights = list(load.surfaces), np.array(list(load.surfaces.values()))
    made = []
    for surface in rng.choice(names, BODIES, p=weights / weights.sum()).tolist():
        instances = []
        for user in rng.choice(people["users"], load.batch).tolist():
            instance: dict[str, Any] = {"user_id": user, "n": load.n, "surface": surface}
            if surface == SIMILAR:
                instance["item_id"] = str(rng.choice(people["items"]))
            if load.explain:
                instance["explain"] = True
            instances.append(instance)
        made.append(orjson.dumps({"instances": instances}))
    return made


def arrivals(load: Load, rate: float) -> Iterator[float]:
    """When requests are due, seconds from the beginning."""
    rng = np.random.default_rng([load.seed, 1])
    at = 0.0
    for place in count(1):
        at = at + rng.exponential(1 / rate) if load.is_poisson else place / rate
        if at >= load.seconds:
            return
        yield at


@dataclass
class Sender:
    """Sends bodies to one address."""

    connections: Connections
    tally: Tally

    async def send(self, body: bytes, due: float) -> None:
        """One request; whatever becomes of it is counted."""
        began, content = time.perf_counter(), b""
        try:
            status, content, ended = await self.connections.post(body)
            fault = None if status == 200 else f"HTTP {status}"
        except OSError as error:  # TimeoutError is one, too
            fault, ended = type(error).__name__, time.perf_counter()
        self.tally.note(due, began, ended, fault, content)

    async def open_loop(self, load: Load, rate: float, made: Sequence[bytes]) -> None:
        """Each when it is due."""
        start, running = time.perf_counter(), set[asyncio.Task[None]]()
        watch_s = min(WATCH_S, WATCH_SHARE / rate)
        for at, body in zip(arrivals(load, rate), cycle(made), strict=False):
            # Those that are late already leave at once, but let the answers in between them in.
            await asyncio.sleep(max(0.0, start + at - watch_s - time.perf_counter()))
            while time.perf_counter() < start + at:
                await asyncio.sleep(0)
            task = asyncio.create_task(self.send(body, start + at))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)

    async def closed_loop(self, load: Load, made: Sequence[bytes]) -> None:
        """Each client one after another."""
        ends_at, waiting = time.perf_counter() + load.seconds, cycle(made)

        async def client() -> None:
            while (now := time.perf_counter()) < ends_at:
                before = sum(self.tally.errors.values())
                await self.send(next(waiting), now)
                if sum(self.tally.errors.values()) > before:  # refused connections would come by the million
                    await asyncio.sleep(0.01)

        await asyncio.gather(*(client() for _ in range(load.clients)))


async def run(load: Load, url: str, people: Mapping[str, Sequence[str]], pid: int | None) -> dict[str, Any]:
    """Send a load; the figures."""
    made = bodies(load, people)
    address = f"{url}/v1/models/{MODEL}:predict"
    server = None if pid is None else psutil.Process(pid)
    connections = Connections(address, most=MAX_CLIENTS, timeout_s=TIMEOUT_S)
    for body in islice(made[::-1], load.warm_up):
        await Sender(connections, Tally()).send(body, time.perf_counter())
    sender = Sender(connections, Tally())
    sending: Coroutine[Any, Any, None] = (
        sender.closed_loop(load, made) if load.rate is None else sender.open_loop(load, load.rate, made)
    )
    before, own, start = cpu_seconds(server), time.process_time(), time.perf_counter()
    await sending
    took = time.perf_counter() - start
    own_share = (time.process_time() - own) / took
    after = cpu_seconds(server)
    connections.close()
    figures = summary(sender.tally, took, batch=load.batch) | {"client_busy": round(own_share, 3)}
    if server is not None and before is not None and after is not None:
        spent = after - before
        figures["cpu_ms"] = round(1e3 * spent / max(1, figures["requests"]), 3)
        figures["server_busy"] = round(spent / took, 3)
        figures["rss_mib"] = round(server.memory_info().rss / 2**20, 1)
    return figures


def cpu_seconds(process: psutil.Process | None) -> float | None:
    """What a process has used so far, in user mode and in the kernel, all its threads."""
    if process is None:
        return None
    times = process.cpu_times()
    return float(times.user + times.system)


def summary(tally: Tally, took: float, *, batch: int) -> dict[str, Any]:
    """The figures of a tally; latencies in milliseconds."""
    n = len(tally.milliseconds)
    if not n:
        return {"requests": 0, "errors": 0, "errors_by_kind": {}}
    p50, p95, p99 = np.percentile(tally.milliseconds, [50, 95, 99]).round(3).tolist()
    late_p50, late_p99 = np.percentile(tally.late_ms, [50, 99]).round(3).tolist()
    n_errors = tally.errors.total()
    return {
        "requests": n,
        "errors": n_errors,
        "errors_by_kind": dict(tally.errors),
        "degraded": tally.degraded,
        "empty": tally.empty,
        "seconds": round(took, 2),
        "rps": round((n - n_errors) / took, 1),
        "lists_per_second": round(batch * (n - n_errors) / took, 1),
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "max": round(max(tally.milliseconds), 3),
        "late_p50": late_p50,
        "late_p99": late_p99,
        "bytes": round(tally.n_bytes / max(1, n - n_errors)),
    }


def surfaces_of(text: str) -> dict[str, float]:
    """`home`, or `home=7,similar=1`."""
    found = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        found[name] = float(weight or 1)
    return found


def within(most: float) -> Any:  # noqa: ANN401 - what argparse calls
    """A number above 0 and not above `most`, for argparse."""

    def number(text: str) -> float:
        if not 0 < (value := float(text)) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most {most:g}")
        return value

    return number


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Ask a server for lists.")
    add = parser.add_argument
    add("--url", required=True, help="such as http://127.0.0.1:8080")
    add("--people", type=Path, required=True, help='JSON: {"users": [ids], "items": [ids]}')
    add("--surfaces", type=surfaces_of, default={"home": 1.0}, help="home, or home=7,similar=1")
    add("--seconds", type=within(MAX_SECONDS), default=10.0)
    add("--rate", type=within(MAX_RATE), help="requests a second; without it, a closed loop")
    add("--even", action="store_true", help="arrivals as even as a clock's ticks, instead of Poisson's")
    add("--clients", type=int, choices=range(1, MAX_CLIENTS + 1), default=1, metavar="N")
    add("--batch", type=int, default=1, help="instances in a request")
    add("--n", type=int, default=12, help="length of a list")
    add("--explain", action="store_true")
    add("--warm-up", type=int, default=20, help="requests that are not counted")
    add("--seed", type=int, default=7)
    add("--pid", type=int, help="the server's process, for its CPU time and memory")
    return parser.parse_args(words)


def main() -> int:
    """Run one load and print its figures."""
    given = arguments_of()
    people = json.loads(given.people.read_text(encoding="utf-8"))
    load = Load(
        surfaces=given.surfaces,
        seconds=given.seconds,
        rate=given.rate,
        is_poisson=not given.even,
        clients=given.clients,
        batch=given.batch,
        n=given.n,
        explain=given.explain,
        warm_up=given.warm_up,
        seed=given.seed,
    )
    # epoll counts in milliseconds and would send each request up to one of them late; select does not.
    loop = lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())  # noqa: E731 - a name for one line
    with asyncio.Runner(loop_factory=loop) as runner:
        print(json.dumps(runner.run(run(load, given.url, people, given.pid))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
