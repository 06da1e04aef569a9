"""A bundle's lists in the middle of a window, on the data set that trains in a second."""

import numpy as np
import polars as pl
import pytest

from marquee.evaluation.ranking_metrics import ndcg
from marquee.evaluation.relevance import judge
from marquee.monitoring.window import NDCG
from marquee.packing import Model
from marquee.steps.drift_lists import AskedLists, ask_bundle
from marquee.steps.drift_windows import Events, Wanted, read_windows
from tests.small_run import Place


@pytest.fixture
def last_days(trained: Place) -> Events:
    """The last eighteen of a hundred days, of which the evaluated bundle knows the first eighty."""
    wanted = Wanted.of("18d", option="--current")
    return read_windows(None, wanted, trained.settings.warehouse(trained.storage))[1]


def asked(trained: Place, window: Events, kind: str = "evaluated") -> AskedLists | None:
    model = Model.read(trained.latest / kind)
    return ask_bundle(model, window, [(window.start_us, window.end_us)], seed=0)


def test_each_user_is_asked_once_within_the_window_and_gets_ten_places(trained: Place, last_days: Events):
    found = asked(trained, last_days)

    assert found is not None
    assert found.quality["user_id"].is_unique().all()
    times = found.quality["timestamp"].dt.epoch("us")
    assert times.is_between(last_days.start_us, last_days.end_us).all()
    places = found.shown.group_by("user_id").agg(pl.col("position").sort())["position"].to_list()
    assert places == [list(range(1, 11))] * len(found.quality)


def test_quality_is_that_of_what_the_user_went_on_to_choose(trained: Place, last_days: Events):
    found = asked(trained, last_days)
    assert found is not None
    values = dict(zip(found.quality["user_id"], found.quality[NDCG], strict=True))

    assert len(values) > 20
    assert 0 < float(np.mean(list(values.values()))) < 1
    later = last_days.events.join(found.quality.rename({"timestamp": "asked"}), on="user_id").filter(
        pl.col("timestamp") > pl.col("asked")
    )
    assert set(later["user_id"]) == set(values)  # somebody who chose nothing afterwards is not asked
    perfect = judge(np.array([[1, 2]], np.int32), _ragged([1, 2]))
    assert ndcg(perfect, 10)[0] == 1.0


def _ragged(*rows: list[int]):
    from marquee.data.interactions import Ragged

    return Ragged.of(rows)


def test_users_of_spans_that_the_bundle_learned_from_are_not_asked(trained: Place, last_days: Events):
    assert asked(trained, last_days, "bundle") is None
