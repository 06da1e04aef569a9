"""How sure a difference between two arms is: one-sided bounds that hold for small samples, too.

Shares have exact binomial limits, so that three errors of three requests are not yet a rate; their
difference has limits by the square-and-add method. All bounds are for a single look.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import bdtr, betaincinv

from marquee.monitoring.canary_counts import Histogram


class Interval(NamedTuple):
    """An estimate between its one-sided bounds."""

    low: float
    estimate: float
    high: float


def share(count: float, of: float, *, alpha: float) -> Interval:
    """A binomial share, each bound wrong with a probability of at most `alpha`.

    Source: Clopper & Pearson, Biometrika 1934. Without requests nothing is known: 0 to 1.
    """
    if of <= 0:
        return Interval(0.0, 0.0, 1.0)
    count = min(count, of)
    low = float(betaincinv(count, of - count + 1, alpha)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, of - count, 1 - alpha)) if count < of else 1.0
    return Interval(low, count / of, high)


def difference(one: Interval, other: Interval) -> Interval:
    """One share less another, from the limits of each.

    Source: Newcombe, Statistics in Medicine 1998, method 10; Zou & Donner, ibid. 2008, with limits of any
    kind. Ours are exact ones, so that the result errs on the wide side.
    """
    estimate = one.estimate - other.estimate
    below = math.hypot(one.estimate - one.low, other.high - other.estimate)
    above = math.hypot(one.high - one.estimate, other.estimate - other.low)
    return Interval(estimate - below, estimate, estimate + above)


def above(histogram: Histogram, value: float) -> float:
    """How many are above a value; inside a bucket the tail falls as a power of the value.

    Buckets are wide where latencies are rare. A straight line through such a bucket puts too much into its
    upper part; a Pareto tail through both ends does not. Beyond the last bound all that is there counts.
    """
    tail = histogram.total
    low = 0.0
    for high, count in zip(histogram.bounds, histogram.counts, strict=False):
        if value < high:
            return tail - count * _part_below(value, low, high, tail=tail, count=count)
        tail -= count
        low = high
    return histogram.counts[-1]


def value_above_which(histogram: Histogram, count: float) -> float:
    """The value that so many are above of, the inverse of `above`; infinite beyond the last bound."""
    tail = histogram.total
    low = 0.0
    for high, inside in zip(histogram.bounds, histogram.counts, strict=False):
        if tail - inside <= count < tail:
            rest = max(tail - inside, _REST)
            if low <= 0 or rest >= tail:
                return low + (high - low) * (tail - count) / inside
            return low * math.pow(high / low, math.log(tail / max(count, rest)) / math.log(tail / rest))
        tail -= inside
        low = high
    return math.inf if count < tail else 0.0


_REST = 0.5
"""Of an empty rest of a tail, so that a power can lead there."""


def _part_below(value: float, low: float, high: float, *, tail: float, count: float) -> float:
    """Of a bucket's count, what is below a value in it."""
    if count <= 0 or value <= low:
        return 0.0
    rest = max(tail - count, _REST)
    if low <= 0 or rest >= tail:
        return (value - low) / (high - low)
    left = tail * math.pow(rest / tail, math.log(value / low) / math.log(high / low))
    return min(1.0, (tail - left) / count)


def quantile(histogram: Histogram, level: float, *, alpha: float) -> Interval:
    """A quantile with distribution-free bounds from order statistics.

    Of n values, Binomial(n, 1 − level) many are above the true quantile: the value that an improbably large
    number is above of is below it, and the other way round.
    Source: David & Nagaraja, Order Statistics, 2003, section 7.1.
    """
    n = histogram.total
    if n <= 0:
        return Interval(0.0, math.inf, math.inf)
    tail = 1 - level
    few = _binomial_quantile(alpha, n, tail)
    many = _binomial_quantile(1 - alpha, n, tail) + 1
    return Interval(
        value_above_which(histogram, many) if many < n else 0.0,
        value_above_which(histogram, n * tail),
        value_above_which(histogram, few) if few > 0 else math.inf,
    )


def _binomial_quantile(probability: float, n: float, tail: float) -> int:
    """The smallest count with at least this probability not to be exceeded, less one for a lower bound."""
    trials, mean = round(n), n * tail
    reach = 10 * math.sqrt(mean) + 20  # nothing lies beyond
    low, high = max(-1, int(mean - reach)), min(trials, int(mean + reach))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bdtr(middle, trials, tail) < probability else (low, middle)
    return high if probability > 0.5 else high - 1


def total_variation(one: Sequence[float], other: Sequence[float], *, alpha: float) -> Interval:
    """Half the sum of differences of shares of the same categories: 0 is alike, 1 has nothing in common.

    One value more in an arm of n moves it by at most 1/n, so its distance from its mean is bounded for
    every sample size (McDiarmid, Surveys in Combinatorics 1989). Its mean lies between the true distance
    and that plus the noise of the categories (Jensen; Cauchy-Schwarz).
    """
    n_one, n_other = sum(one), sum(other)
    if n_one <= 0 or n_other <= 0:
        return Interval(0.0, 0.0, 1.0)
    distance = sum(abs(a / n_one - b / n_other) for a, b in zip(one, other, strict=True)) / 2
    noise = 1 / n_one + 1 / n_other
    reach = math.sqrt(math.log(1 / alpha) * noise / 2)
    bias = 0.5 * math.sqrt((len(one) - 1) * noise)
    return Interval(max(0.0, distance - bias - reach), distance, min(1.0, distance + reach))
