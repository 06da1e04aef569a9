"""Planned looks: against published bounds, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from marquee.experiments.spending import alpha_spent, crossing_bounds, planned_bounds


def test_all_of_alpha_is_spent_at_the_end_and_next_to_nothing_at_the_start():
    assert alpha_spent(1.0) == pytest.approx(0.05)
    # 2 - 2·Φ(1.96 / √.25) = 2 - 2·Φ(3.92)
    assert alpha_spent(0.25) == pytest.approx(2 * stats.norm.sf(3.919928))


def test_single_look_is_the_fixed_test():
    assert planned_bounds([1.0]) == pytest.approx([1.959964])


def test_bounds_of_five_looks_are_the_published_ones():
    fractions = np.arange(1, 6) / 5
    # The programs of Lan and DeMets spend .025 on each side by the same rule: Reboussin et al. (2000).
    one_side = [2 * stats.norm.sf(stats.norm.isf(0.0125) / np.sqrt(share)) for share in fractions]

    found = crossing_bounds(fractions.tolist(), [2 * spent for spent in one_side])

    assert found == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-3)


def test_fourteen_looks_spend_alpha_and_no_more():
    fractions = np.arange(1, 15) / 14
    bounds = planned_bounds(fractions.tolist())
    paths = np.random.default_rng(4).normal(size=(60_000, 14)).cumsum(axis=1) / np.sqrt(np.arange(1, 15))

    assert (np.diff(bounds[1:]) < 0).all()
    assert bounds[-1] == pytest.approx(2.14, abs=0.02)
    assert (np.abs(paths) > bounds).any(axis=1).mean() == pytest.approx(0.05, abs=0.003)


@pytest.mark.parametrize("fractions", [[], [0.5, 0.5], [0.5, 0.4], [0.0, 1.0], [0.5, 1.1]])
def test_plan_that_does_not_rise_is_refused(fractions):
    with pytest.raises(ValueError, match="plan"):
        planned_bounds(fractions)
