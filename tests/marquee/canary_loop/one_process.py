"""A controller as a process of its own: `python one_process.py FOLDER HOLDER CHECKS [SLOW_CALL]`.

Its clock stands in a file and moves half an hour a check. It writes a line for each change that it made, and
hangs for ever in the call with the number SLOW_CALL of those that change the cluster, after the change.
"""

import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

from marquee.adapters.canary_record import CanaryRecord
from marquee.adapters.deployment import DeploymentStatus
from marquee.adapters.deployment_document import DocumentDeployment
from marquee.adapters.object_store import open_store
from marquee.canary_loop import CanaryLoop
from marquee.errors import MarqueeError
from tests.marquee.canary_loop.rehearsal import MadeMetrics


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


class Clock:
    """Half an hour later at each check, for all processes alike."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self) -> datetime:
        return datetime.fromisoformat(self.file.read_text(encoding="utf-8"))

    def advance(self) -> None:
        later = self() + timedelta(minutes=61)
        fresh = self.file.with_suffix(f".{time.monotonic_ns()}")
        fresh.write_text(later.isoformat(), encoding="utf-8")
        fresh.replace(self.file)


class Told(DocumentDeployment):
    """Says what it changed, and hangs where it is told to."""

    slow_call = 0
    calls = 0

    def _write(self, *arguments: object, **options: object) -> DeploymentStatus:
        found = super()._write(*arguments, **options)
        type(self).calls += 1
        say(f"changed {found.generation}")
        if self.calls == self.slow_call:
            say("hangs")
            time.sleep(600)
        return found


def main() -> None:
    folder, holder, checks = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    Told.slow_call = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    clock = Clock(folder / "clock")
    loop = CanaryLoop(
        CanaryRecord.of(open_store(str(folder / "record")), "test"),
        Told(open_store(str(folder / "deployment"))),
        MadeMetrics(),
        holder,
        clock=clock,
    )
    for _ in range(checks):
        try:
            state = loop.check()
        except MarqueeError as error:
            say(f"refused {type(error).__name__}")
            continue
        if state.is_over:
            say(f"over {state.phase}")
            return
        clock.advance()


if __name__ == "__main__":
    main()
