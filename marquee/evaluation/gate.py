"""The promotion gate: may this challenger replace the champion?

It passes only where every check passes:

1. inputs: all results are on the same queries, finite, within [0, 1], and enough of them;
2. champion: the paired interval of challenger - champion starts above -tolerance (not worse), and no
   guardrail slice that has enough queries loses more than the allowed share of the champion's mean;
3. best single route, at each cut: the mean difference is above 0 (a second stage has to earn its
   keep) and the paired interval starts above -tolerance of that cut (the gain is not an accident).
   Where the champion fails in service, by labels that came in since, only the interval counts: a
   challenger as good as the best single route is then better than what stays if it is refused.

Rerankers do lose to a single good route, at rank 1 first of all: hence the cut at 1. Anything that
can't be checked fails with its reason; nothing is ever let through for want of numbers. The one
exception is asked for in words: a champion of None means that nothing is live yet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from marquee.evaluation import ranking_metrics
from marquee.evaluation.per_query import PerQuery
from marquee.evaluation.significance import BootstrapConfig, difference_interval
from marquee.evaluation.slices import Slicing


class CutConfig(BaseModel):
    """What is asked for at one cut."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int = Field(ge=1)
    """The metric's cut."""
    tolerance: float = Field(ge=0, le=1)
    """How far below 0 the interval of a difference may start, in units of the metric."""


class GateConfig(BaseModel):
    """The rule of promotion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = "ndcg"
    """An accuracy metric, by its name in `ranking_metrics.METRICS`."""
    k: int = Field(default=12, ge=1)
    """The cut at which champion and slices are compared and the best route is chosen; one of `cuts`."""
    cuts: tuple[CutConfig, ...] = (CutConfig(k=1, tolerance=0.05), CutConfig(k=12, tolerance=0.01))
    """Where the challenger has to beat the best single route. One rank is a noisier yardstick than
    twelve: on ml-latest-small the paired differences of two routes spread .23 to .36 between queries
    at k = 1 and .07 to .15 at k = 12, so it gets the wider tolerance."""
    max_relative_loss: float = Field(default=0.1, ge=0, lt=1)
    """Share of the champion's mean that a guardrail slice may lose."""
    min_slice_queries: int = Field(default=50, ge=1)
    """Queries from which on a slice counts as a guardrail. With 50, equal models that spread as above lose
    10 % of a mean of .2 by chance in 2 to 15 slices of 100; with fewer, chance would often decide."""
    min_queries: int = Field(default=50, ge=2)
    """Queries without which nothing is decided."""
    bootstrap: BootstrapConfig = BootstrapConfig()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.metric not in ranking_metrics.METRICS:
            raise ValueError(f"metric {self.metric!r} is none of {sorted(ranking_metrics.METRICS)}")
        cuts = [cut.k for cut in self.cuts]
        if self.k not in cuts or len(set(cuts)) < len(cuts):
            raise ValueError(f"k = {self.k} must be one of the cuts {cuts}, and each cut given once")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the metrics that each result must hold, one a cut."""
        return tuple(ranking_metrics.label(self.metric, cut.k) for cut in self.cuts)

    @property
    def headline(self) -> str:
        """Label of the metric at `k`."""
        return ranking_metrics.label(self.metric, self.k)

    @property
    def tolerance(self) -> float:
        """The tolerance at `k`."""
        return next(cut.tolerance for cut in self.cuts if cut.k == self.k)


@dataclass(frozen=True)
class Check:
    """One condition: what was seen, what was asked for, and the verdict in words.

    Numbers are None where the condition isn't about one. Differences and bounds are in units of the
    metric; the loss of a slice is a share.
    """

    name: str
    passed: bool
    observed: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True)
class GateDecision:
    """The verdict with all its grounds."""

    passed: bool
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    """What was not checked, and why."""

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that stopped the challenger."""
        return tuple(check for check in self.checks if not check.passed)

    def to_dict(self) -> dict[str, object]:
        """As plain values for JSON."""
        return {
            "passed": self.passed,
            "checks": [asdict(check) for check in self.checks],
            "notes": list(self.notes),
        }


def choose_best_route(routes: Sequence[PerQuery], config: GateConfig) -> PerQuery | None:
    """The route with the highest mean of the gate's metric at its `k`; of equals the first by name.

    The choice looks at the very queries of the comparison, which flatters the route: the gate errs on
    the side of the route. A route without usable numbers is chosen at once, because it might have been
    the best: `decide` then refuses it by name. None where there is no route.
    """
    label = config.headline

    def rank(route: PerQuery) -> tuple[float, str]:
        values = route.values.get(label)
        is_usable = values is not None and len(values) > 0 and bool(np.isfinite(values).all())
        return (-route.mean(label) if is_usable else -np.inf, route.model)

    return min(routes, key=rank, default=None)


def decide(
    challenger: PerQuery,
    champion: PerQuery | None,
    *,
    best_route: PerQuery | None,
    slicings: Sequence[Slicing],
    config: GateConfig,
    seed: int,
    champion_fails: bool = False,
) -> GateDecision:
    """Decide as this module's docstring says.

    Faulty inputs make a failed decision that names the fault, never an exception and never a pass.

    Args:
        challenger: values of each query, as those that follow.
        champion: None where nothing is live yet.
        best_route: of `choose_best_route`.
        slicings: the guardrails.
        config: the rule.
        seed: of the bootstrap.
        champion_fails: whether what the champion serves is known to have got worse.
    """
    problems = list(
        _input_problems(challenger, champion, best_route=best_route, slicings=slicings, config=config)
    )
    if best_route is None or problems:
        failed = tuple(Check("inputs", False, None, None, problem) for problem in problems)
        return GateDecision(False, failed, ("Nothing was compared: the inputs don't allow it.",))
    checks = [
        Check("inputs", True, len(challenger), config.min_queries, f"{len(challenger)} aligned queries.")
    ]
    notes: list[str] = []
    if champion is None:
        notes.append("There is no champion yet: compared with the best single route only.")
    else:
        checks.append(_is_not_worse(challenger, champion, config=config, seed=seed))
        checks.extend(_guardrails(challenger, champion, slicings=slicings, config=config))
        notes.extend(_uncounted_slices(slicings, config))
    if champion_fails:
        notes.append(
            "The lists that are served got worse: to be as good as the best single route is enough, within"
            " the tolerance."
        )
    for cut in config.cuts:
        gains, is_sure = _beats_route(challenger, best_route, cut=cut, config=config, seed=seed)
        checks.extend([is_sure] if champion_fails else [gains, is_sure])
    return GateDecision(all(check.passed for check in checks), tuple(checks), tuple(notes))


def _is_not_worse(challenger: PerQuery, champion: PerQuery, *, config: GateConfig, seed: int) -> Check:
    label, threshold = config.headline, -config.tolerance
    found = difference_interval(
        challenger.values[label], champion.values[label], seed=seed, config=config.bootstrap
    )
    passed = found.low > threshold
    reason = (
        f"{label} of {challenger.model} minus {champion.model} is {found.estimate:+.4f}; its "
        f"{config.bootstrap.confidence:.0%} interval starts at {found.low:+.4f}, "
        f"{'above' if passed else 'not above'} {threshold:+.4f}."
    )
    return Check("champion lower bound", passed, found.low, threshold, reason)


def _guardrails(
    challenger: PerQuery, champion: PerQuery, *, slicings: Sequence[Slicing], config: GateConfig
) -> Iterator[Check]:
    label, limit = config.headline, config.max_relative_loss
    for slicing, name in _slices(slicings):
        members = slicing.members(name)
        n = np.count_nonzero(members)
        if n < config.min_slice_queries:
            continue
        before, after = (float(result.values[label][members].mean()) for result in (champion, challenger))
        loss = (before - after) / before if before > 0 else 0.0  # who has nothing can lose nothing
        passed = loss <= limit
        reason = (
            f"{label} of {slicing.name} {name} goes from {before:.4f} to {after:.4f} over {n} queries: "
            f"a loss of {loss:.1%}, {'within' if passed else 'more than'} the allowed {limit:.1%}."
        )
        yield Check(f"guardrail {slicing.name}={name}", passed, loss, limit, reason)


def _uncounted_slices(slicings: Sequence[Slicing], config: GateConfig) -> Iterator[str]:
    for slicing, name in _slices(slicings):
        n = np.count_nonzero(slicing.members(name))
        if n < config.min_slice_queries:
            yield f"{slicing.name} {name} is no guardrail: {n} queries, {config.min_slice_queries} needed."


def _beats_route(
    challenger: PerQuery, route: PerQuery, *, cut: CutConfig, config: GateConfig, seed: int
) -> tuple[Check, Check]:
    label = ranking_metrics.label(config.metric, cut.k)
    found = difference_interval(
        challenger.values[label], route.values[label], seed=seed, config=config.bootstrap
    )
    gains, is_sure = found.estimate > 0, found.low > -cut.tolerance
    means = (
        f"{label}: {challenger.mean(label):.4f} against {route.mean(label):.4f} of the route {route.model}"
    )
    return (
        Check(
            f"route {label} mean difference", gains, found.estimate, 0.0,
            f"{means}, {found.estimate:+.4f}, {'above' if gains else 'not above'} 0.",
        ),
        Check(
            f"route {label} lower bound", is_sure, found.low, -cut.tolerance,
            f"{means}; the {config.bootstrap.confidence:.0%} interval of the difference starts at "
            f"{found.low:+.4f}, {'above' if is_sure else 'not above'} {-cut.tolerance:+.4f}.",
        ),
    )  # fmt: skip


def _input_problems(
    challenger: PerQuery,
    champion: PerQuery | None,
    *,
    best_route: PerQuery | None,
    slicings: Sequence[Slicing],
    config: GateConfig,
) -> Iterator[str]:
    if best_route is None:
        yield "There is no single route to compare with."
    if len(challenger) < config.min_queries:
        yield f"{len(challenger)} queries are too few to decide: {config.min_queries} needed."
    for result in (challenger, champion, best_route):
        if result is None:
            continue
        if not result.is_aligned_with(challenger):
            yield f"{result.model} was not measured on the queries of {challenger.model}, in the same order."
        yield from _value_problems(result, config.labels)
    if len(np.unique(challenger.query_keys)) < len(challenger):
        yield f"{challenger.model} holds a query key twice."
    for slicing in slicings:
        yield from _slicing_problems(slicing, len(challenger))


def _value_problems(result: PerQuery, labels: Sequence[str]) -> Iterator[str]:
    for label in labels:
        values = result.values.get(label)
        if values is None:
            yield f"{result.model} lacks {label}."
        elif values.shape != (len(result),) or values.dtype.kind != "f":
            yield f"{label} of {result.model} is {values.dtype} {values.shape} for {len(result)} queries."
        elif not np.isfinite(values).all():
            n_bad = np.count_nonzero(~np.isfinite(values))
            yield f"{label} of {result.model} is NaN or infinite in {n_bad} queries."
        elif len(values) and (values.min() < 0 or values.max() > 1):
            yield f"{label} of {result.model} leaves [0, 1]: {values.min():.4g} to {values.max():.4g}."


def _slicing_problems(slicing: Slicing, n_queries: int) -> Iterator[str]:
    codes = slicing.codes
    if len(slicing) != n_queries:
        yield f"The slicing {slicing.name} covers {len(slicing)} queries of {n_queries}."
    elif codes.dtype.kind != "i" or (codes.min(initial=0) < 0 or codes.max(initial=0) >= len(slicing.labels)):
        yield f"The slicing {slicing.name} holds a code outside its {len(slicing.labels)} labels."


def _slices(slicings: Sequence[Slicing]) -> Iterator[tuple[Slicing, str]]:
    return ((slicing, label) for slicing in slicings for label in slicing.labels)
