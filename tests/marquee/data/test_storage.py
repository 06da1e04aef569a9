import hashlib
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from marquee.data.storage import exclusive_lock, local_root, sha256_of, write_atomically
from marquee.errors import WarehouseError


def test_hash_is_that_of_the_bytes(tmp_path: Path):
    (tmp_path / "f").write_bytes(b"abc" * 100_000)

    assert sha256_of(tmp_path / "f") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_atomic_write_replaces_and_leaves_nothing_else(tmp_path: Path):
    write_atomically(tmp_path / "a" / "f", b"one")
    write_atomically(tmp_path / "a" / "f", b"two")

    assert [(path.name, path.read_bytes()) for path in (tmp_path / "a").iterdir()] == [("f", b"two")]


def test_remote_root_is_refused():
    with pytest.raises(WarehouseError, match="s3://bucket"):
        local_root("s3://bucket/warehouse")


def test_second_lock_is_refused_until_the_first_is_released(tmp_path: Path):
    with (
        exclusive_lock(tmp_path / "lock"),
        pytest.raises(WarehouseError, match="another process"),
        exclusive_lock(tmp_path / "lock"),
    ):
        pass
    with exclusive_lock(tmp_path / "lock"):
        pass


def test_lock_of_a_killed_process_is_free(tmp_path: Path):
    script = (
        "import os, pathlib, signal, sys\n"
        "from marquee.data.storage import exclusive_lock\n"
        "with exclusive_lock(pathlib.Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    died = subprocess.run([sys.executable, "-c", script, tmp_path / "lock"], check=False)

    assert died.returncode == -9
    with exclusive_lock(tmp_path / "lock"):
        pass


def test_lock_that_is_released_within_the_patience_is_taken(tmp_path: Path):
    released = []

    def hold() -> None:
        with exclusive_lock(tmp_path / "lock"):
            held.set()
            time.sleep(0.1)
            released.append(True)

    held, other = threading.Event(), threading.Thread(target=hold)
    other.start()
    held.wait()

    with exclusive_lock(tmp_path / "lock", patience_s=60):
        assert released == [True]
    other.join()
