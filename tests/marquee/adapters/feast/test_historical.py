"""An engine that loses or moves label rows is refused (test_door.py asks ours for rows)."""

import polars as pl
import pytest

from marquee.adapters.feast.historical import require_same_rows
from marquee.errors import FeatureStoreError

LABELS = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", None]})


def test_same_rows_pass_whatever_else_they_carry():
    require_same_rows(LABELS, LABELS.with_columns(extra=1))


def test_lost_rows_are_refused_with_both_numbers():
    with pytest.raises(FeatureStoreError, match="2 label rows came back as 1"):
        require_same_rows(LABELS, LABELS[:1])


@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_moved_rows_are_refused_with_the_column(column: str):
    with pytest.raises(FeatureStoreError, match=rf"another order \(column {column}\)"):
        require_same_rows(LABELS, LABELS.with_columns(pl.col(column).reverse()))
