import json

import numpy as np
import pytest

from marquee.evaluation.significance import BootstrapConfig, difference_interval, mean_interval
from marquee.evaluation.slice_models import slice_models
from marquee.evaluation.slices import Slicing

QUICK = BootstrapConfig(resamples=200)
GENDER = Slicing("gender", ("F", "M", "unknown"), np.array([0, 1, 0, 1, 1]))
VALUES = {
    "ours": np.array([0.5, 0.6, 0.7, 0.2, 0.4]),
    "popular": np.array([0.1, 0.6, 0.3, 0.4, 0.8]),
}


def rows():
    return slice_models(VALUES, GENDER, metric="ndcg@10", subject="ours", seed=4, config=QUICK)


def test_slice_models_gives_means_and_differences_of_each_part():
    women, men, _ = rows()

    assert (women.slice, women.n_queries, men.n_queries) == ("F", 2, 3)
    assert women.models["ours"].estimate == pytest.approx((0.5 + 0.7) / 2)
    assert men.models["popular"].estimate == pytest.approx((0.6 + 0.4 + 0.8) / 3)
    assert women.differences["popular"].estimate == pytest.approx((0.4 + 0.4) / 2)
    assert men.differences["popular"].estimate == pytest.approx((0.0 - 0.2 - 0.4) / 3)


def test_slice_models_intervals_are_those_of_the_part_alone():
    _, men, _ = rows()
    ours, popular = (VALUES[name][[1, 3, 4]] for name in ("ours", "popular"))

    assert men.models["ours"] == mean_interval(ours, seed=4, config=QUICK)
    assert men.differences["popular"] == difference_interval(ours, popular, seed=4, config=QUICK)


def test_slice_models_subject_is_not_compared_with_itself():
    assert list(rows()[0].differences) == ["popular"]


def test_slice_models_empty_slice_has_no_numbers_and_is_json_ready():
    assert json.loads(json.dumps(rows()[2].to_dict(), allow_nan=False)) == {
        "slicing": "gender", "slice": "unknown", "metric": "ndcg@10", "n_queries": 0,
        "models": {}, "differences": {},
    }  # fmt: skip


def test_slice_models_unknown_subject_is_refused():
    with pytest.raises(ValueError, match="'theirs'"):
        slice_models(VALUES, GENDER, metric="ndcg@10", subject="theirs", seed=0)


def test_slice_models_misaligned_slicing_is_refused_by_name():
    with pytest.raises(ValueError, match="gender covers 5 queries, the metric 2"):
        slice_models({"ours": np.zeros(2)}, GENDER, metric="ndcg@10", subject="ours", seed=0)
