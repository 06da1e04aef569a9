import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from marquee import schema
from marquee.data.datasets import DatasetConfig, catalogue, dataset_names, fetch, fetch_dataset, publicity
from marquee.data.datasets.catalogue import RECBOLE_WHEEL
from marquee.data.datasets.synthetic.config import SyntheticConfig
from marquee.errors import ConfigError, DatasetUnavailableError, SourceError
from tests.marquee.data.datasets.layouts import (
    csv_files,
    recbole_files,
    served,
    u_data_files,
    write_folder,
    write_movie_database,
    write_wheel,
    write_zip,
)

NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once
REPOSITORY = Path(__file__).parents[4]
REAL_CACHE = Path(os.environ.get("MARQUEE_CACHE", REPOSITORY / "data" / "cache"))
REAL_WHEELS = tuple(REAL_CACHE / "wheels" / wheel.filename for wheel in (RECBOLE_WHEEL, publicity.WHEEL))
REAL_LATEST_SMALL = REPOSITORY.parent / "shared" / "data" / "ml-latest-small"
PLAIN = DatasetConfig(with_publicity=False)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Wheels that pip finds in a folder, tiny ones in the place of the pinned ones; no network."""
    folder = tmp_path / "index"
    events = {f"recbole/dataset_example/ml-100k/{name}": content for name, content in recbole_files().items()}
    database = write_movie_database(tmp_path / "movies.db").read_bytes()
    carrier = write_wheel(folder, "carrier", events)
    facts = write_wheel(folder, "facts", {f"{publicity.DATABASE_FOLDER}/{publicity.DATABASE_NAME}": database})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(publicity, "WHEEL", facts)
    publish(monkeypatch, wheel=carrier)
    return folder


def publish(monkeypatch, **changes):
    """The catalogue with ml-100k changed; nothing is published unless `url` says so."""
    changed = replace(fetch.CATALOGUE[0], **({"url": f"{NOWHERE}/ml-100k.zip", "known_hash": None} | changes))
    monkeypatch.setattr(fetch, "CATALOGUE", (changed, *catalogue.CATALOGUE[1:]))


def go_offline(monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))


def test_fetch_dataset_takes_the_official_zip_first(tmp_path, monkeypatch, index):
    content = write_zip(tmp_path / "www" / "ml-100k.zip", u_data_files(), folder="ml-100k").read_bytes()

    with served(tmp_path / "www") as address:
        known_hash = f"sha256:{hashlib.sha256(content).hexdigest()}"
        publish(monkeypatch, url=f"{address}/ml-100k.zip", known_hash=known_hash)
        data = fetch_dataset("ml-100k", cache=tmp_path / "cache", config=PLAIN)

    assert data.source == "official zip"
    assert [path.name for path in data.interactions] == ["u.data"]
    # The server is gone: the second time is the cache's.
    assert fetch_dataset("ml-100k", cache=tmp_path / "cache", config=PLAIN).source == "official zip"


def test_fetch_dataset_falls_through_to_the_wheel(tmp_path, index):
    data = fetch_dataset("ml-100k", cache=tmp_path / "cache", config=PLAIN)

    assert data.source == "carrier 1.0 wheel"
    assert [path.name for path in data.interactions] == ["ml-100k.inter"]


def test_fetch_dataset_refuses_a_forged_official_zip(tmp_path, monkeypatch, index):
    write_zip(tmp_path / "www" / "ml-100k.zip", u_data_files())

    with served(tmp_path / "www") as address:
        publish(monkeypatch, url=f"{address}/ml-100k.zip", known_hash="sha256:" + "0" * 64)
        data = fetch_dataset("ml-100k", cache=tmp_path / "cache", config=PLAIN)

    assert data.source == "carrier 1.0 wheel"
    assert not (tmp_path / "cache" / "ml-100k" / "ml-100k.zip").exists()


def test_fetch_dataset_with_a_warm_cache_is_the_same_offline(tmp_path, monkeypatch, index):
    online = fetch_dataset("ml-100k", cache=tmp_path / "cache")
    go_offline(monkeypatch, tmp_path)

    offline = fetch_dataset("ml-100k", cache=tmp_path / "cache")

    assert (offline.source, offline.notes, offline.interactions) == (
        online.source,
        online.notes,
        online.interactions,
    )
    assert offline.movies.equals(online.movies)
    assert offline.publicity.equals(online.publicity)


def test_fetch_dataset_with_no_source_in_reach_names_each_reason(tmp_path, monkeypatch, index):
    go_offline(monkeypatch, tmp_path)

    with pytest.raises(DatasetUnavailableError) as caught:
        fetch_dataset("ml-100k", cache=tmp_path / "cache")

    assert "official zip: " in caught.value.problem
    assert "carrier 1.0 wheel through pip: " in caught.value.problem
    assert "--source" in caught.value.remedy


def test_fetch_dataset_adds_facts_and_publicity_of_a_movie(tmp_path, index):
    data = fetch_dataset("ml-100k", cache=tmp_path / "cache")

    owl = data.movies.filter(item_id="1").row(0, named=True)
    assert (owl["content_rating"], owl["genres"]) == ("PG-13", ["Animation", "Children's"])
    assert sorted(data.publicity["item_id"]) == ["1", "2"]
    assert any("2 of 4 movies found" in note for note in data.notes)
    assert any("hindsight" in note for note in data.notes)


def test_fetch_dataset_with_strict_publicity_knows_it_from_2026(tmp_path, index):
    config = DatasetConfig(publicity_known_since="observed")

    data = fetch_dataset("ml-100k", cache=tmp_path / "cache", config=config)

    assert set(data.publicity["observed_at"].dt.year()) == {2026}


def test_fetch_dataset_without_publicity_in_reach_still_loads(tmp_path, monkeypatch, index):
    go_offline(monkeypatch, tmp_path)
    root = write_folder(tmp_path / "ml-100k", u_data_files())

    data = fetch_dataset("ml-100k", cache=tmp_path / "cache", source=root)

    assert data.publicity is None
    assert data.movies["directors"].null_count() == len(data.movies)
    assert any(note.startswith("no publicity and no movie facts: facts 1.0 wheel") for note in data.notes)


def test_fetch_dataset_from_a_given_url_tells_two_of_one_name_apart(tmp_path):
    write_zip(tmp_path / "www" / "a" / "ml.zip", csv_files())
    write_zip(
        tmp_path / "www" / "b" / "ml.zip", csv_files() | {"movies.csv": b"movieId,title,genres\n9,Nine,\n"}
    )

    with served(tmp_path / "www") as address:
        items = [
            fetch_dataset(
                "ml-32m", cache=tmp_path / "cache", source=f"{address}/{each}/ml.zip", config=PLAIN
            ).movies
            for each in ("a", "b")
        ]

    assert [table["item_id"].to_list() for table in items] == [["1", "2", "3"], ["9"]]


def test_fetch_dataset_from_a_url_of_a_page_keeps_nothing(tmp_path):
    write_folder(tmp_path / "www", {"ml.zip": b"<html>sorry</html>"})

    with served(tmp_path / "www") as address, pytest.raises(DatasetUnavailableError, match="not a zip"):
        fetch_dataset("ml-25m", cache=tmp_path / "cache", source=f"{address}/ml.zip", config=PLAIN)

    assert list((tmp_path / "cache" / "ml-25m").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "source", "error", "message"),
    [
        ("ml-100m", None, ConfigError, "no data set named 'ml-100m'"),
        ("synthetic", "folder", ConfigError, "takes no source"),
        ("folder", None, DatasetUnavailableError, "no place to be downloaded from"),
        ("streaming-titles", None, DatasetUnavailableError, "no place to be downloaded from"),
        ("ml-1m", "nowhere", SourceError, "does not exist"),
    ],
)
def test_fetch_dataset_of_an_impossible_request_is_one_error(tmp_path, name, source, error, message):
    with pytest.raises(error, match=message) as caught:
        fetch_dataset(name, cache=tmp_path, source=source and tmp_path / source)

    assert caught.value.remedy


def test_fetch_dataset_synthetic_delivers_what_was_configured(tmp_path):
    config = DatasetConfig(synthetic=SyntheticConfig(n_events=500, n_users=20, n_items=30, days=7))

    data = fetch_dataset("synthetic", cache=tmp_path, config=config)

    assert (len(data.users), len(data.movies), data.publicity) == (20, 30, None)
    assert "500 events, seed 0" in data.source


def test_dataset_names_lead_with_the_default_and_are_described():
    infos = dataset_names()

    assert infos[0].name == "ml-100k"
    assert len({info.name for info in infos}) == len(infos)
    assert all(info.description and info.size and info.licence for info in infos)


@pytest.mark.skipif(not all(path.is_file() for path in REAL_WHEELS), reason="no cache with the real ml-100k")
def test_fetch_dataset_of_the_real_ml_100k_finds_most_publicity():
    data = fetch_dataset("ml-100k", cache=REAL_CACHE)

    assert (len(data.users), len(data.movies)) == (943, 1_682)
    assert data.movies.filter(item_id="1412").select("title", "year").row(0) == (
        "Land Before Time III: The Time of the Great Giving",
        1995,
    )
    assert data.movies.filter(item_id="267").select("title", "year").row(0) == (None, None)
    assert len(data.publicity) >= 1_363
    assert data.movies[schema.CONTENT_RATING].count() >= 369


@pytest.mark.skipif(not REAL_LATEST_SMALL.is_dir(), reason="ml-latest-small is not on this machine")
def test_fetch_dataset_of_the_real_latest_small_reads_its_gaps(tmp_path):
    data = fetch_dataset("ml-latest-small", cache=tmp_path, source=REAL_LATEST_SMALL, config=PLAIN)

    assert len(data.movies) == 9_742
    assert data.movies["year"].null_count() == 13 - 1  # one of the 13 has a range of years, 2006–2007
    assert data.movies.filter(data.movies["genres"].list.len() == 0).height == 34
    assert data.movies["imdb_id"].str.contains(r"^tt\d{7,}$").all()
    assert data.movies.filter(data.movies["title"] != data.movies["title"].str.strip_chars()).height == 0
