"""What of a run somebody should look at, the severe first."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from marquee.evaluation.report.measured import Measured
from marquee.evaluation.report.pictures import decimal, interval

Severity = Literal["high", "moderate"]
FEW_QUERIES: Final = 100
"""Below this many queries intervals are so wide that little is decided."""

NEWCOMERS: Final = ("cold_users", "new_items")
"""Slicings whose people or movies no personal route knows yet: lists have to beat the popular one."""
POPULAR: Final = "popular"


@dataclass(frozen=True)
class Finding:
    """One thing to look at."""

    severity: Severity
    kind: str
    text: str


def findings(measured: Measured) -> list[Finding]:
    """All findings, the severe ones first."""
    found = [
        *_of_gate(measured),
        *_of_comparisons(measured),
        *_of_slices(measured),
        *_of_ranker(measured),
        *_of_data(measured),
    ]
    return sorted(found, key=lambda finding: finding.severity != "high")


def _of_gate(measured: Measured) -> Iterator[Finding]:
    for check in measured.gate.checks if measured.gate else ():
        if not check.passed:
            yield Finding("high", "gate", check.reason)


def _of_comparisons(measured: Measured) -> Iterator[Finding]:
    """References that the model doesn't surely beat by the headline."""
    for reference, by_label in measured.comparisons.get(measured.subject, {}).items():
        compared = by_label.get(measured.metric)
        if compared is None or compared.difference.low is None or compared.difference.low > 0:
            continue
        words = (
            f"{decimal(compared.difference.estimate, sign=True)} ({interval(compared.difference, sign=True)})"
        )
        text = f"{measured.subject} minus {reference}, {measured.metric}: {words}."
        is_worse = compared.difference.high is not None and compared.difference.high < 0
        yield Finding("high" if is_worse else "moderate", "worse" if is_worse else "undecided", text)


def _of_slices(measured: Measured) -> Iterator[Finding]:
    """Slices that a baseline surely serves better, and newcomers who are not surely served better."""
    for row in measured.slices:
        for reference, difference in row.differences.items():
            if difference.high is not None and difference.high < 0:
                yield Finding(
                    "high",
                    "slice",
                    f"{row.slicing.replace('_', ' ')} {row.slice}: {reference} is better by {row.metric},"
                    f" {decimal(difference.estimate, sign=True)} ({interval(difference, sign=True)})"
                    f" over {row.n_queries:,} queries.",
                )
            elif row.slicing in NEWCOMERS and reference == POPULAR and not difference.is_sure:
                words = f"{decimal(difference.estimate, sign=True)} ({interval(difference, sign=True)})"
                where = f"{row.slicing.replace('_', ' ')}, {row.slice}"
                text = f"{where}: no better than {reference} by {row.metric}, {words}."
                yield Finding("moderate", "newcomers", text)


def _of_ranker(measured: Measured) -> Iterator[Finding]:
    """Bins of higher scores that were surely consumed less."""
    bins = measured.ranker.reliability if measured.ranker else ()
    for number, (lower, higher) in enumerate(pairwise(bins), start=1):
        low, high = lower.rate.low, higher.rate.high
        if low is not None and high is not None and high < low:
            yield Finding(
                "moderate",
                "calibration",
                f"Candidates of score bin {number + 1} were consumed less than those of bin {number}.",
            )


def _of_data(measured: Measured) -> Iterator[Finding]:
    if measured.n_queries is not None and measured.n_queries < FEW_QUERIES:
        yield Finding("moderate", "few queries", f"{measured.n_queries} queries: little is decided by them.")
    for note in measured.notes:
        if "hindsight" in note:
            yield Finding("moderate", "hindsight", note)
