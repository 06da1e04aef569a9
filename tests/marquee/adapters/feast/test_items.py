"""What the item matrix holds is what the feature store says of each movie at that moment."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from marquee import schema
from marquee.adapters.feast import item_rows
from marquee.errors import FeatureStoreError
from marquee.features.item_matrix import SERVICE, export_item_matrix, item_columns, item_views
from tests.marquee.adapters.feast.place import REPO, at, build, door

VIEWS = item_views(SERVICE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    """Built and applied; movie c has events at day 12 and no profile, b a profile without a year."""
    root = tmp_path_factory.mktemp("items")
    build(root)
    made = door(root)
    made.apply(made.declarations(REPO))
    return made


@pytest.mark.parametrize("days", [5, 14, 20, 40])  # day 20 is the limit of the last statistics
def test_matrix_equals_history_of_every_movie_with_nan_for_null(store, tmp_path: Path, days: float):
    moment, columns = at(days), item_columns(SERVICE)
    made = export_item_matrix(
        item_rows(store, SERVICE, VIEWS, at=moment), tmp_path, as_of=moment, now=datetime.now(UTC)
    )

    for index, item in enumerate(made.items.ids):
        labels = pl.DataFrame({schema.ITEM_ID: [item], schema.EVENT_TIMESTAMP: [moment]})
        row = store.historical(SERVICE, labels, views=VIEWS).row(0, named=True)
        wanted = [np.nan if row[name] is None else row[name] for name in columns]
        np.testing.assert_array_equal(made.matrix[index], np.array(wanted, np.float32))
    assert made.items.ids.to_list() == (["a", "b", "c"] if days in {14, 20} else ["a", "b"])
    assert np.isnan(made.lookup(["b"])[0, columns.index("movie_year")])
    assert made.lookup(["a"])[0, columns.index("movie_year")] == 1969
    events = made.lookup(["a"])[0, columns.index(schema.ITEM_EVENTS_ALL)]
    assert np.isnan(events) if days == 40 else events == 2


def test_item_rows_before_any_movie_is_known_are_refused(store):
    with pytest.raises(FeatureStoreError, match="nothing is known of any movie at 1969-12-31"):
        item_rows(store, SERVICE, VIEWS, at=at(-1))
