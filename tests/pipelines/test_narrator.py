"""What `Narrator` makes of the text of kfp's local runner."""

import io
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.narrator import Narrator

LOG = """\
09:23:16.723 - INFO - Running pipeline: '\x1b[95mmarquee-training\x1b[0m'
--------------------------------------------------------------------------------
09:23:16.727 - INFO - Executing task '\x1b[96mingest-interactions\x1b[0m'
09:23:16.727 - INFO - Streamed logs:

    [KFP Executor 2026-11-22 09:23:16,774 INFO]: fetch and ingest …
09:23:18.818 - INFO - Task '\x1b[96mingest-interactions\x1b[0m' finished with status \x1b[92mSUCCESS\x1b[0m
09:23:18.820 - INFO - Executing task '\x1b[96mbuild-features\x1b[0m'
    [KFP Executor 2026-11-22 09:23:19,000 INFO]: feature state …
    Traceback (most recent call last):
      File "step.py", line 1, in build
        raise ValueError("all is lost")
    ValueError: all is lost
09:23:19.818 - ERROR - Task '\x1b[96mbuild-features\x1b[0m' finished with status \x1b[91mFAILURE\x1b[0m
09:23:19.820 - INFO - Executing task '\x1b[96mnotify\x1b[0m'
    [KFP Executor 2026-11-22 09:23:20,000 INFO]: marquee run-1: FAILED
09:23:20.818 - INFO - Task '\x1b[96mnotify\x1b[0m' finished with status \x1b[92mSUCCESS\x1b[0m
"""


@dataclass
class Listener:
    """Remembers what it heard."""

    heard: list[tuple[str, str]] = field(default_factory=list)

    def begin(self, stage: str) -> None:
        self.heard.append(("begin", stage))

    def advance(self, done: float, total: float) -> None:
        raise AssertionError("a step does not say how far it is")

    def finish(self, stage: str, seconds: float) -> None:
        assert seconds >= 0
        self.heard.append(("finish", stage))


def narrate(*texts: str) -> tuple[Narrator, Listener, str]:
    """A narrator after texts, who heard it, and what it kept."""
    log, listener = io.StringIO(), Listener()
    narrator = Narrator(log, listener)
    for text in texts:
        print(text, end="", file=narrator)
    return narrator, listener, log.getvalue()


def test_observer_hears_which_steps_begin_and_which_succeed():
    _, listener, _ = narrate(LOG)

    assert listener.heard == [
        ("begin", "ingest-interactions"),
        ("finish", "ingest-interactions"),
        ("begin", "build-features"),
        ("begin", "notify"),
        ("finish", "notify"),
    ]


def test_steps_have_their_status_and_the_first_that_failed_is_known():
    narrator, _, _ = narrate(LOG)

    assert [(step.name, step.status) for step in narrator.steps] == [
        ("ingest-interactions", "SUCCESS"),
        ("build-features", "FAILURE"),
        ("notify", "SUCCESS"),
    ]
    assert narrator.failed is narrator.steps[1]


def test_nothing_failed_where_all_steps_succeeded_or_are_under_way():
    narrator, _, _ = narrate(LOG.partition("Task '\x1b[96mbuild-features")[0])

    assert narrator.steps[-1].status == "RUNNING"
    assert narrator.failed is None


def test_failed_step_s_traceback_is_its_own_without_the_runner_s_margin():
    narrator, _, _ = narrate(LOG)

    assert narrator.failed is not None
    assert narrator.failed.traceback.splitlines() == [
        "Traceback (most recent call last):",
        '  File "step.py", line 1, in build',
        '    raise ValueError("all is lost")',
        "ValueError: all is lost",
    ]


def test_step_that_failed_without_a_traceback_shows_all_that_it_said():
    said = "    [KFP Executor 2026-11-22 09:23:19,000 INFO]: one\n    sh: python3: not found\n"

    narrator, _, _ = narrate(f"Executing task 'a'\n{said}Task 'a' finished with status FAILURE\n")

    assert narrator.failed is not None
    assert narrator.failed.traceback == "one\nsh: python3: not found"


def test_log_keeps_every_line_without_colours():
    _, _, kept = narrate(LOG)

    assert "\x1b" not in kept
    assert kept.count("\n") == LOG.count("\n")
    assert "Executing task 'build-features'" in kept


@given(cuts=st.lists(st.integers(0, len(LOG)), max_size=8))
def test_text_in_pieces_is_heard_as_the_whole(cuts: list[int]):
    ends = [0, *sorted(cuts), len(LOG)]
    pieces = [LOG[start:end] for start, end in pairwise(ends)]

    narrator, listener, kept = narrate(*pieces)

    whole, heard, at_once = narrate(LOG)
    assert listener.heard == heard.heard
    assert [(step.name, step.status, step.lines) for step in narrator.steps] == [
        (step.name, step.status, step.lines) for step in whole.steps
    ]
    assert kept == at_once


def test_last_line_without_an_end_is_in_the_log():
    _, _, kept = narrate("Executing task 'a'\n", "half a line")

    assert kept.endswith("half a line")


def test_narrator_takes_text_as_standard_output_does():
    narrator, _, _ = narrate()

    assert narrator.writable()
    assert narrator.write("héllo\n") == 6
    with pytest.raises(TypeError):
        narrator.write(None)  # type: ignore[arg-type]
