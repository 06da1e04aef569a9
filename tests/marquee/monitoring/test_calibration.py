"""What simulated windows say of all kinds together, against windows drawn from the world itself."""

import numpy as np
import pytest

from marquee.monitoring.calibration import Null, fit_null
from marquee.monitoring.omnibus import OMNIBUS, together
from marquee.monitoring.signals import QUALITY, SIGNALS, SURPRISE, Measured

N, POOL, WINDOWS = 60, 350, 25
EVERY = np.full(len(SIGNALS), True)


def world(n_units: int, rng: np.random.Generator) -> np.ndarray:
    """`(n_units, 15)` values of units: whoever is high in one signal is rather high in all."""
    return 0.7 * rng.normal(size=(n_units, 1)) + 0.7 * rng.normal(size=(n_units, len(SIGNALS)))


def measured(values: np.ndarray) -> Measured:
    """Statistics that are means of the units: raw, so that their logs are the means."""

    def mean(place: int, name: str):
        column = values[:, place]
        return lambda rows: column[rows].mean() if name == QUALITY else np.exp(column[rows].mean())

    return Measured(len(values), {name: mean(place, name) for place, name in enumerate(SIGNALS)})


def omnibus(null: Null, statistics: np.ndarray) -> float:
    usual, deviation = null.omnibus(EVERY)
    return (together(null.z(statistics)[None])[0] - usual) / deviation


def test_simulated_windows_have_mean_0_and_deviation_1():
    null = fit_null(measured(world(POOL, np.random.default_rng(1))), N, rng=np.random.default_rng(2))

    assert null.draws.shape == (60, len(SIGNALS))
    assert null.draws.mean(axis=0) == pytest.approx(np.zeros(len(SIGNALS)), abs=1e-9)
    assert null.draws.std(axis=0, ddof=1) == pytest.approx(np.ones(len(SIGNALS)))
    sums = together(null.draws)
    assert null.omnibus(EVERY) == pytest.approx((sums.mean(), sums.std(ddof=1)))


def test_ordinary_windows_are_as_usual_all_kinds_together():
    rng = np.random.default_rng(3)
    z = []
    for _ in range(40):  # a pool is somewhat off, and stays so: only many of them show what is usual
        null = fit_null(measured(world(POOL, rng)), N, rng=rng)
        z += [omnibus(null, measured(world(N, rng)).statistics(np.arange(N))) for _ in range(WINDOWS)]

    assert np.mean(z) == pytest.approx(0.0, abs=0.15)
    assert np.std(z) == pytest.approx(1.0, abs=0.15)
    assert np.mean(np.array(z) > 3.5) <= 0.01


def test_kinds_that_depend_on_each_other_are_calibrated_as_such():
    """Of independent kinds the sum would vary much less, and ordinary windows would be alarms."""
    null = fit_null(measured(world(POOL, np.random.default_rng(4))), N, rng=np.random.default_rng(5))
    shuffled = np.random.default_rng(6).permuted(null.draws, axis=0)

    assert null.omnibus(EVERY)[1] > 1.3 * together(shuffled).std(ddof=1)


def test_what_a_window_lacks_is_not_counted_in_the_simulated_ones():
    null = fit_null(measured(world(POOL, np.random.default_rng(7))), N, rng=np.random.default_rng(8))
    only = np.array([name == QUALITY for name in SIGNALS])

    usual, deviation = null.omnibus(only)

    alone = np.clip(null.draws[:, list(SIGNALS).index(QUALITY)], 0, 4)
    assert (usual, deviation) == pytest.approx((alone.mean(), alone.std(ddof=1)))
    assert usual < null.omnibus(EVERY)[0] / 3


def test_nothing_measured_has_no_usual():
    null = fit_null(measured(world(POOL, np.random.default_rng(9))), N, rng=np.random.default_rng(10))

    assert np.isnan(null.omnibus(~EVERY)).all()
    assert np.isnan(Null(np.zeros(15), np.ones(15), N, POOL).omnibus(EVERY)).all()  # nothing was simulated


def test_surges_of_one_item_alone_have_a_deviation_to_be_divided_by():
    null = fit_null(measured(world(POOL, np.random.default_rng(11))), N, rng=np.random.default_rng(12))

    usual, deviation = null.omnibus(np.array([name == SURPRISE for name in SIGNALS]))

    assert usual == 0
    assert deviation > 0
    assert OMNIBUS not in SIGNALS
