from datetime import UTC, date, datetime

import pytest

from marquee import schema
from marquee.data.datasets.own_folder import load_own_folder
from marquee.errors import ConfigError, ContractError, SourceError
from tests.marquee.data.datasets.layouts import write_folder

MAPPING = b"""
interactions:
  files: events/*.csv
  mapping:
    format: csv
    columns: {user_id: who, item_id: what, interaction_type: how, timestamp: when}
    timestamp_unit: iso8601
users: users.csv
movies: movies.csv
publicity: publicity.csv
"""


@pytest.fixture
def folder(tmp_path):
    files = {
        "mapping.yaml": MAPPING,
        "users.csv": b"user_id,age,shoe_size\nann,24,41\n",
        "movies.csv": b"item_id,title,genres,released_on\nowl,Tin Owl,Drama|Comedy,1995-11-22\n",
        "publicity.csv": b"item_id,observed_at,metacritic\nowl,1996-01-01T12:00:00Z,95\n",
    }
    write_folder(tmp_path / "mine" / "events", {"b.csv": b"", "a.csv": b"", "notes.txt": b""})
    return write_folder(tmp_path / "mine", files)


def test_load_own_folder_finds_events_and_tables(folder):
    data = load_own_folder(folder, source="here")

    assert [path.name for path in data.interactions] == ["a.csv", "b.csv"]
    assert data.mapping.columns["user_id"] == "who"
    assert data.users.select("user_id", "age").rows() == [("ann", 24)]
    assert data.movies.select("title", "genres", "released_on").rows() == [
        ("Tin Owl", ["Drama", "Comedy"], date(1995, 11, 22))
    ]
    assert data.publicity.select("observed_at", "metacritic").rows() == [
        (datetime(1996, 1, 1, 12, tzinfo=UTC), 95.0)
    ]
    assert dict(data.movies.schema) == schema.MOVIES_SCHEMA


def test_load_own_folder_reads_parquet_tables_alike(folder):
    first = load_own_folder(folder, source="here").movies
    first.write_parquet(folder / "movies.parquet")
    (folder / "mapping.yaml").write_bytes(MAPPING.replace(b"movies.csv", b"movies.parquet"))

    assert load_own_folder(folder, source="here").movies.equals(first)


def test_load_own_folder_takes_a_ready_made_mapping_by_name(folder):
    text = b"interactions: {files: events/a.csv, mapping: movielens-u-data}\n"
    (folder / "mapping.yaml").write_bytes(text)

    data = load_own_folder(folder, source="here")

    assert data.mapping.delimiter == "\t"
    assert (data.users, data.movies, data.publicity) == (None, None, None)


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        (b"users: users.csv", b"user: users.csv", ConfigError, "unknown key 'user'"),
        (b"files: events", b"file: events", ConfigError, "interactions"),
        (b"files: events/*.csv", b"files: ../events/*.csv", ConfigError, "files is '../events"),
        (b"files: events/*.csv", b"files: events/*.jsonl", SourceError, "matches 'events/*.jsonl'"),
        (b"format: csv", b"format: xlsx", ConfigError, "xlsx"),
        (b"users: users.csv", b"users: nobody.csv", SourceError, "nobody.csv"),
        (b"users: users.csv", b"users: movies.csv", ContractError, "no column 'user_id'"),
        (b"interactions:", b"interactions: [", ConfigError, "not valid YAML"),
    ],
)
def test_load_own_folder_with_a_mistake_names_it(folder, old, new, error, message):
    (folder / "mapping.yaml").write_bytes(MAPPING.replace(old, new, 1))

    with pytest.raises(error) as caught:
        load_own_folder(folder, source="here")

    assert message in caught.value.problem
    assert caught.value.remedy


def test_load_own_folder_of_a_value_that_does_not_fit_names_its_column(folder):
    write_folder(folder, {"users.csv": b"user_id,age\nann,old\n"})

    with pytest.raises(ContractError, match=r"users\.csv: age"):
        load_own_folder(folder, source="here")


@pytest.mark.parametrize(
    ("rows", "shown"), [(b"ann,24\nann,25\n", "'ann' twice"), (b",24\n", "an empty one")]
)
def test_load_own_folder_of_an_id_that_is_none_is_refused(folder, rows, shown):
    write_folder(folder, {"users.csv": b"user_id,age\n" + rows})

    with pytest.raises(ContractError, match=f"user_id has {shown}"):
        load_own_folder(folder, source="here")


def test_load_own_folder_observes_an_item_again_and_again(folder):
    rows = b"owl,1996-01-01T00:00:00Z,95\nowl,1997-01-01T00:00:00Z,96\n"
    write_folder(folder, {"publicity.csv": b"item_id,observed_at,metacritic\n" + rows})

    assert load_own_folder(folder, source="here").publicity["metacritic"].to_list() == [95.0, 96.0]


def test_load_own_folder_without_a_mapping_says_so(tmp_path):
    with pytest.raises(SourceError, match=r"mapping\.yaml"):
        load_own_folder(tmp_path, source="here")


@pytest.mark.parametrize("pattern", [b"events/**.csv", b"."])
def test_load_own_folder_of_a_pattern_that_is_no_glob_says_so(folder, pattern):
    (folder / "mapping.yaml").write_bytes(MAPPING.replace(b"events/*.csv", pattern))

    with pytest.raises(ConfigError, match="which is no glob"):
        load_own_folder(folder, source="here")


def test_load_own_folder_whose_path_looks_like_a_glob_is_read(folder):
    folder = folder.rename(folder.with_name("mine [2]"))
    users = load_own_folder(folder, source="here").users
    users.write_parquet(folder / "users.parquet")
    (folder / "mapping.yaml").write_bytes(MAPPING.replace(b"users.csv", b"users.parquet"))

    assert users["user_id"].to_list() == ["ann"]
    assert load_own_folder(folder, source="here").users["user_id"].to_list() == ["ann"]
