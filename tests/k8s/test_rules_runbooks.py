"""What a runbook tells people to type can be typed: commands, options, targets, PromQL."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from marquee.cli.app import app
from pipelines.cli import app as pipelines_app
from tests.k8s import promql
from tests.k8s.exported import ROOT, exported, with_recorded
from tests.k8s.monitoring import RUNBOOKS, rules

PAGES = sorted(RUNBOOKS.glob("Marquee*.md"))
PROGRAMS = ("kubectl", "marquee", "make", "curl", "amtool")
KNOWN = with_recorded(exported(), rules())
COMMANDS = typer.main.get_command(app)


def lines(text: str) -> list[str]:
    """Indented lines, which are for typing."""
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def commands(text: str, program: str) -> Iterator[list[str]]:
    """Words of each call of a program, in lines and within sentences."""
    found = [line for line in lines(text) if line.split()[0] == program]
    found += re.findall(rf"`({program} [^`]*)`", text)
    for each in found:
        words = shlex.split(each.split(" | ")[0].replace("…", ""), comments=True)
        yield words


def require_command(words: list[str]) -> None:
    """Of marquee's command line: its command and options exist.

    Raises:
        AssertionError: one does not.
    """
    command: Any = COMMANDS
    rest = words[1:]
    if rest[0] == "pipeline":  # hands its words on to a program of its own
        command, rest = typer.main.get_command(pipelines_app), rest[1:]
    while hasattr(command, "commands") and rest:
        assert rest[0] in command.commands, words
        command, rest = command.commands[rest[0]], rest[1:]
    known = {name for each in command.params for name in each.opts}
    assert {word for word in rest if word.startswith("--")} <= known, words


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_commands_and_queries_of_a_runbook_exist(path):
    text = path.read_text(encoding="utf-8")

    for words in commands(text, "marquee"):
        require_command(words)
    for line in lines(text):
        if line.split()[0] not in PROGRAMS:
            assert promql.read(line, KNOWN).metrics


@pytest.mark.parametrize(
    "words",
    [
        "marquee canary stat",
        "marquee canary status --deploy x",
        "marquee canaries",
        "marquee features get --no 1",
    ],
)
def test_command_that_is_none_is_found_out(words: str):
    with pytest.raises(AssertionError):
        require_command(words.split())


def test_each_runbook_has_something_to_type():
    for path in PAGES:
        assert len(lines(path.read_text(encoding="utf-8"))) >= 3, path


def test_names_in_the_cluster_are_those_of_the_manifests():
    manifests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "k8s").rglob("*.yaml"))
    text = "".join(path.read_text(encoding="utf-8") for path in PAGES)

    for name in set(re.findall(r"(?:cronjob/|cronjob )(marquee-[a-z-]+)", text)):
        assert f"name: {name}\n" in manifests
    for name in set(re.findall(r"app\.kubernetes\.io/name=([a-z-]+)", text)):
        assert f"app.kubernetes.io/name: {name}" in manifests
