"""Run a command with a Redis server of its own on a free loopback port, and stop that server.

The server is Debian's `redis-server`, installed where that may be (debian.py). Its address is in
MARQUEE_TEST_REDIS of the command. Run as `make test-services`.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import debian

PATIENCE_SECONDS = 10


def server_program() -> str:
    """The path of redis-server, installed if need be.

    Raises:
        SystemExit: it is missing and can't be installed from here.
    """
    if found := debian.program("redis-server"):
        return found
    sys.exit(f"error: {debian.missing('redis-server')}")


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Until the server accepts connections.

    Raises:
        SystemExit: it ended, or does not within `PATIENCE_SECONDS`.
    """
    for _ in range(PATIENCE_SECONDS * 20):
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"error: redis-server does not answer on port {port}")


def main() -> int:
    """Start, run, stop by process id; the command's exit code."""
    program, port = server_program(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with Path(folder, "log").open("wb") as log:
            server = subprocess.Popen([program, *options], stdout=log)
        try:
            wait_for(port, server)
            environment = {**os.environ, "MARQUEE_TEST_REDIS": f"127.0.0.1:{port}"}
            return subprocess.run(sys.argv[1:], check=False, env=environment).returncode
        finally:
            server.terminate()
            server.wait(timeout=PATIENCE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
