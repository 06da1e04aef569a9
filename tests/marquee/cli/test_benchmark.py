import json

import pytest
from typer.testing import CliRunner

from marquee.cli.app import app
from marquee.cli.benchmark import BenchmarkRequest
from marquee.errors import RequestError


def _request(dataset=None, **changes):
    given = {
        "protocol": "temporal",
        "files": (None, None),
        "mask": "train",
        "negatives": None,
        "numbers": {"--k": "10,20", "--seeds": "7"},
        "models": "all",
        "source": None,
    }
    return BenchmarkRequest.of(dataset, **(given | changes))


def test_request_reads_lists():
    request = _request("ml-100k", models="ease, two_stage", numbers={"--k": "10,20", "--seeds": "7,11"})

    assert (request.ks, request.seeds, request.models) == ((10, 20), (7, 11), ("ease", "two_stage"))
    assert _request("ml-100k").models == ()


@pytest.mark.parametrize(
    ("dataset", "changes", "complaint"),
    [
        (None, {}, "either a data set or"),
        ("ml-100k", {"files": ("a", "b")}, "either a data set or"),
        (None, {"files": ("a", None)}, "go together"),
        ("ml-100k", {"protocol": "magic"}, "--protocol 'magic'"),
        ("ml-100k", {"mask": "none"}, "--mask 'none'"),
        ("ml-100k", {"negatives": "n"}, "--negatives"),
        ("ml-100k", {"numbers": {"--k": "ten", "--seeds": "7"}}, "--k = 'ten'"),
        ("ml-100k", {"numbers": {"--k": "0", "--seeds": "7"}}, "--k = '0'"),
        ("ml-100k", {"numbers": {"--k": "5,5", "--seeds": "7"}}, "--k = '5,5'"),
        ("ml-100k", {"numbers": {"--k": "5", "--seeds": "-1"}}, "--seeds = '-1'"),
    ],
)
def test_options_that_do_not_go_together_are_named(dataset, changes, complaint):
    with pytest.raises(RequestError) as caught:
        _request(dataset, **changes)

    assert complaint in caught.value.problem


def test_command_prints_models_and_writes_json(tmp_path):
    pairs = [(user, item) for user in range(10) for item in range(10) if (user + item) % 2 == 0]
    for name, wanted in (("train", False), ("test", True)):
        rows = [f"u{user}\ti{item}\n" for user, item in pairs if (user == item) == wanted]
        (tmp_path / name).write_text("".join(rows), encoding="utf-8")
    options = ["--k", "3", "--seeds", "7", "--models", "ease,popular", "--json", str(tmp_path / "found.json")]

    result = CliRunner().invoke(
        app, ["benchmark", "--train", str(tmp_path / "train"), "--test", str(tmp_path / "test"), *options]
    )

    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert set(found["models"]) == {"ease", "popular"}
    # Two colours of five items each: the one that is missing is the first that EASE proposes.
    assert found["models"]["ease"]["metrics"]["hit_rate@3"] == 1
