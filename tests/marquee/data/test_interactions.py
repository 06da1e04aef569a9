import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee import schema
from marquee.data.interactions import UNKNOWN_INDEX, Interactions, Ragged, Vocabulary
from tests.factories import event_table

ids = st.text(alphabet="abcxyz0189", min_size=1, max_size=3)


@given(st.lists(ids))
def test_vocabulary_index_is_the_place_among_sorted_unique_ids(names):
    vocabulary = Vocabulary.of(names)

    assert vocabulary.ids.to_list() == sorted(set(names))
    assert [vocabulary.index_of(name) for name in names] == vocabulary.encode(names).tolist()
    assert vocabulary.decode(vocabulary.encode(names)) == names


def test_vocabulary_unknown_id_has_no_index():
    vocabulary = Vocabulary.of(["b", None, "a"])

    assert len(vocabulary) == 2
    assert vocabulary.index_of("c") == UNKNOWN_INDEX
    assert vocabulary.encode(["c", "b", "", "a"]).tolist() == [UNKNOWN_INDEX, 1, UNKNOWN_INDEX, 0]
    assert vocabulary.encode(pl.Series([None, "a"])).tolist() == [UNKNOWN_INDEX, 0]


def test_vocabulary_decode_of_padding_is_refused():
    with pytest.raises(IndexError):
        Vocabulary.of(["a", "b"]).decode(np.array([0, UNKNOWN_INDEX]))


def test_vocabulary_of_nothing_is_empty():
    vocabulary = Vocabulary.of([])

    assert len(vocabulary) == 0
    assert vocabulary.encode(["a"]).tolist() == [UNKNOWN_INDEX]
    assert vocabulary.decode(np.array([], np.int32)) == []


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=6))
def test_ragged_gives_back_its_rows(rows):
    ragged = Ragged.of(rows)

    assert [ragged[row].tolist() for row in range(len(ragged))] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.row_of_value.tolist() == [number for number, row in enumerate(rows) for _ in row]
    assert ragged.values.dtype == np.int32


def test_from_table_encodes_every_column():
    table = event_table([("b", "x", 2.5, 4.5, "rating"), ("a", "y", 1, None, "click")])

    found = Interactions.from_table(table)

    assert found.user_index.tolist() == [0, 1]
    assert found.item_index.tolist() == [1, 0]
    assert found.timestamp_us.tolist() == [1_000_000, 2_500_000]
    np.testing.assert_array_equal(found.value, np.array([np.nan, 4.5], np.float32))
    assert [schema.INTERACTION_TYPES[code] for code in found.type_code] == ["click", "rating"]


def test_from_table_without_value_column_knows_no_value():
    table = event_table([("a", "x", 1, 3.0)]).drop(schema.VALUE)

    assert np.isnan(Interactions.from_table(table).value).all()


def test_from_table_id_outside_a_given_vocabulary_is_dropped():
    table = event_table([("a", "x", 1), ("b", "x", 2), ("a", "y", 3)])

    found = Interactions.from_table(table, users=Vocabulary.of(["a", "z"]), items=Vocabulary.of(["x"]))

    assert (found.user_index.tolist(), found.item_index.tolist()) == ([0], [0])
    assert len(found.users) == 2


def test_from_table_of_no_row_is_empty():
    found = Interactions.from_table(event_table([]))

    assert len(found) == len(found.users) == len(found.items) == 0


events_of_few = st.tuples(
    st.sampled_from("ab"),
    st.sampled_from("xyz"),
    st.integers(0, 3),
    st.sampled_from([None, 1.0, 2.0]),
    st.sampled_from(["click", "rating"]),
)


@given(
    st.lists(events_of_few, max_size=12).flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows)))
)
def test_from_table_order_of_input_rows_does_not_matter(orders):
    one, other = (Interactions.from_table(event_table(order)) for order in orders)

    for column in ("user_index", "item_index", "timestamp_us", "value", "type_code"):
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))
    assert (np.diff(one.timestamp_us) >= 0).all()
