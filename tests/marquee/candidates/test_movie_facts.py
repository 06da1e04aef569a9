import numpy as np
import polars as pl

from marquee import schema
from marquee.candidates.movie_facts import MovieFacts, descriptions_of
from marquee.data.interactions import Vocabulary

ROWS = pl.DataFrame(
    {
        "movie_title": ["The Lion of 42nd Street", None],
        schema.MOVIE_YEAR: [1994.0, None],
        schema.MOVIE_GENRES: [["Drama", "War"], None],
        schema.MOVIE_DIRECTORS: [["Ford"], []],
        "pub_critic_score": [7.5, None],
    }
)


def test_of_lists_the_terms_of_each_field():
    facts = MovieFacts.of(ROWS)

    assert facts.terms["genres"].to_list() == [["Drama", "War"], []]
    assert facts.terms["directors"].to_list() == [["Ford"], []]
    assert facts.terms["words"].to_list() == [["the", "lion", "42nd", "street"], []]
    assert facts.terms["period"].to_list() == [["398"], []]  # 1994 // 5


def test_of_columns_that_are_not_there_are_unknown():
    facts = MovieFacts.of(ROWS)

    assert facts.terms["cast"].to_list() == [[], []]
    assert facts.publicity.shape == (2, len(schema.PUBLICITY_FACTS))
    assert facts.publicity[0, schema.PUBLICITY_FACTS.index(schema.CRITIC_SCORE)] == 7.5
    assert np.isfinite(facts.publicity).sum() == 1


def test_of_descriptions_join_the_words_of_the_title():
    facts = MovieFacts.of(ROWS, pl.Series([None, "Ein Löwe, zwei Löwen"]))

    assert facts.terms["words"].to_list()[1] == ["ein", "löwe", "zwei", "löwen"]


def test_unknown_has_nothing_of_anybody():
    facts = MovieFacts.unknown(3)

    assert all(terms.to_list() == [[], [], []] for terms in facts.terms.values())
    assert np.isnan(facts.publicity).all()
    assert np.isnan(facts.year).all()


def test_descriptions_of_follow_the_items():
    movies = pl.DataFrame({"item_id": ["b", "a", "b"], "description": ["of b", "of a", "again"]})

    assert descriptions_of(Vocabulary.of(["a", "b", "c"]), movies).to_list() == ["of a", "of b", None]


def test_descriptions_of_no_table_are_none():
    assert descriptions_of(Vocabulary.of(["a"]), None) is None
    assert descriptions_of(Vocabulary.of(["a"]), pl.DataFrame({"item_id": ["a"]})) is None
