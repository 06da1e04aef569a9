"""What several seeds of a replay say together."""

from types import SimpleNamespace

import polars as pl
import pytest

from benchmarks.replay_real_weeks import DRIFT, POLICIES, SHOCKS, TIMER, Seeded, as_values, data_of, recipe
from marquee.replay.policies import policies_of


def seeded(seed: int, data: str, gains: list[float]) -> Seeded:
    """One window, in which person u0, u1, … gains so much by `drift` over the timer."""
    users = [f"u{number}" for number in range(len(gains))]
    walks = [
        SimpleNamespace(
            policy=name, steps=[],
            quality=pl.DataFrame(
                {"window": [1] * len(gains), "user_id": users, "ndcg": [0.5 + each for each in ndcg]}
            ),
        )
        for name, ndcg in (("never", [-0.1] * len(gains)), (TIMER, [0.0] * len(gains)), (DRIFT, gains))
    ]  # fmt: skip
    policies = [{"policy": name, "retrains": trained} for name, trained in ((TIMER, 13), (DRIFT, 6))]
    values = {"policies": policies, "differences": []}
    return Seeded(seed, data, (), SimpleNamespace(values=values, compute={"policies": {}}, walks=walks))


def test_seeds_of_one_data_set_are_of_the_same_people():
    found = as_values([seeded(1, "a", [0.1, -0.1]), seeded(2, "a", [0.3, 0.1])])

    timer, never = found["together"]
    assert timer["people"] == 2
    assert timer["ndcg"]["estimate"] == pytest.approx((0.1 - 0.1 + 0.3 + 0.1) / 4)
    # Drawn are two people with .4 and 0 in two windows each: the means are 0, .1 and .2.
    assert (timer["ndcg"]["low"], timer["ndcg"]["high"]) == (pytest.approx(0), pytest.approx(0.2))
    assert never["ndcg"]["estimate"] == pytest.approx(0.1 + 0.1)
    assert found["trained"] == {TIMER: 26, DRIFT: 12}


def test_seeds_with_data_of_their_own_are_of_other_people():
    assert as_values([seeded(1, "a", [0.1]), seeded(2, "b", [0.3])])["together"][0]["people"] == 2
    assert data_of("synthetic", 1) != data_of("synthetic", 2)
    assert data_of("ml-100k", 1) == data_of("ml-100k", 2)
    assert recipe("synthetic", 4).dataset.synthetic.seed == recipe("ml-100k", 4).seed == 4


def test_layouts_hold_each_shock_that_must_be_seen():
    kinds = {shock.split("@")[0] for layout in SHOCKS for shock in layout}

    assert {"genre_surge", "influx", "scale", "broken_model", "null_column"} <= kinds
    assert len(policies_of(POLICIES)) == len(POLICIES)
