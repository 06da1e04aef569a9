import json

import numpy as np
import pytest

from marquee.data.interactions import Ragged
from marquee.evaluation.significance import BootstrapConfig, mean_interval
from marquee.evaluation.slices import (
    Slicing,
    by_age_band,
    by_gender,
    by_history_length,
    by_new_item_share,
    slice_table,
)

QUICK = BootstrapConfig(resamples=200)


def labels_of(slicing: Slicing) -> list[str]:
    return [slicing.labels[code] for code in slicing.codes]


def test_history_length_boundaries_fall_where_the_labels_say():
    slicing = by_history_length(np.array([0, 1, 4, 5, 19, 20, 49, 50, 700]))

    assert labels_of(slicing) == ["0", "1-4", "1-4", "5-19", "5-19", "20-49", "20-49", "50+", "50+"]


def test_age_band_boundaries_fall_where_the_labels_say_and_nan_is_unknown():
    slicing = by_age_band(np.array([7, 17, 18, 24, 25, 54, 55, 99, np.nan]))

    assert labels_of(slicing) == [
        "under 18", "under 18", "18-24", "18-24", "25-34", "45-54", "55+", "55+", "unknown",
    ]  # fmt: skip


def test_gender_is_as_written_and_none_is_unknown():
    slicing = by_gender(["M", None, "F", "unknown"])

    assert slicing.labels == ("F", "M", "unknown")
    assert labels_of(slicing) == ["M", "unknown", "F", "unknown"]


def test_new_item_share_counts_targets_without_a_past():
    is_new = np.array([True, False, False, True])

    slicing = by_new_item_share(Ragged.of([[1, 2], [0, 1, 2], [0, 1], [3]]), is_new)

    assert labels_of(slicing) == ["none", "below half", "half or more", "half or more"]


def test_slice_table_gives_mean_and_interval_of_each_part():
    slicing = Slicing("gender", ("F", "M"), np.array([0, 1, 0, 1, 1]))
    ndcg = np.array([0.1, 0.5, 0.3, 0.7, 0.9])

    women, men = slice_table({"ndcg@12": ndcg}, [slicing], seed=4, config=QUICK)

    assert (women.slice, women.n_queries, women.mean) == ("F", 2, pytest.approx((0.1 + 0.3) / 2))
    assert (men.slice, men.n_queries, men.mean) == ("M", 3, pytest.approx((0.5 + 0.7 + 0.9) / 3))
    alone = mean_interval(np.array([0.1, 0.3]), seed=4, config=QUICK)
    assert (women.low, women.high) == (alone.low, alone.high)


def test_slice_table_of_two_slicings_and_metrics_counts_every_query_once_in_each():
    values = {"ndcg@12": np.linspace(0, 1, 6), "recall@12": np.linspace(1, 0, 6)}
    slicings = [by_history_length(np.arange(0, 60, 10)), by_gender(["M", "F", None, "M", "M", "F"])]

    rows = slice_table(values, slicings, seed=0, config=QUICK)

    for slicing in slicings:
        for metric in values:
            counted = [row.n_queries for row in rows if (row.slicing, row.metric) == (slicing.name, metric)]
            assert sum(counted) == 6


def test_slice_table_empty_slice_has_no_numbers_and_is_json_ready():
    slicing = Slicing("gender", ("F", "M"), np.array([1, 1]))

    empty, _ = slice_table({"ndcg@12": np.array([0.1, 0.5])}, [slicing], seed=0, config=QUICK)

    assert json.loads(json.dumps(empty.to_dict(), allow_nan=False)) == {
        "slicing": "gender", "slice": "F", "metric": "ndcg@12",
        "n_queries": 0, "mean": None, "low": None, "high": None,
    }  # fmt: skip


def test_slice_table_misaligned_slicing_is_refused_by_name():
    with pytest.raises(ValueError, match="gender covers 3 queries, the metrics 2"):
        slice_table({"ndcg@12": np.zeros(2)}, [by_gender(["M", "F", "F"])], seed=0)
