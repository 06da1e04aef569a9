from datetime import date
from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.data.datasets.raw import ignore_progress
from marquee.data.datasets.streaming_titles import COLUMNS, load_streaming_titles
from marquee.errors import SourceError
from tests.marquee.data.datasets.layouts import write_folder, write_zip

HEADER = ",".join(COLUMNS) + ",OTT\r\n"
REAL_DATA = Path(__file__).parents[5] / "shared" / "data" / "streaming_titles"


def row(**fields):
    defaults = {"show_id": "s1", "type": "Movie", "title": "Tin Owl", "release_year": "1995"}
    values = [(defaults | fields).get(column, "") for column in COLUMNS]
    return ",".join(f'"{value}"' for value in [*values, "Service"]) + "\r\n"


@pytest.fixture
def load(tmp_path):
    def load_rows(*rows):
        folder = write_folder(tmp_path / "titles", {"acme_titles.csv": (HEADER + "".join(rows)).encode()})
        return load_streaming_titles(
            folder, work=tmp_path / "work", source="here", on_progress=ignore_progress
        )

    return load_rows


def test_load_streaming_titles_reads_all_twelve_columns(load):
    data = load(
        row(
            director="A. Bee, C. Dee",
            cast="E. Eff",
            country=", France, Italy,",
            date_added="25-Sep-21",
            rating="PG-13",
            duration="113 min",
            listed_in="Drama, Comedy",
            description="\u200bA bird\r\nof tin.",
        )
    )

    assert dict(data.movies.schema) == schema.MOVIES_SCHEMA
    assert data.movies.row(0, named=True) == {
        "item_id": "acme:s1",
        "title": "Tin Owl",
        "year": 1995,
        "released_on": None,
        "added_on": date(2021, 9, 25),
        "kind": "movie",
        "genres": ["Drama", "Comedy"],
        "directors": ["A. Bee", "C. Dee"],
        "cast": ["E. Eff"],
        "countries": ["France", "Italy"],
        "duration_minutes": 113,
        "seasons": None,
        "content_rating": "PG-13",
        "min_age": 13,
        "description": "A bird\r\nof tin.",
        "service": "acme",
        "imdb_id": None,
    }
    assert (data.interactions, data.mapping, len(data.issues)) == ((), None, 0)


@pytest.mark.parametrize(
    ("rating", "duration", "expected"),
    [
        ("TV-MA", "1 Season", ("TV-MA", 17, None, 1)),
        ("", "2 Seasons", (None, None, None, 2)),
        ("18+", "0 min", ("18+", 18, None, None)),
        ("74 min", "", (None, None, 74, None)),
        ("2 Seasons", "", (None, None, None, 2)),
        ("NR", "601 min", ("NR", None, 601, None)),
        (" AGES_18_ ", "90 min", ("AGES_18_", 18, 90, None)),
    ],
)
def test_load_streaming_titles_tells_ratings_from_durations(load, rating, duration, expected):
    data = load(row(rating=rating, duration=duration))

    columns = ("content_rating", "min_age", "duration_minutes", "seasons")
    assert data.movies.select(columns).row(0) == expected
    assert len(data.issues) == 0


@pytest.mark.parametrize(
    ("column", "value", "field"),
    [
        ("date_added", "yesterday", "added_on"),
        ("release_year", "MMXX", "year"),
        ("duration", "an hour", "duration_minutes"),
        ("type", "Podcast", "kind"),
        ("director", "Director A. Bee takes us on a " + "very " * 20 + "long journey.", "directors"),
    ],
)
def test_load_streaming_titles_keeps_a_row_with_an_unreadable_value(load, column, value, field):
    data = load(row(show_id="s1"), row(show_id="s2", **{column: value}))

    assert data.movies["item_id"].to_list() == ["acme:s1", "acme:s2"]
    assert data.movies[field][1] is None
    assert data.issues.select("source", "line", "column", "value").rows() == [
        ("acme_titles.csv", 3, column, value)
    ]


def test_load_streaming_titles_keeps_an_unheard_of_rating_without_an_age(load):
    data = load(row(rating="BBFC 15"))

    assert data.movies.select("content_rating", "min_age").row(0) == ("BBFC 15", None)
    assert data.issues["column"].to_list() == ["rating"]


def test_load_streaming_titles_of_a_repeated_or_missing_id_keeps_both_rows(load):
    data = load(row(show_id="s1"), row(show_id="s1"), row(show_id=""))

    assert data.movies["item_id"].to_list() == ["acme:s1", "acme:s1-line-3", "acme:line-4"]
    assert data.issues.select("line", "column").rows() == [(3, "show_id"), (4, "show_id")]


def test_load_streaming_titles_of_two_services_tells_their_ids_apart(tmp_path):
    content = (HEADER + row()).encode()
    root = write_zip(tmp_path / "a.zip", {"acme_titles.csv": content, "zeta_titles.csv": content}, folder="x")

    data = load_streaming_titles(root, work=tmp_path / "work", source="here", on_progress=ignore_progress)

    assert data.movies.select("item_id", "service").rows() == [("acme:s1", "acme"), ("zeta:s1", "zeta")]


def test_load_streaming_titles_of_another_folder_is_one_error(tmp_path):
    with pytest.raises(SourceError, match=r"_titles\.csv"):
        load_streaming_titles(tmp_path, work=tmp_path / "work", source="here", on_progress=ignore_progress)


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the streaming-titles files are not on this machine")
def test_load_streaming_titles_of_the_real_files_loses_no_row(tmp_path):
    movies = load_streaming_titles(
        REAL_DATA, work=tmp_path, source="here", on_progress=ignore_progress
    ).movies

    kinds = movies.group_by("service", "kind").len().sort("service", "kind").rows()
    assert kinds == [
        ("amazon_prime", "movie", 7_814),
        ("amazon_prime", "series", 1_854),
        ("disney_plus", "movie", 1_052),
        ("disney_plus", "series", 398),
        ("hulu", "movie", 1_484),
        ("hulu", "series", 1_589),
        ("netflix", "movie", 6_131),
        ("netflix", "series", 2_676),
    ]
    assert movies["item_id"].n_unique() == 22_998


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the streaming-titles files are not on this machine")
def test_load_streaming_titles_of_the_real_files_reads_their_traps(tmp_path):
    data = load_streaming_titles(REAL_DATA, work=tmp_path, source="here", on_progress=ignore_progress)

    by_service = {name[0]: table for name, table in data.movies.partition_by("service", as_dict=True).items()}
    added = {name: table["added_on"].count() for name, table in by_service.items()}
    assert added == {"netflix": 8_797, "amazon_prime": 155, "disney_plus": 1_447, "hulu": 3_045}
    has_length = pl.col("duration_minutes").is_not_null() | pl.col("seasons").is_not_null()
    assert len(by_service["netflix"].filter(~has_length)) == 0  # three durations came back from rating
    assert len(by_service["amazon_prime"].filter(~has_length)) == 10  # "0 min"
    assert (
        len(by_service["hulu"].filter(~has_length)) == 479 - 292
    )  # empty, less those that stood under rating
    assert by_service["hulu"]["directors"].count() == 0
    assert data.issues["reason"].to_list() == ["a sentence, not names"] * 3
    assert not data.movies["description"].str.contains("\u200b").any()
