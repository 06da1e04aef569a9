import polars as pl
import pytest

from marquee import schema
from marquee.data.datasets.raw import conform


def test_conform_of_a_narrow_table_fills_nulls_and_drops_the_unknown():
    table = conform(pl.DataFrame({"user_id": ["7"], "age": [24], "shoe_size": [41]}), name=schema.USERS)

    assert dict(table.schema) == schema.USERS_SCHEMA
    assert table.row(0) == ("7", 24, None, None, None, None)


def test_conform_of_a_value_that_does_not_fit_raises():
    with pytest.raises(pl.exceptions.InvalidOperationError):
        conform(pl.DataFrame({"user_id": ["7"], "age": ["old"]}), name=schema.USERS)
