"""Train the small data set and die of SIGKILL at a point: `killed_run.py POINT FOLDER`.

A point is `stage:NAME` (when it begins), `advance:NAME` (when it reports progress), or one of the
writes below. `pause:NAME` waits there for a line on standard input instead. Any other text lets the
run finish.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from marquee.observing import SilentObserver
from tests.small_run import Place

_WRITES = {
    "commit:warehouse": "marquee.data.warehouse.write_atomically",
    "bundle:manifest": "marquee.bundle._write_synced",
    "bundle:second": "marquee.bundle._sync_folder",
    "rename:run": "pathlib.Path.rename",
    "point:latest": "marquee.run_folder._point",
}
"""The function at whose call the run dies."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Killer(SilentObserver):
    """Dies at a stage."""

    def __init__(self, point: str) -> None:
        self.when, _, self.stage = point.partition(":")
        self.current = ""

    def begin(self, stage: str) -> None:
        self.current = stage
        if (self.when, self.stage) == ("stage", stage):
            die()
        if (self.when, self.stage) == ("pause", stage):
            sys.stdout.write("paused\n")
            sys.stdout.flush()
            sys.stdin.readline()

    def advance(self, done: float, total: float) -> None:
        if (self.when, self.stage) == ("advance", self.current) and done > 1:
            die()


def dying(point: str, original: Any) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        # The manifest is the last file of a bundle: the others lie there already.
        if point != "bundle:manifest" or arguments[0].name == "manifest.json":
            die()
        return original(*arguments, **options)

    return call


def main() -> None:
    point, root = sys.argv[1], Path(sys.argv[2])
    if (target := _WRITES.get(point)) is not None:
        module, _, name = target.rpartition(".")
        owner = Path if module == "pathlib.Path" else sys.modules[module]
        mock.patch.object(owner, name, dying(point, getattr(owner, name))).start()
    Place(root).train(observer=Killer(point))


if __name__ == "__main__":
    main()
