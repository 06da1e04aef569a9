from pathlib import Path

import pytest

from marquee.data.datasets.catalogue import CATALOGUE
from tests.small_run import Place, run_here

HEADER = "user_id,item_id,interaction_type,timestamp,value\n"
REPORT_KEYS = {"read", "accepted", "quarantined", "new", "duplicate", "reasons", "seconds"}


@pytest.fixture
def events(place: Place) -> Path:
    """Twenty good rows, one repeated row and one with a negative time."""
    good = "".join(f"u1,m{item},rating,2024-01-01T00:00:00Z,4\n" for item in range(20))
    bad = "u1,m0,rating,2024-01-01T00:00:00Z,4\nu2,m1,rating,yesterday,4\n"
    path = place.root / "events.csv"
    path.write_text(HEADER + good + bad, encoding="utf-8")
    return path


def test_list_json_names_each_data_set(place: Place):
    listed = run_here("data", "list", "--json", at=place).json

    assert [entry["name"] for entry in listed] == [info.name for info in CATALOGUE]
    assert all(entry.keys() == {"name", "description", "size", "licence"} for entry in listed)


def test_list_for_people_names_each_data_set(place: Place):
    shown = run_here("data", "list", at=place).out

    assert all(info.name in shown for info in CATALOGUE)


def test_fetch_json_reports_snapshot_rows_and_ingest(place: Place):
    fetched = run_here("data", "fetch", "folder", "--source", place.root / "source", "--json", at=place)

    answer = fetched.json
    assert answer.keys() == {
        "dataset", "source", "warehouse", "snapshot", "rows", "unreadable_values", "notes", "ingest",
    }  # fmt: skip
    assert answer["rows"] == {"interactions": 2250, "users": 75, "movies": 90}
    assert answer["ingest"]["read"] == answer["ingest"]["accepted"] == 75 * 30
    assert (place.settings.warehouse(place.storage) / "warehouse.json").is_file()


def test_fetch_twice_gives_the_same_snapshot_and_reads_nothing_again(place: Place):
    fetch = ["data", "fetch", "folder", "--source", str(place.root / "source"), "--json"]

    first, second = (run_here(*fetch, at=place).json for _ in range(2))

    assert second["snapshot"] == first["snapshot"]
    assert second["ingest"]["read"] == 0
    assert len(second["ingest"]["skipped_files"]) == 1


def test_fetch_then_train_learn_from_the_same_snapshot(place: Place):
    source = str(place.root / "source")
    fetched = run_here("data", "fetch", "folder", "--source", source, "--json", at=place).json

    assert place.train().dataset.snapshot_id == fetched["snapshot"]


def test_snapshot_json_repeats_the_id_of_the_fetch(place: Place):
    source = str(place.root / "source")
    fetched = run_here("data", "fetch", "folder", "--source", source, "--json", at=place).json

    frozen = run_here("data", "snapshot", "folder", "--source", source, "--json", at=place).json

    assert frozen == {
        "dataset": "folder",
        "snapshot": fetched["snapshot"],
        "rows": fetched["rows"],
        "stored": [fetched["snapshot"]],
    }


def test_snapshot_of_a_data_set_never_fetched_says_so(place: Place):
    run_here("data", "snapshot", "ml-1m", at=place).require_error("ml-1m")


def test_validate_json_counts_add_up_and_name_the_reason(place: Place, events: Path):
    quarantine = place.root / "refused"

    report = run_here(
        "data",
        "validate",
        events,
        "--mapping",
        "contract-csv",
        "--quarantine",
        quarantine,
        "--json",
        at=place,
    ).json

    assert report.keys() >= REPORT_KEYS
    assert (report["read"], report["accepted"], report["quarantined"]) == (22, 21, 1)
    assert (report["new"], report["duplicate"]) == (20, 1)
    assert sum(report["reasons"].values()) == 1
    assert [path.suffix for path in quarantine.iterdir()] == [".jsonl"]


def test_validate_keeps_nothing(place: Place, events: Path):
    run_here(
        "data", "validate", events, "--mapping", "contract-csv", "--quarantine", place.root / "q", at=place
    )

    assert not place.settings.data.exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["missing.csv", "--mapping", "contract-csv"], ["missing.csv"]),
        (["{events}", "--mapping", "no-such"], ["no-such", "contract-csv"]),
        (["{events}", "--mapping", "{root}/bad.yaml"], ["bad.yaml", "user_id"]),
        (["{root}/recipe.yaml", "--mapping", "contract-csv"], ["recipe.yaml"]),
    ],
)
def test_validate_on_what_does_not_fit_names_it(
    place: Place, events: Path, arguments: list[str], named: list[str]
):
    (place.root / "bad.yaml").write_text("format: csv\ncolumns: {item_id: m}\n", encoding="utf-8")
    given = [argument.format(events=events, root=place.root) for argument in arguments]

    outcome = run_here("data", "validate", *given, "--quarantine", place.root / "refused", at=place)

    outcome.require_error(*named)


def test_validate_of_mostly_bad_rows_names_the_share(place: Place):
    path = place.root / "bad.csv"
    path.write_text(HEADER + "u,m,rating,yesterday,4\n" * 10, encoding="utf-8")

    outcome = run_here(
        "data", "validate", path, "--mapping", "contract-csv", "--quarantine", place.root / "q", at=place
    )

    outcome.require_error("10")


@pytest.mark.parametrize("name", ["netflix", ""])
def test_fetch_of_an_unknown_data_set_names_it(place: Place, name: str):
    run_here("data", "fetch", name, at=place).require_error(repr(name), "ml-100k")


def test_fetch_into_a_folder_that_is_a_file_names_it(place: Place):
    place.settings.data.write_text("in the way", encoding="utf-8")

    outcome = run_here("data", "fetch", "folder", "--source", place.root / "source", at=place)

    outcome.require_error(str(place.settings.data))


def test_data_snapshot_of_each_generator_configuration_is_its_own(place: Place):
    snapshots = {}
    for seed in (1, 2):
        file = place.root / f"seed{seed}.yaml"
        file.write_text(
            f"dataset: {{synthetic: {{seed: {seed}, n_events: 300, n_users: 20, n_items: 30}}}}\n"
        )
        run_here("data", "fetch", "synthetic", "--config", file, "--json", at=place)
        snapshots[seed] = run_here("data", "snapshot", "synthetic", "--config", file, "--json", at=place).json

    assert [found["rows"]["interactions"] for found in snapshots.values()] == [300, 300]
    assert snapshots[1]["snapshot"] != snapshots[2]["snapshot"]
