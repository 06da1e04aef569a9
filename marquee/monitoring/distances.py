"""How far two samples lie apart.

Definitions are Evidently's where it has them, so that its report and our verdict show the same number:
Wasserstein, Jensen-Shannon, PSI of shares, Kolmogorov-Smirnov. We depart where its own mislead: PSI of
numbers takes the quantiles of the reference as bins (equal widths over both samples hide a shift behind one
outlier), and chi² compares two samples (the reference is no exact truth).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Numbers = NDArray[np.float64]

MIN_SCALE: Final = 1e-3
"""A reference that hardly varies is not divided by its deviation."""
EMPTY_BIN: Final = 1e-4
"""The share that an empty bin counts as; less where another share is smaller than that."""


def wasserstein(reference: Numbers, current: Numbers) -> float:
    """Mean distance that values must move, in standard deviations of the reference; NaN where one is empty.

    Source: Ramdas, García Trillos, Cuturi (2017), On Wasserstein two-sample testing; W1 over the
    population deviation, as Evidently norms it.
    """
    reference, current = _filled(reference), _filled(current)
    if not len(reference) or not len(current):
        return float("nan")
    return float(stats.wasserstein_distance(reference, current)) / max(float(reference.std()), MIN_SCALE)


def wasserstein_of_counts(support: Numbers, reference: Numbers, current: Numbers) -> float:
    """`wasserstein` of two samples that are given as counts over the same ascending values.

    Args:
        support: `(n_values,)`.
        reference: `(n_values,)` how often each occurs.
        current: likewise.
    """
    if not reference.sum() or not current.sum():
        return float("nan")
    p, q = reference / reference.sum(), current / current.sum()
    moved = float(np.abs(np.cumsum(p - q)[:-1]) @ np.diff(support))
    mean = float(p @ support)
    return moved / max(float(np.sqrt(p @ (support - mean) ** 2)), MIN_SCALE)


def jensen_shannon(reference: Numbers, current: Numbers) -> float:
    """Distance between two distributions, 0 to √ln 2: the root of the divergence in nats.

    Args:
        reference: counts or shares of the same categories, in the same order.
        current: likewise.

    Source: Endres, Schindelin (2003), A new metric for probability distributions.
    """
    if not reference.sum() or not current.sum():
        return float("nan")
    p, q = reference / reference.sum(), current / current.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(each > 0, each * np.log(each / middle), 0.0) for each in (p, q)]
    return float(np.sqrt(max(sum(part.sum() for part in parts) / 2, 0.0)))


def psi(reference: Numbers, current: Numbers) -> float:
    """Population stability index of two distributions over the same bins: Σ (q − p) ln(q / p).

    Args:
        reference: counts or shares.
        current: likewise.

    Source: Siddiqi (2006), Credit risk scorecards; also Jeffreys' divergence (1946).
    """
    if not reference.sum() or not current.sum():
        return float("nan")
    p, q = (_without_zeros(each / each.sum()) for each in (reference, current))
    return float(((q - p) * np.log(q / p)).sum())


def psi_of_numbers(reference: Numbers, current: Numbers, *, bins: int = 10) -> float:
    """`psi` over bins between the quantiles of the reference; a value beyond them is in the outer bin."""
    reference, current = _filled(reference), _filled(current)
    if not len(reference) or not len(current):
        return float("nan")
    inner = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    if inner[0] == reference.min():  # a tenth or more share it: whoever is below is not one of them
        inner = np.concatenate([[np.nextafter(inner[0], -np.inf)], inner])
    counts = (
        np.bincount(np.searchsorted(inner, each), minlength=len(inner) + 1) for each in (reference, current)
    )
    p, q = (each.astype(np.float64) for each in counts)
    return psi(p, q)


def kolmogorov_smirnov(reference: Numbers, current: Numbers) -> float:
    """The two-sample test's p-value. Source: Hodges (1958); scipy's, exact for small samples."""
    return float(stats.ks_2samp(_filled(reference), _filled(current)).pvalue)


def chi_square(reference: Numbers, current: Numbers) -> float:
    """The p-value of homogeneity of two rows of counts; categories that neither has are left out.

    Source: Pearson (1900), with both samples as samples; Evidently takes the reference for exact, which
    at α = .05 finds a difference between 31 % of pairs of equal samples of 3,000.
    """
    table = np.stack([reference, current])[:, (reference + current) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return float("nan")
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def welch_t(reference: Numbers, current: Numbers) -> float:
    """By how many standard errors the reference's mean lies above the current one; NaN with fewer than two.

    Source: Welch (1947), The generalization of Student's problem.
    """
    reference, current = _filled(reference), _filled(current)
    if len(reference) < 2 or len(current) < 2:
        return float("nan")
    variance = reference.var(ddof=1) / len(reference) + current.var(ddof=1) / len(current)
    difference = float(reference.mean() - current.mean())
    if variance > 0:
        return difference / float(np.sqrt(variance))
    return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))


def _filled(values: Numbers) -> Numbers:
    return values[np.isfinite(values)]


def _without_zeros(shares: Numbers) -> Numbers:
    least = float(shares[shares > 0].min())
    return np.where(shares > 0, shares, EMPTY_BIN if least > EMPTY_BIN else least / 1e6)
