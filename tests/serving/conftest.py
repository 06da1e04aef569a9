"""A server as its callers meet it, and an engine without one; both on the small trained bundle."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from serving.engine import Engine
from serving.housekeeping import Chronicle
from serving.metrics import Metrics
from serving.slots import Slots, find_places
from serving.store import Store
from serving.user_rows import UserRows
from tests.small_run import Place, process_environment

if TYPE_CHECKING:
    from tests.serving.in_process import InProcess

NAME = "marquee"
PATIENCE_S = 60


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def prediction(self) -> Any:
        """The only one."""
        (found,) = self.json["predictions"]
        return found


@dataclass
class Server:
    """`python -m serving` in a process of its own."""

    process: "subprocess.Popen[str]"
    port: int
    log: Path
    grpc_port: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(
        self,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = 20,
    ) -> Reply:
        """GET, or POST where there is a body."""
        request = urllib.request.Request(  # noqa: S310 - our own server's address
            self.url + path, data=body, headers={"Content-Type": "application/json", **(headers or {})}
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - as above
                return Reply(answer.status, lowered(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, lowered(error.headers), error.read())

    def predict(self, *instances: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
        """V1 `:predict`."""
        body = json.dumps({"instances": list(instances)}).encode()
        return self.call(f"/v1/models/{NAME}:predict", body, headers)

    def metric(self, line: str) -> float:
        """A number of /metrics by the start of its line; 0 where it is not there."""
        text = self.call("/metrics").body.decode()
        return sum(float(each.rpartition(" ")[2]) for each in text.splitlines() if each.startswith(line))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    place: Place,
    folder: Path,
    *options: str,
    model_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server on a free port, ready; ended afterwards by its process id."""
    port, log = free_port(), folder / "server.log"
    words = [
        sys.executable, "-m", "serving",
        "--model_dir", str(model_dir or place.latest),
        "--host", "127.0.0.1",
        "--http_port", str(port),
        "--watch_seconds", "0.2",
        *options,
    ]  # fmt: skip
    more = {"MARQUEE_EXPOSURES": str(folder / "exposures"), **(environment or {})}
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            words,
            env=process_environment(place, more),
            cwd=place.root,
            stdout=stream,
            stderr=stream,
            text=True,
        )
    server = Server(process, port, log)
    try:
        wait_until(lambda: is_ready(server), server)
        yield server
    finally:
        server.stop()


def is_ready(server: Server) -> bool:
    try:
        return server.call(f"/v1/models/{NAME}").status == 200
    except OSError:
        return False


def wait_until(is_true: Callable[[], bool], server: Server, *, patience_s: float = PATIENCE_S) -> None:
    """Until something holds.

    Raises:
        AssertionError: it never does, or the server ended; with its log.
    """
    ends_at = time.monotonic() + patience_s
    while not is_true():
        if time.monotonic() > ends_at or server.process.poll() is not None:
            raise AssertionError(server.log.read_text(encoding="utf-8"))
        time.sleep(0.05)


@pytest.fixture(scope="session")
def server(trained: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that leave it as it was."""
    with serving(trained, tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture
def engine(trained: Place) -> Iterator[Engine]:
    """An engine on the trained bundle and its SQLite store, without HTTP and without an exposure log."""
    made = make_engine(trained)
    yield made
    made.close()


@pytest.fixture(scope="session")
def here(trained: Place) -> "Iterator[InProcess]":
    """The application on an engine of its own, in this process."""
    from tests.serving.in_process import InProcess

    engine = make_engine(trained)
    with asyncio.Runner() as runner:
        yield InProcess.of(engine, runner)
    engine.close()


def make_engine(place: Place, **parts: Any) -> Engine:
    """An engine; `parts` take the place of its own."""
    metrics = Metrics(CollectorRegistry())
    store = Store(place.settings, environment={})
    slots = Slots.load(
        find_places(place.latest),
        matrix_folder=place.settings.item_matrix,
        observer=Chronicle(metrics),
        require=store.require,
    )
    rows = UserRows(None, timeout_s=5.0)  # a busy machine is no slow store
    store.connect(rows, slots.current.values())
    return Engine(**{"slots": slots, "rows": rows, "metrics": metrics, **parts})
