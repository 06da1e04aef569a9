import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from marquee.adapters.feast_offline.keys import joined

parts = st.tuples(st.none() | st.sampled_from("ab"), st.none() | st.integers(0, 2))


def series(rows):
    return [
        pl.Series([row[0] for row in rows], dtype=pl.String),
        pl.Series([row[1] for row in rows], dtype=pl.Int64),
    ]


@given(st.lists(parts), st.lists(parts))
def test_joined_keys_are_equal_exactly_where_all_parts_are(stored, asked):
    left, right = joined(series(stored), series(asked))

    for row, code in zip(stored, left, strict=True):
        assert (code is None) == (None in row)
        for label, label_code in zip(asked, right, strict=True):
            equal = code is not None and code == label_code
            assert equal == (row == label and None not in row)


def test_joined_lone_integer_is_its_own_code():
    stored, asked = joined([pl.Series([-5, None])], [pl.Series([None, -5, 8])])

    assert stored.to_list() == [-5, None]
    assert asked.to_list() == [None, -5, 8]


@given(st.lists(st.none() | st.text(max_size=2)), st.lists(st.none() | st.text(max_size=2)))
def test_joined_lone_strings_are_equal_exactly_where_their_codes_are(stored, asked):
    left, right = joined([pl.Series(stored, dtype=pl.String)], [pl.Series(asked, dtype=pl.String)])

    assert [code is None for code in left] == [text is None for text in stored]
    for text, code in zip(asked, right, strict=True):
        assert [code is not None and code == other for other in left] == [
            text is not None and text == other for other in stored
        ]


def test_joined_label_of_several_parts_that_no_row_has_is_null():
    _, asked = joined([pl.Series(["a"]), pl.Series([1])], [pl.Series(["a", "a"]), pl.Series([2, 1])])

    assert asked.is_null().to_list() == [True, False]
