from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.data.datasets.publicity import (
    enrich,
    match_by_imdb_id,
    match_by_title,
    precise_date,
    read_awards,
    read_facts,
)
from marquee.data.datasets.raw import conform
from marquee.errors import SourceError
from tests.marquee.data.datasets.layouts import write_movie_database


@pytest.fixture
def facts(tmp_path):
    return read_facts(write_movie_database(tmp_path / "movies.db"))


def movies(*rows):
    columns = ("item_id", "title", "year", "imdb_id")
    return conform(pl.DataFrame(rows, schema=columns, orient="row"), name=schema.MOVIES)


def test_read_facts_reads_empty_text_as_null_and_lists_as_lists(facts):
    row = facts.row(by_predicate=pl.col("fact_id") == 12, named=True)

    assert (row["directors"], row["cast"], row["countries"], row["released_on"]) == (None, None, None, None)
    assert facts["cast"][0].to_list() == ["C. Dee", "E. Eff"]


@pytest.mark.parametrize("content", [b"", b"no database at all, whatever the name says" * 10])
def test_read_facts_of_another_file_is_one_error(tmp_path, content):
    (tmp_path / "movies.db").write_bytes(content)

    with pytest.raises(SourceError, match=r"movies\.db"):
        read_facts(tmp_path / "movies.db")


def test_read_facts_of_a_missing_file_creates_none(tmp_path):
    with pytest.raises(SourceError):
        read_facts(tmp_path / "movies.db")

    assert list(tmp_path.iterdir()) == []


def test_match_by_title_prefers_the_title_then_the_year_then_the_reviews(facts):
    table = movies(
        ("a", "The Tin Owl (La Chouette d'étain)", 1995, None),  # 10 by its title beats 12 by its alternative
        ("b", "Tin Owl", 1996, None),  # 10 of 1994 is too far, 11 of 1997 is not
        ("c", "Chouette d'étain, La", 1996, None),
        ("d", "Tin Owl", 1991, None),
        ("e", None, 1995, None),
        ("f", "Golden Elbow", None, None),
    )

    assert match_by_title(table, facts).rows() == [("a", 10), ("b", 11), ("c", 12)]


def test_match_by_title_gives_one_fact_to_two_items(facts):
    table = movies(("x", "Golden Elbow", 1995, None), ("y", "Golden Elbow", 1996, None))

    assert match_by_title(table, facts).rows() == [("x", 13), ("y", 13)]


def test_match_by_imdb_id_of_a_double_id_takes_the_better_reviewed(facts):
    double = facts.with_columns(imdb_id=pl.lit("tt1"))  # reviews: 98, 400, 3, 88

    assert match_by_imdb_id(movies(("a", "?", 1995, "tt1"), ("b", "?", 1995, None)), double).rows() == [
        ("a", 11)
    ]


def test_enrich_fills_gaps_and_leaves_what_is_there(facts):
    table = movies(("a", "Tin Owl", 1994, None), ("b", "Unheard Of", 1994, None))
    table = table.with_columns(
        genres=pl.Series([["Drama"], []]), duration_minutes=pl.Series([80, 10], dtype=pl.Int16)
    )

    enriched = enrich(table, facts, known_since="release")

    columns = ("directors", "countries", "duration_minutes", "content_rating", "min_age", "imdb_id", "genres")
    assert dict(enriched.movies.schema) == schema.MOVIES_SCHEMA
    assert enriched.movies.select(columns).rows() == [
        (["A. Bee"], ["France", "Italy"], 80, "PG-13", 13, "tt0114709", ["Drama"]),
        (None, None, 10, None, None, None, []),
    ]
    assert "1 of 2 movies found by title and year" in enriched.note


def test_enrich_makes_publicity_with_scores_and_awards(facts):
    publicity = enrich(movies(("a", "Tin Owl", 1994, None)), facts, known_since="release").publicity

    row = publicity.row(0, named=True)
    assert dict(publicity.schema) == schema.PUBLICITY_SCHEMA
    assert row["critic_score"] == pytest.approx(9.4)  # the rating of 10, not the meter of 97
    assert (row["critic_count"], row["metacritic"], row["box_office_usd"]) == (98, 95.0, 394_436_586.0)
    assert (row["award_wins"], row["award_nominations"]) == (1, 2)
    assert (row["audience_score"], row["audience_count"], row["mentions"]) == (None, None, None)


@pytest.mark.parametrize(
    ("known_since", "item_id", "observed_at"),
    [
        ("release", "a", datetime(1995, 11, 22, tzinfo=UTC)),  # the day is known
        ("release", "b", datetime(1996, 1, 1, tzinfo=UTC)),  # of 1995, day unknown: when the year is over
        ("observed", "a", datetime(2026, 10, 18, tzinfo=UTC)),
    ],
)
def test_enrich_says_when_publicity_was_known(facts, known_since, item_id, observed_at):
    table = movies(("a", "Tin Owl", 1994, None), ("b", "Golden Elbow", 1995, None))

    publicity = enrich(table, facts, known_since=known_since).publicity

    assert publicity.filter(item_id=item_id)["observed_at"].item() == observed_at


def test_enrich_with_imdb_ids_asks_no_title(facts):
    table = movies(("a", "Another Name", 1950, "tt0114709"), ("b", "Golden Elbow", 1995, "tt9"))

    enriched = enrich(table, facts, known_since="release")

    assert enriched.publicity["item_id"].to_list() == ["a"]
    assert "found by IMDb id" in enriched.note


@pytest.mark.parametrize(
    ("text", "awards"),
    [
        ("Won 4 Oscars. Nominated for 8 Oscars.", (4, 8)),
        ("Nominated for 1 Oscar.", (0, 1)),
        ("Won 11 Oscars.", (11, 0)),
        ("", (None, None)),
        (None, (None, None)),
    ],
)
def test_read_awards_of_a_text_counts_wins_and_nominations(text, awards):
    assert read_awards(text) == awards


@given(st.integers(1, 99), st.integers(1, 99))
def test_read_awards_of_any_counts_reads_them_back(wins, nominations):
    assert read_awards(f"Won {wins} Oscars. Nominated for {nominations} Oscars.") == (wins, nominations)


def test_precise_date_of_a_first_of_january_is_unknown():
    dates = precise_date(pl.Series("released_on", ["1995-01-01", "1995-01-02", "", None]))

    assert dates.to_list() == [None, date(1995, 1, 2), None, None]
