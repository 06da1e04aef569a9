"""Run a command with a Redis server of its own on a free loopback port, and stop that server.

The server is Debian's `redis-server`; where it is missing, apt-get installs it if this is root, or a
CI machine on which sudo asks for no password. Its
address is in MARQUEE_TEST_REDIS of the command. Run as `make test-services`.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE_SECONDS = 10


def server_program() -> str:
    """The path of redis-server, installed if need be.

    Raises:
        SystemExit: it is missing and can't be installed from here.
    """
    if found := shutil.which("redis-server"):
        return found
    may_install = os.geteuid() == 0 or bool(os.environ.get("CI") and shutil.which("sudo"))
    if may_install and shutil.which("apt-get"):
        print("installing redis-server with apt-get")
        before = [] if os.geteuid() == 0 else ["sudo", "--non-interactive", "--preserve-env"]
        for command in (["update", "-qq"], ["install", "-y", "-qq", "redis-server"]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
            words = [*before, "apt-get", *command]
            subprocess.run(words, check=True, env=environment, stdout=subprocess.DEVNULL)
        if found := shutil.which("redis-server"):
            return found
    sys.exit("error: redis-server is not installed: apt-get install redis-server")


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
