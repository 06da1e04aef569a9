"""Which second stage it is to be: trees, a blend of the routes or both, by how they order the newest past.

Trees on all features win where there is enough to learn from. Where there is not, they can lose to a
good route alone, and a blend, which starts from the best route, does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from marquee.ranking.averaged import AveragedRanker
from marquee.ranking.group_ndcg import GroupNdcg
from marquee.ranking.ranker import OnRound, Ranker, TrainingSet, ignore_round
from marquee.ranking.rankers import RankerConfig, fit_ranker
from marquee.ranking.route_blend import RouteBlend
from marquee.ranking.training_set import join_blocks

TREES: Final = "trees"
BLEND: Final = "blend"
BOTH: Final = "trees and blend"


@dataclass(frozen=True, eq=False)
class SecondStageChoice:
    """A fitted second stage, and what it was preferred to."""

    ranker: Ranker
    chosen: str
    """`trees`, `blend` or `trees and blend`."""
    ndcg: Mapping[str, float] = field(default_factory=dict)
    """NDCG of each on the windows that judged; empty where nothing was compared."""
    n_queries: int = 0
    """Queries that judged."""

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"chosen": self.chosen, "ndcg": dict(self.ndcg), "n_queries": self.n_queries}


def fit_second_stage(
    windows: Sequence[TrainingSet], config: RankerConfig, *, seed: int, on_round: OnRound = ignore_round
) -> SecondStageChoice:
    """Choose by the newest windows, then fit what was chosen on all.

    Args:
        windows: rows of past windows, the newest first.
        config: what may be chosen, and all knobs.
        seed: of what draws.
        on_round: hears the rounds of the trees that are fitted last.

    Raises:
        NotEnoughDataError: the windows hold no row.
    """
    is_open = config.second_stage == "auto"
    chosen: str = TREES if is_open else config.second_stage
    per_query: dict[str, NDArray[np.float64]] = {}
    if is_open and (judged := _judging(windows, config)) is not None:
        per_query = _compare(join_blocks(windows[judged:]), join_blocks(windows[:judged]), config, seed=seed)
        chosen = choose(per_query, min_standard_errors=config.min_standard_errors)
    return SecondStageChoice(
        _fit(join_blocks(windows), chosen, config, seed=seed, on_round=on_round),
        chosen,
        {name: float(values.mean()) for name, values in per_query.items()},
        len(per_query.get(TREES, ())),
    )


def choose(per_query: Mapping[str, NDArray[np.float64]], *, min_standard_errors: float) -> str:
    """The trees, unless another is better than them by so many standard errors of the paired difference.

    Args:
        per_query: `(n_queries,)` metric by name, of the same queries; `TREES` is among them.
        min_standard_errors: of the mean difference.
    """
    trees = per_query[TREES]
    ahead = {}
    for name, values in per_query.items():
        gain = values - trees
        error = float(gain.std(ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else float("inf")
        if gain.mean() > 0 and gain.mean() >= min_standard_errors * error:
            ahead[name] = float(gain.mean())
    return max(ahead, key=lambda name: ahead[name]) if ahead else TREES


def _judging(windows: Sequence[TrainingSet], config: RankerConfig) -> int | None:
    """How many of the newest windows judge; None where they would be too few, or leave none to learn from."""
    if not windows:
        return None
    queries = np.cumsum([len(window.group_sizes) for window in windows])
    n = int(np.searchsorted(queries, config.judged_share * queries[-1])) + 1
    return n if n < len(windows) and queries[n - 1] >= config.min_judging else None


def _compare(
    past: TrainingSet, newest: TrainingSet, config: RankerConfig, *, seed: int
) -> dict[str, NDArray[np.float64]]:
    """NDCG per query of the newest windows, of each second stage that has learned from the others."""
    trees = fit_ranker(past, config, seed=seed)
    blend = RouteBlend.fit(past, config.blend)
    tried: dict[str, Ranker] = {TREES: trees, BLEND: blend, BOTH: AveragedRanker.of((blend, trees), past)}
    metric = GroupNdcg.of(newest.labels, newest.group_sizes, config.blend.k)
    return {name: metric.per_group(ranker.score(newest.features)) for name, ranker in tried.items()}


def _fit(training: TrainingSet, kind: str, config: RankerConfig, *, seed: int, on_round: OnRound) -> Ranker:
    if kind == BLEND:
        return RouteBlend.fit(training, config.blend)
    trees = fit_ranker(training, config, seed=seed, on_round=on_round)
    if kind == TREES:
        return trees
    return AveragedRanker.of((RouteBlend.fit(training, config.blend), trees), training)
