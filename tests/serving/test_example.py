"""The request that a server prints for whoever started it."""

import json
import shlex
from pathlib import Path

import pytest

from marquee.settings import Settings
from serving.engine import Engine
from serving.program import arguments_of, example, welcome
from serving.protocol import read_request
from tests.small_run import Place


def test_example_is_of_a_user_that_the_data_set_has(engine: Engine, trained: Place):
    asked = example(engine.slots.default, trained.settings)

    assert asked["user_id"] in {f"u{number:03}" for number in range(1000)}
    assert read_request({"instances": [asked]})[0].n == 5


def test_example_without_a_data_set_names_movies_of_the_bundle(engine: Engine, tmp_path: Path):
    asked = example(engine.slots.default, Settings(data=tmp_path / "nothing"))

    assert asked == {"history": engine.slots.default.answering.item_ids[:2], "n": 5}


@pytest.mark.parametrize("user_id", ["196", "it's me", 'say "hi"'])
def test_printed_command_is_one_that_a_shell_takes(engine: Engine, user_id: str):
    arguments = arguments_of(["--host", "127.0.0.1", "--http_port", "8123"])
    text = welcome(arguments, engine.slots, {"user_id": user_id}, seconds=1.0)

    (line,) = [line for line in text.splitlines() if "curl" in line]
    *_, url, flag, body = shlex.split(line)

    assert (url, flag) == ("http://127.0.0.1:8123/v1/models/marquee:predict", "-d")
    assert json.loads(body) == {"instances": [{"user_id": user_id}]}
