"""What the draws are like in large numbers. The users are fixed, so each p-value is always the same."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from scipy import stats

from marquee.experiments.assignment import assign
from marquee.experiments.config import ExperimentsConfig

UNLIKELY = 1e-4
"""A fair draw has a smaller p-value once in ten thousand."""

IDS: dict[str, Callable[[int], str]] = {
    "numbers": str,
    "padded": "u_{:09d}".format,
    "uuids": lambda number: str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)),
    "emails": "person{}@example.com".format,
}


def users(n: int, kind: str = "numbers") -> list[str]:
    return [IDS[kind](number) for number in range(1, n + 1)]


def experiment(name: str = "one", *weights: float, **values: Any) -> dict[str, Any]:
    """An experiment with variants v0, v1, … of these weights; two equal ones by default."""
    variants = [{"name": f"v{number}", "weight": weight} for number, weight in enumerate(weights or (1, 1))]
    return {"name": name, "variants": variants} | values


def config(*experiments: dict[str, Any]) -> ExperimentsConfig:
    return ExperimentsConfig.model_validate({"experiments": experiments})


def drawn(whom: Sequence[str], one: dict[str, Any]) -> list[str]:
    """The variant of each user, "" for those outside."""
    alone = config(one)
    return [found[0].variant if (found := assign(user, alone)) else "" for user in whom]


def fit(variants: Sequence[str], shares: dict[str, float]) -> float:
    """The p-value of Pearson's chi-square that the variants come in these shares."""
    counts = Counter(variants)
    assert counts.keys() <= shares.keys()
    expected = [share * len(variants) for share in shares.values()]
    return float(stats.chisquare([counts[name] for name in shares], expected).pvalue)


def independence(left: Sequence[Any], right: Sequence[Any]) -> float:
    """The p-value of the chi-square that two marks of the same users have nothing to do with each other."""
    table = stats.contingency.crosstab(left, right).count
    assert min(table.shape) > 1
    return float(stats.chi2_contingency(table).pvalue)


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("salt", ["one", "2026-11", "fresh-ranker"])
def test_variants_of_equal_weight_are_equally_frequent(kind: str, salt: str):
    shares = {"v0": 1 / 3, "v1": 1 / 3, "v2": 1 / 3}

    assert fit(drawn(users(10_000, kind), experiment("one", 1, 1, 1, salt=salt)), shares) > UNLIKELY


@pytest.mark.parametrize(
    "weights", [(1, 1), (99, 1), (999, 1), (5, 3, 2), (0.25, 0.125, 0.625), (60, 30, 9, 1)], ids=str
)
def test_variants_of_a_hundred_thousand_users_come_in_the_shares_of_their_weights(weights: tuple[float, ...]):
    shares = {f"v{number}": weight / sum(weights) for number, weight in enumerate(weights)}

    assert fit(drawn(users(100_000), experiment("one", *weights)), shares) > UNLIKELY


@pytest.mark.parametrize(("first", "traffic"), [(0, 0.001), (0, 0.01), (0.25, 0.3), (0.999, 0.001)])
def test_traffic_takes_its_share_of_the_users(first: float, traffic: float):
    variants = drawn(users(50_000), experiment(first=first, traffic=traffic))
    inside = sum(bool(variant) for variant in variants)

    assert stats.binomtest(inside, 50_000, traffic).pvalue > UNLIKELY


@pytest.mark.parametrize("kind", IDS)
def test_users_lie_evenly_in_a_layer(kind: str):
    one = config(experiment())
    buckets = [assign(user, one)[0].bucket for user in users(30_000, kind)]

    assert 0 <= min(buckets) < max(buckets) < 10_000
    assert stats.chisquare(np.bincount(np.array(buckets) // 100, minlength=100)).pvalue > UNLIKELY


def test_place_in_the_layer_says_nothing_about_the_variant():
    one = config(experiment())
    found = [assign(user, one)[0] for user in users(50_000)]

    p = independence([each.bucket // 500 for each in found], [each.variant for each in found])

    assert p > UNLIKELY


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (experiment("exp-1"), experiment("exp-2")),
        (experiment("exp-1", 9, 1), experiment("exp-2", 1, 1, 1)),
        # Without their lengths in the hash, "x" "yv0" and "xy" "v0" would be one draw.
        (
            experiment("x") | {"variants": [{"name": "yv0"}, {"name": "yv1"}]},
            experiment("xy"),
        ),
    ],
)
def test_two_experiments_are_independent(left: dict[str, Any], right: dict[str, Any]):
    whom = users(50_000)

    assert independence(drawn(whom, left), drawn(whom, right)) > UNLIKELY


def test_two_layers_are_independent():
    whom = users(50_000)
    left = drawn(whom, experiment(traffic=0.5))
    right = drawn(whom, experiment(traffic=0.5, layer="page"))

    assert independence([bool(each) for each in left], [bool(each) for each in right]) > UNLIKELY


def test_same_experiment_under_another_salt_is_dealt_independently():
    whom = users(50_000)

    assert independence(drawn(whom, experiment()), drawn(whom, experiment(salt="again"))) > UNLIKELY


def test_order_and_digits_of_numbered_users_say_nothing():
    whom = users(100_000)
    variants = drawn(whom, experiment())
    is_first = [variant == "v0" for variant in variants]

    assert stats.pearsonr(range(len(whom)), is_first).pvalue > UNLIKELY
    assert independence([user[-1] for user in whom], variants) > UNLIKELY
    assert independence([len(user) for user in whom], variants) > UNLIKELY
    assert independence(*zip(*pairwise(variants), strict=True)) > UNLIKELY  # neighbours


def test_p_values_of_a_thousand_salts_are_uniform():
    whom = users(500)
    shares = {"v0": 1 / 3, "v1": 1 / 3, "v2": 1 / 3}
    p_values = [
        fit(drawn(whom, experiment("one", 1, 1, 1, salt=f"salt {number}")), shares) for number in range(1_000)
    ]

    assert stats.kstest(p_values, "uniform").pvalue > UNLIKELY


@pytest.mark.parametrize(
    ("before", "after", "moved", "receiving"),
    [
        ((1, 1), (3, 1), 3 / 4 - 1 / 2, "v0"),  # into the one that gained
        ((1, 1), (1, 1, 1), 1 / 3, "v2"),  # into the new one
        ((5, 3, 2), (5, 3, 8), 8 / 16 - 2 / 10, "v2"),
        ((99, 1), (9, 1), 1 / 10 - 1 / 100, "v1"),
    ],
)
def test_weight_that_is_raised_moves_just_the_gained_share_into_its_variant(
    before: tuple[float, ...], after: tuple[float, ...], moved: float, receiving: str
):
    whom = users(30_000)
    pairs = zip(drawn(whom, experiment("one", *before)), drawn(whom, experiment("one", *after)), strict=True)
    targets = [new for old, new in pairs if new != old]

    assert set(targets) == {receiving}
    assert stats.binomtest(len(targets), len(whom), moved).pvalue > UNLIKELY


def test_variant_that_is_removed_moves_its_own_users_alone_and_evenly():
    whom = users(30_000)
    three, two = drawn(whom, experiment("one", 1, 1, 1)), drawn(whom, experiment("one", 1, 1))
    moved = [(old, new) for old, new in zip(three, two, strict=True) if new != old]

    assert {old for old, _ in moved} == {"v2"}
    assert fit([new for _, new in moved], {"v0": 1 / 2, "v1": 1 / 2}) > UNLIKELY


def test_weights_in_another_unit_move_nobody():
    whom = users(10_000)

    assert drawn(whom, experiment("one", 1, 3)) == drawn(whom, experiment("one", 25, 75))


def test_a_fit_of_wrong_shares_is_found_unlikely():
    """The yardstick itself: half a percent too many of 100,000 does not pass."""
    variants = drawn(users(100_000), experiment("one", 51, 49))

    assert fit(variants, {"v0": 0.5, "v1": 0.5}) < UNLIKELY
