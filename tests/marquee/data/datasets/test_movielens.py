from datetime import UTC, date, datetime

import pytest

from marquee import schema
from marquee.data.datasets.movielens import load_movielens
from marquee.data.datasets.raw import ignore_progress
from marquee.data.ingest import IngestConfig, ingest_interactions
from marquee.data.warehouse import Warehouse
from marquee.errors import SourceError
from tests.marquee.data.datasets.layouts import (
    RATINGS,
    csv_files,
    dat_files,
    recbole_files,
    u_data_files,
    write_folder,
    write_zip,
)


@pytest.fixture
def load(tmp_path):
    def load_from(root):
        return load_movielens("ml", root, work=tmp_path / "work", source="here", on_progress=ignore_progress)

    return load_from


def ingested(data, root):
    warehouse = Warehouse(root)
    ingest_interactions(
        data.interactions,
        data.mapping,
        warehouse,
        config=IngestConfig(),
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return warehouse.read_interactions()


@pytest.mark.parametrize("files", [u_data_files, recbole_files, dat_files])
def test_load_movielens_in_any_layout_delivers_the_same_events(load, tmp_path, files):
    events = ingested(load(write_zip(tmp_path / "a.zip", files(), folder="x")), tmp_path / "warehouse")

    columns = (schema.USER_ID, schema.ITEM_ID, schema.VALUE, schema.TIMESTAMP)
    seen = {
        (user, item, stars, time.timestamp()) for user, item, stars, time in events.select(columns).rows()
    }
    assert seen == set(RATINGS)
    assert set(events[schema.INTERACTION_TYPE]) == {"rating"}


@pytest.mark.parametrize("files", [u_data_files, recbole_files])
def test_load_movielens_100k_reads_movies_and_their_traps(load, tmp_path, files):
    movies = load(write_folder(tmp_path / "a", files())).movies

    assert dict(movies.schema) == schema.MOVIES_SCHEMA
    assert movies.select("item_id", "title", "year", "kind", "genres").sort("item_id").rows() == [
        ("1", "The Tin Owl (La Chouette d'étain)", 1995, "movie", ["Animation", "Children's"]),
        ("1412", "Meadow III: The Return", 1995, "movie", ["Animation"]),
        ("2", "Golden Elbow", 1995, "movie", ["Action"]),
        ("267", None, None, "movie", []),
    ]


@pytest.mark.parametrize("files", [u_data_files, recbole_files])
def test_load_movielens_100k_reads_users(load, tmp_path, files):
    users = load(write_folder(tmp_path / "a", files())).users

    assert dict(users.schema) == schema.USERS_SCHEMA
    assert users.select("user_id", "age", "gender", "occupation", "location").rows() == [
        ("7", 24, "M", "technician", "85711"),
        ("8", 53, "F", "other", "T8H1N"),
    ]


def test_load_movielens_100k_takes_no_first_of_january_for_a_release_date(load, tmp_path):
    movies = load(write_folder(tmp_path / "a", u_data_files())).movies

    assert movies["released_on"].to_list() == [date(1997, 1, 24), None, None, None]


def test_load_movielens_1m_reads_bands_and_codes(load, tmp_path):
    data = load(write_folder(tmp_path / "ml-1m", dat_files()))

    assert data.users.select("age", "gender", "occupation").rows() == [
        (None, "F", "K-12 student"),  # the band "under 18" is no age
        (56, "M", "self-employed"),
    ]
    assert data.movies["title"].to_list() == ["La Chouette d'étain", "Golden Elbow"]
    assert data.movies["genres"].to_list() == [["Animation", "Children's"], ["Action"]]


def test_load_movielens_csv_reads_titles_genres_and_links(load, tmp_path):
    data = load(write_folder(tmp_path / "ml-latest-small", csv_files()))

    assert data.users is None
    assert data.movies.select("item_id", "title", "year", "genres", "imdb_id").rows() == [
        ("1", "The Tin Owl", 1995, ["Adventure", "Children"], "tt0114709"),
        ("2", "Golden Elbow", None, [], "tt12345678"),
        ("3", "Nobody Knows", 2001, ["Drama"], None),
    ]


def test_load_movielens_without_side_files_delivers_events_only(load, tmp_path):
    data = load(write_folder(tmp_path / "a", {"u.data": u_data_files()["u.data"]}))

    assert (data.users, data.movies) == (None, None)
    assert [path.name for path in data.interactions] == ["u.data"]


def test_load_movielens_of_a_broken_user_keeps_an_issue(load, tmp_path):
    files = u_data_files() | {"u.user": b"7|24|M|technician\n8|old|F|other|T8H1N\n"}

    data = load(write_folder(tmp_path / "a", files))

    assert data.users.select("user_id", "age").rows() == [("8", None)]
    assert data.issues.select("source", "line", "column", "value").rows() == [
        ("u.user", 1, "", "7|24|M|technician"),
        ("u.user", 2, "age", "old"),
    ]


def test_load_movielens_of_a_repeated_movie_takes_the_first(load, tmp_path):
    text = b"movieId,title,genres\n1,Tin Owl,\n2,Golden Elbow,\n1,Another,\n,Nothing,\n"

    data = load(write_folder(tmp_path / "a", csv_files() | {"movies.csv": text}))

    assert data.movies.select("item_id", "title").rows() == [("1", "Tin Owl"), ("2", "Golden Elbow")]
    assert data.issues.select("column", "value").rows() == [("item_id", "1"), ("item_id", "")]


@pytest.mark.parametrize("files", [{}, {"notes.txt": b""}])
def test_load_movielens_of_another_folder_says_what_it_looked_for(load, tmp_path, files):
    with pytest.raises(SourceError, match="holds no MovieLens data") as caught:
        load(write_folder(tmp_path / "a", files))

    assert "ratings.csv" in caught.value.remedy
