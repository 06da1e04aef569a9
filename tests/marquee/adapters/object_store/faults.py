"""Writers that are killed, and stores that answer with faults."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[4]

_KILLED = """
import sys, time
from pathlib import Path
from marquee.adapters.object_store import ObjectStoreConfig, open_store, put_folder

store = open_store(sys.argv[1], ObjectStoreConfig(parallel=1))
put_file = store.put_file
stored = []

def put_one(key, file):
    if stored:
        print("stored one", flush=True)
        time.sleep(60)
    stored.append(put_file(key, file))
    return stored[-1]

store.put_file = put_one
put_folder(store, sys.argv[2], Path(sys.argv[3]))
"""


def killed_while_storing(uri: str, key: str, folder: Path) -> None:
    """Let another process store the first file of a folder, and kill it before the second one."""
    command = [sys.executable, "-c", _KILLED, uri, key, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.readline()
        child.kill()
    assert said == "stored one\n"


@dataclass
class Answer:
    """What a store says to one method."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def error(cls, status: int, code: str) -> "Answer":
        xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said so</Message></Error>"
        return cls(status, xml.encode(), {"Content-Type": "application/xml"})


@contextmanager
def answering(answers: dict[str, Answer]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives each HTTP method its answer; yields its address and the methods it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(self.command)
            answer = answers[self.command]
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            self.close_connection = True

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
