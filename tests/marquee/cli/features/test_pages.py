"""`marquee features report` and `catalogue`, as a person would type them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from marquee import schema
from marquee.cli.features.pages import catalogue, report
from marquee.errors import ConfigError, FeatureStoreError, MarqueeError, SourceError
from marquee.features.state import StateConfig, build_state
from tests.factories import DAY_S, event_table
from tests.marquee.adapters.feast.place import REPO, TABLES
from tests.marquee.features.report.test_page import checked

app = typer.Typer()
app.command()(report)
app.command()(catalogue)
ROWS = [("u0", "a", DAY_S, 4.0), ("u0", "b", 2 * DAY_S, 3.0), ("u1", "a", 2 * DAY_S, 2.0)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with the state of the data set "small"."""
    monkeypatch.setenv("MARQUEE_DATA", str(tmp_path))
    monkeypatch.setenv("MARQUEE_FEATURE_REPO", str(REPO))
    built(tmp_path, ROWS)
    return tmp_path


def built(place: Path, rows: list) -> str:
    folder = place / "features" / "small"
    return build_state(folder, event_table(rows), tables=TABLES, config=StateConfig(n_buckets=1)).state_id


def ask(*words: str):
    """The JSON that a command answers with; what it raises is raised here."""
    result = CliRunner().invoke(app, [*words, "--json"])
    if isinstance(result.exception, MarqueeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_report_of_a_first_and_a_second_build(place: Path):
    page = place / "deep" / "page.html"
    first = ask("report", "--dataset", "small", "--to", str(page))
    text = page.read_text(encoding="utf-8")
    state_id = built(place, [*ROWS, ("u2", "c", 3 * DAY_S, 5.0)])
    second = ask("report", "--dataset", "small", "--to", str(page))

    assert checked(text).tags.count("article") == sum(map(len, schema.FEATURE_VIEWS.values()))
    assert first["compared_with"] is None
    assert (second["state_id"], second["compared_with"]) == (state_id, first["state_id"])
    unknown = {each["feature"] for each in second["findings"] if each["kind"] == "unknown"}
    assert "pub_mentions" in unknown  # the publicity of the fixture knows a critics' score only
    assert "pub_critic_score" not in unknown
    checked(page.read_text(encoding="utf-8"))


def test_report_before_any_build_names_the_remedy(place: Path):
    with pytest.raises(FeatureStoreError) as refusal:
        ask("report", "--dataset", "other")

    assert "marquee features build" in refusal.value.remedy


def test_report_with_an_ablation_that_is_none_is_refused_before_it_measures(place: Path):
    (place / "ablation.json").write_text("[]")

    with pytest.raises(SourceError, match="is no ablation"):
        ask("report", "--dataset", "small", "--ablation", str(place / "ablation.json"))


def test_report_into_a_folder_is_refused(place: Path):
    with pytest.raises(ConfigError, match="is a folder"):
        ask("report", "--dataset", "small", "--to", str(place))


def test_catalogue_needs_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MARQUEE_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("MARQUEE_FEATURE_REPO", str(REPO))
    pages = [tmp_path / name for name in ("one.html", "two.html")]

    made = [ask("catalogue", "--to", str(page)) for page in pages]

    assert made[0]["features"] == sum(map(len, schema.FEATURE_VIEWS.values()))
    assert set(made[0]["services"]) == set(schema.FEATURE_SERVICES)
    assert pages[0].read_bytes() == pages[1].read_bytes()
    checked(pages[0].read_text(encoding="utf-8"))


def test_catalogue_without_feast_is_one_line_with_the_remedy():
    program = (
        "import importlib.machinery as m; find = m.PathFinder.find_spec\n"
        "m.PathFinder.find_spec = lambda name, *rest: None if name == 'feast' else find(name, *rest)\n"
        "from marquee.cli.features.pages import catalogue\n"
        "from marquee.errors import ConfigError\n"
        "try: catalogue()\n"
        "except ConfigError as error: print(error)"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "Feast is not installed" in result.stdout
    assert "make setup" in result.stdout
