"""Feast's Spark engine: its answers are given back in our order and types; a real one equals ours."""

from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.adapters.feast.spark import _PLACE, aligned
from tests.marquee.adapters.feast.place import REPO, at, build, door, same

LABELS = pl.DataFrame({"user_id": ["b", "a", None], "label": [1, 2, 3]})
FEATURES = [
    (schema.USER_ACTIVITY_VIEW, ":", schema.USER_EVENTS_ALL),
    (schema.USER_ACTIVITY_VIEW, ":", schema.USER_HISTORY_VALUES),
]


def test_answer_in_another_order_and_type_is_put_right():
    answer = pl.DataFrame(
        {
            "user_id": [None, "b", "a"],
            _PLACE: [2, 0, 1],
            schema.USER_HISTORY_VALUES: [None, [4.0, None], [1.0]],
            schema.USER_EVENTS_ALL: [None, 2.0, 1.0],
        }
    )

    found = aligned(LABELS, answer, FEATURES)

    assert found.columns == ["user_id", "label", schema.USER_EVENTS_ALL, schema.USER_HISTORY_VALUES]
    assert found.select(LABELS.columns).equals(LABELS)
    assert found[schema.USER_EVENTS_ALL].dtype == pl.Int64
    assert found[schema.USER_EVENTS_ALL].to_list() == [2, 1, None]
    assert same(found[schema.USER_HISTORY_VALUES].to_list(), [[4.0, float("nan")], [1.0], None])


def test_answer_that_lost_a_row_keeps_its_own_length():
    answer = pl.DataFrame(
        {
            "user_id": ["b", "a"],
            "label": [1, 2],
            _PLACE: [0, 1],
            schema.USER_HISTORY_VALUES: [[4.0], [1.0]],
            schema.USER_EVENTS_ALL: [2, 1],
        }
    )

    assert len(aligned(LABELS, answer, FEATURES)) == 2


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pyspark") is None, reason="feast[spark] is not installed")
@pytest.mark.filterwarnings("default")
def test_rows_of_a_real_spark_engine_equal_ours(tmp_path: Path):
    build(tmp_path)
    ours = door(tmp_path)
    ours.apply(ours.declarations(REPO))
    spark = door(
        tmp_path,
        "spark",
        FEAST_PROJECT="marquee",
        FEAST_REGISTRY_URL=f"sqlite:///{tmp_path}/spark.db",
        MARQUEE_STATE_URL=str(tmp_path / "current"),
        REDIS_ADDRESS="127.0.0.1:1",  # offline rows need no online store
        SPARK_MASTER="local[1]",
    )
    spark.apply(spark.declarations(REPO))
    labels = pl.DataFrame(
        {
            "label": range(6),
            "user_id": ["u1", "u0", None, "u0", "u0", "nobody"],
            "item_id": ["a", "a", "b", "c", "a", None],
            schema.EVENT_TIMESTAMP: [at(20), at(0.5), at(5), at(5), at(1), at(5)],
        }
    )

    wanted = ours.historical("ranking_v1", labels)
    found = spark.historical("ranking_v1", labels)

    assert found.columns == wanted.columns
    differing = [name for name in wanted.columns if not same(found[name].to_list(), wanted[name].to_list())]
    assert differing == []
