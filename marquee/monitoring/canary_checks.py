"""The guardrails of a canary: each is surely broken, surely kept, or not yet known."""

import math
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

from marquee.monitoring.canary_bounds import Interval, above, difference, quantile, share, total_variation
from marquee.monitoring.canary_config import CanaryConfig
from marquee.monitoring.canary_counts import Arm, Histogram

TAIL: Final = 0.01
"""Beyond the 99th percentile."""

Standing = Literal["broken", "kept", "unsure"]


class Check(NamedTuple):
    """One guardrail on one pair of arms."""

    name: str
    standing: Standing
    words: str
    """What was seen, and the bound."""


def checks(champion: Arm, canary: Arm, config: CanaryConfig) -> tuple[Check, ...]:
    """All guardrails that the counts allow, in a fixed order.

    A guardrail is broken when its bound at `fail_alpha` is beyond the limit, kept when its bound at
    `proof_alpha` is within. That all must be kept needs no correction for their number (intersection-union:
    Berger, Technometrics 1982).
    """
    return tuple(_each(champion, canary, config))


def critical(canary: Arm, config: CanaryConfig) -> str:
    """Why the canary must go at once, empty where it need not."""
    errors = share(canary.errors, canary.requests, alpha=config.fail_alpha)
    if errors.low <= config.critical_error_share:
        return ""
    return (
        f"error share {errors.estimate:.1%} of {canary.requests:.0f} requests,"
        f" surely over {config.critical_error_share:.0%}"
    )


def _each(champion: Arm, canary: Arm, config: CanaryConfig) -> Iterator[Check]:
    shares: tuple[tuple[str, Callable[[Arm], float], float], ...] = (
        ("error share", lambda arm: arm.errors, config.error_margin),
        ("empty share", lambda arm: arm.empty, config.empty_margin),
        ("degraded share", lambda arm: arm.degraded, config.degraded_margin),
    )
    for name, count, margin in shares:
        yield _share_check(name, champion, canary, count=count, margin=margin, config=config)
    yield _p99_check(champion.seconds, canary.seconds, config)
    if champion.scores is not None and canary.scores is not None:
        if champion.scores.bounds == canary.scores.bounds:
            counts = champion.scores.counts, canary.scores.counts
            yield _distance_check("score distance", *counts, limit=config.score_distance, config=config)
        else:
            yield Check("score distance", "unsure", "score distance: the arms have different buckets")
    if champion.sources is not None and canary.sources is not None:
        names = sorted({*champion.sources, *canary.sources})
        old = tuple(champion.sources.get(name, 0.0) for name in names)
        new = tuple(canary.sources.get(name, 0.0) for name in names)
        yield _distance_check("source distance", old, new, limit=config.source_distance, config=config)


def _share_check(
    name: str,
    champion: Arm,
    canary: Arm,
    *,
    count: Callable[[Arm], float],
    margin: float,
    config: CanaryConfig,
) -> Check:
    def between(alpha: float) -> Interval:
        new = share(count(canary), canary.requests, alpha=alpha)
        return difference(new, share(count(champion), champion.requests, alpha=alpha))

    sure, likely = between(config.fail_alpha), between(config.proof_alpha)
    words = (
        f"{name} {100 * sure.estimate:+.2f} pp against the champion's"
        f" [{100 * sure.low:+.2f}, {100 * likely.high:+.2f}], limit {100 * margin:+.2f}"
    )
    return Check(name, _standing(sure.low, likely.high, margin), words)


def _p99_check(champion: Histogram, canary: Histogram, config: CanaryConfig) -> Check:
    """Whether more than a hundredth of the canary's times are above the champion's p99 times the ratio.

    Each side gets half of the error. A time beyond the last bucket is known as that and no more, so nothing
    is proven of a champion whose p99 lies there.
    """
    sure = quantile(champion, 1 - TAIL, alpha=config.fail_alpha / 2)
    likely = quantile(champion, 1 - TAIL, alpha=config.proof_alpha / 2)
    ratio, n = config.p99_ratio, canary.total
    # Whatever lies beyond the last bound may lie above any value, or below it.
    surely_slow = above(canary, ratio * sure.high) if _is_within(ratio * sure.high, canary) else 0.0
    perhaps_slow = above(canary, ratio * likely.low)
    broken = share(surely_slow, n, alpha=config.fail_alpha / 2)
    kept = share(perhaps_slow, n, alpha=config.proof_alpha / 2)
    words = (
        f"p99 {_milliseconds(quantile(canary, 1 - TAIL, alpha=0.05).estimate)} against the champion's"
        f" {_milliseconds(sure.estimate)}: {kept.estimate:.2%} of {n:.0f} above {ratio:g} × that"
        f" [{broken.low:.2%}, {kept.high:.2%}], limit {TAIL:.0%}"
    )
    return Check("p99", _standing(broken.low, kept.high, TAIL), words)


def _distance_check(
    name: str, old: tuple[float, ...], new: tuple[float, ...], *, limit: float, config: CanaryConfig
) -> Check:
    sure = total_variation(old, new, alpha=config.fail_alpha)
    likely = total_variation(old, new, alpha=config.proof_alpha)
    words = f"{name} {sure.estimate:.2f} [{sure.low:.2f}, {likely.high:.2f}], limit {limit:.2f}"
    return Check(name, _standing(sure.low, likely.high, limit), words)


def _standing(surely_at_least: float, likely_at_most: float, limit: float) -> Standing:
    if surely_at_least > limit:
        return "broken"
    return "kept" if likely_at_most <= limit else "unsure"


def _is_within(value: float, histogram: Histogram) -> bool:
    return bool(histogram.bounds) and value <= histogram.bounds[-1]


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.1f} ms" if math.isfinite(seconds) else "beyond the buckets"
