"""`marquee features …` on a small warehouse, as a person would type it."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from marquee import schema
from marquee.cli.app import app
from marquee.errors import ConfigError, FeatureStoreError
from marquee.features.item_matrix import ItemMatrixHolder
from tests.factories import DAY_S, event_table
from tests.marquee.cli.features.small_place import ask, make, run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make(tmp_path, monkeypatch)


def test_features_from_build_to_a_pushed_event(place: Path):
    built = ask("build")
    planned = ask("apply", "--dry-run")
    applied = ask("apply")
    online = {row["view"]: row["written"] for row in ask("materialize")}
    event_table([("u0", "c", 3 * DAY_S, 5.0)]).write_parquet(place / "new.parquet")
    pushed = ask("push", str(place / "new.parquet"))
    again = ask("push", str(place / "new.parquet"))

    row = ask("get", "u0", "--service", "candidates_v1")

    assert built["events"] == 3
    assert (planned["applied"], applied["applied"]) == (False, True)
    assert planned["changes"] == applied["changes"] != []
    assert ask("apply")["changes"] == []
    assert online[schema.USER_ACTIVITY_VIEW] == 2
    assert (pushed["changed_events"], pushed["written"]) == (1, 1)
    assert (again["changed_events"], again["state_id"]) == (0, pushed["state_id"])
    assert row["values"][schema.USER_HISTORY_ITEMS] == ["a", "b", "c"]
    status = {view["view"]: view for view in ask("status")}
    assert status[schema.USER_ACTIVITY_VIEW]["rows"] == 4


def test_get_of_an_unknown_user_is_one_clear_error(place: Path):
    ask("build")
    ask("apply")

    with pytest.raises(FeatureStoreError, match="no row of user 'nobody'"):
        ask("get", "nobody")


def test_get_before_apply_names_the_remedy(place: Path):
    with pytest.raises(FeatureStoreError) as refusal:
        ask("get", "u0")

    assert "marquee features apply" in refusal.value.remedy


def test_materialize_to_a_time_that_is_none_is_refused(place: Path):
    with pytest.raises(ConfigError, match="'tomorrow' is no time"):
        ask("materialize", "--end", "tomorrow")


def test_features_without_feast_are_one_line_with_the_remedy(place: Path):
    program = (
        "import sys, importlib.machinery as m; find = m.PathFinder.find_spec\n"
        "m.PathFinder.find_spec = lambda name, *rest: None if name == 'feast' else find(name, *rest)\n"
        "from marquee.cli import main; sys.argv = ['marquee', 'features', 'status']; main()"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert "Feast is not installed" in result.stderr
    assert "make setup" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["materialize", "export"])
def test_commands_before_build_name_it(place: Path, command: str):
    with pytest.raises(FeatureStoreError, match="no state is built at") as refusal:
        ask(command)

    assert refusal.value.remedy == "`marquee features build` makes it."


def test_get_shows_times_as_times_and_the_end_of_long_histories(place: Path):
    event_table([("u0", f"i{number}", (3 + number) * DAY_S, 5.0) for number in range(6)]).write_parquet(
        place / "new.parquet"
    )
    ask("build")
    ask("apply")
    ask("push", str(place / "new.parquet"))

    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in run("get", "u0").output.splitlines()[1:]}

    assert lines[schema.USER_HISTORY_ITEMS] == "8, newest: … i1, i2, i3, i4, i5"
    assert lines[schema.USER_LAST_US] == "1970-01-09T00:00:00+00:00"
    assert lines[schema.USER_ACTIVITY_VIEW] == "1970-01-09 00:00:00"
    assert lines[schema.USER_PROFILE_VIEW] == "–"  # not brought online


def test_help_of_serve_says_that_serving_goes_another_way():
    result = CliRunner().invoke(app, ["features", "serve", "--help"])

    assert "in process" in " ".join(result.output.split())


def test_export_writes_a_matrix_that_a_holder_serves(place: Path):
    ask("build")
    ask("apply")

    made = ask("export", "--at", "1970-01-04")

    held = ItemMatrixHolder(made["folder"]).current
    assert (held.version, len(held), len(held.columns)) == (made["version"], made["items"], made["columns"])
    assert made["items"] == 2  # a and b
    assert made["as_of"] == "1970-01-04T00:00:00+00:00"
    events = held.columns.index(schema.ITEM_EVENTS_ALL)
    assert held.lookup(["a", "b"])[:, events].tolist() == [2, 1]
    assert ask("export", "--at", "1970-01-04", "--to", str(place / "copy"))["version"] == made["version"]
    with pytest.raises(FeatureStoreError, match=r"of the 2 items .* only 1 are left"):
        ask("export", "--at", "1970-01-03")  # before b
    assert ask("export", "--at", "1970-01-03", "--force")["items"] == 1
    with pytest.raises(FeatureStoreError, match="nothing is known of any movie"):
        ask("export")  # now, decades later
