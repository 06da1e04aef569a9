"""File names that no two writers share: replicas, restarts in one container, a process id used again."""

import os
import re
import socket
import time


def writer_name() -> str:
    """This process from now on: host, process id, and the time in UTC microseconds."""
    host = re.sub(r"[^A-Za-z0-9.]+", "-", socket.gethostname()) or "host"
    return f"{host}-{os.getpid()}-{time.time_ns() // 1000}"
