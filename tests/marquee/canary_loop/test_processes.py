"""Real processes: one that is killed, two that race."""

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.marquee.canary_loop.rehearsal import NEW, Rehearsal
from tests.marquee.monitoring.canary_factory import NOW

ROOT = Path(__file__).parents[3]


def process(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    script = Path(__file__).with_name("one_process.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), *arguments],
        env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Rehearsal:
    made = Rehearsal(tmp_path)
    made.loop().begin(NEW)
    (tmp_path / "clock").write_text(NOW.isoformat(), encoding="utf-8")
    return made


def test_sigkill_after_a_change_the_next_process_goes_on(place: Rehearsal):
    with process(place.folder, "first", "40", "3") as first:
        said = []
        for line in first.stdout:
            said.append(line.split()[0])
            if line.startswith("hangs"):
                os.kill(first.pid, signal.SIGKILL)
    dead = place.record.read()

    clock = place.folder / "clock"
    later = datetime.fromisoformat(clock.read_text(encoding="utf-8")) + timedelta(minutes=6)
    clock.write_text(later.isoformat(), encoding="utf-8")
    with process(place.folder, "second", "40") as second:
        rest = second.stdout.read().splitlines()

    assert said == ["changed", "changed", "changed", "hangs"]
    assert (dead.current.percent, dead.step_since, place.shares()[0]) == (25, None, NEW)
    assert rest[-1] == "over promoted"
    # 1, 5 and 25 % by the first; 50, 100 % and the promotion by the second: nothing twice.
    assert [line.split()[0] for line in rest].count("changed") == 3


def test_two_racing_processes_make_each_change_once(place: Rehearsal):
    racers = [process(place.folder, name, "60") for name in ("one", "two")]
    said = [racer.communicate(timeout=60)[0].splitlines() for racer in racers]

    changes = [line for lines in said for line in lines if line.startswith("changed")]
    assert place.shares() == (NEW, None, 0)
    assert sorted(changes) == sorted(set(changes))  # no generation was made twice
    assert len(changes) == 6
    numbers = [int(key.rpartition("-")[2].removesuffix(".json")) for key in place.record.decisions()]
    assert numbers == list(range(1, len(numbers) + 1))
