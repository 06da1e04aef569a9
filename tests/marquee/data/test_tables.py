from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from marquee import schema
from marquee.data.tables import TABLE_KEYS, conform
from marquee.errors import ContractError


def test_table_gets_all_columns_dtypes_and_the_order_of_its_key():
    table = conform(schema.USERS, pl.DataFrame({"age": [30, 40], "user_id": ["b", "a"]}))

    assert dict(table.schema) == schema.USERS_SCHEMA
    assert table.select("user_id", "age", "gender").rows() == [("a", 40, None), ("b", 30, None)]


def test_table_without_rows_or_with_every_dtype_conforms():
    for name in TABLE_KEYS:
        empty = pl.DataFrame(schema=schema.TABLE_SCHEMAS[name])
        assert conform(name, empty).equals(empty)


def test_publicity_of_one_movie_at_two_times_is_no_repetition():
    at = [datetime(2024, 1, day, tzinfo=UTC) for day in (2, 1)]

    table = conform(schema.PUBLICITY, pl.DataFrame({"item_id": ["1", "1"], "observed_at": at, "source": "s"}))

    assert table["observed_at"].to_list() == at[::-1]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"user_id": ["a"], "height": [180]}, ("height", "maturity_limit")),
        ({"user_id": ["a"], "age": ["old"]}, ("'age'", "old")),
        ({"user_id": ["a"], "age": [70_000]}, ("'age'", "70000")),
        ({"user_id": ["a", None]}, ("user_id", "null", "1 rows")),
        ({"age": [3]}, ("user_id", "null")),
        ({"user_id": ["a", "b", "b"]}, ("user_id b", "twice")),
    ],
)
def test_table_that_breaks_its_schema_is_refused_by_column_and_value(
    columns: dict[str, Any], words: tuple[str, ...]
):
    with pytest.raises(ContractError) as caught:
        conform(schema.USERS, pl.DataFrame(columns))

    assert [word for word in words if word not in caught.value.problem] == []
