import os
import subprocess
import sys
from pathlib import Path

import pytest

from marquee import __version__
from tests.small_run import Place, process_environment, run_here, run_process

COMMANDS = [
    [], ["train"], ["evaluate"], ["report"], ["recommend"], ["similar"],
    ["data"], ["data", "list"], ["data", "fetch"], ["data", "validate"], ["data", "snapshot"],
    ["bundle"], ["bundle", "inspect"], ["bundle", "verify"],
]  # fmt: skip
GROUPS = ([], ["data"], ["bundle"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_each_command_answers(place: Place, command: list[str]):
    outcome = run_here(*command, "--help", at=place)

    assert outcome.code == 0
    assert "Usage:" in outcome.out
    assert ("--json" in outcome.out) == (command not in GROUPS)


def test_help_in_a_narrow_terminal_cuts_no_word(place: Place):
    outcome = run_process(
        ["train", "--help"], at=place, environment={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}
    )

    assert "…" not in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_version_is_the_package_version(place: Place):
    assert run_here("--version", at=place).out == f"marquee {__version__}\n"


def test_help_loads_no_heavy_library():
    program = (
        "import sys; sys.argv = ['marquee', '--help']\n"
        "from marquee.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'polars', 'lightgbm', 'implicit', 'scipy', 'duckdb'} & set(sys.modules)))"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"


def test_pipeline_is_handed_over_before_the_commands_are_read():
    program = (
        "import os, sys; sys.argv = ['marquee', 'pipeline', 'run', '--seed', '7']\n"
        "seen = lambda: sorted({'typer', 'rich'} & set(sys.modules))\n"
        "os.execve = lambda _, words, environment: print(words[1:], seen())\n"
        "from marquee.cli import main\n"
        "main()"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )

    assert done.stdout == "['-m', 'pipelines', 'run', '--seed', '7'] []\n"


def test_output_into_a_closed_pipe_ends_without_a_traceback(trained: Place):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "marquee", "bundle", "inspect", "--json"],
            env=process_environment(trained),
            cwd=trained.root,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode != 0
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_output_into_a_full_disk_is_one_error(place: Place, form: list[str]):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "marquee", "data", "list", *form],
            env=process_environment(place),
            cwd=place.root,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "remedy"]


def test_output_that_an_ascii_terminal_lacks_is_no_error(trained: Place):
    outcome = run_process(["evaluate"], at=trained, environment={"PYTHONIOENCODING": "ascii"})

    assert "Traceback" not in outcome.err
    assert "Gate: " in outcome.out
    assert outcome.out.isascii()


@pytest.mark.parametrize(
    "command", [["evaluate"], ["recommend"], ["similar", "m001"], ["bundle", "inspect"], ["bundle", "verify"]]
)
def test_command_without_a_run_says_how_to_get_one(place: Place, command: list[str]):
    run_here(*command, at=place).require_error(str(place.runs), "make run")
