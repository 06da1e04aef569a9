"""Reads what kfp's local runner writes, keeps it in a file, and tells an observer which step runs."""

import io
import re
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, TextIO

from marquee.observing import Observer

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_TORN: Final = re.compile(r"\x1b(\[[0-9;]*)?\Z")
_BEGINS: Final = re.compile(r"Executing task '([\w-]+)'")
_ENDS: Final = re.compile(r"Task '([\w-]+)' finished with status (\w+)")
_EXECUTOR: Final = re.compile(r"^\s*\[KFP Executor [^\]]*\]: ")
_TRACE: Final = "Traceback (most recent call last):"


@dataclass
class Step:
    """One execution of a task."""

    name: str
    began: float
    lines: list[str] = field(default_factory=list)
    seconds: float = 0.0
    status: str = "RUNNING"

    @property
    def traceback(self) -> str:
        """From the first traceback that it printed on; all that it printed where there is none."""
        text = [_EXECUTOR.sub("", line) for line in self.lines]
        starts = [number for number, line in enumerate(text) if _TRACE in line]
        return "\n".join(line.removeprefix("    ") for line in (text[starts[0] :] if starts else text))


class Narrator(io.TextIOBase):
    """Stands in for standard output while a pipeline runs."""

    def __init__(self, log: TextIO, observer: Observer) -> None:
        self._log = log
        self._observer = observer
        self._rest = ""
        self._torn = ""
        self.steps: list[Step] = []

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Keep it, and look at each whole line."""
        whole = self._torn + text
        torn = _TORN.search(whole)  # a colour of which only the beginning was written yet
        self._torn = torn[0] if torn else ""
        plain = _COLOUR.sub("", whole.removesuffix(self._torn))
        self._log.write(plain)
        self._log.flush()
        *lines, self._rest = (self._rest + plain).split("\n")
        for line in lines:
            self._hear(line)
        return len(text)

    def _hear(self, line: str) -> None:
        if begins := _BEGINS.search(line):
            self.steps.append(Step(begins[1], perf_counter()))
            self._observer.begin(begins[1])
        elif (ends := _ENDS.search(line)) and self.steps:
            step = self.steps[-1]
            step.status, step.seconds = ends[2], perf_counter() - step.began
            if step.status == "SUCCESS":
                self._observer.finish(step.name, step.seconds)
        elif self.steps:
            self.steps[-1].lines.append(line)

    @property
    def failed(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.status not in {"SUCCESS", "RUNNING"}), None)
