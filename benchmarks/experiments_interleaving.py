"""Interleaving beside an A/B test: part of `benchmarks.experiments`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from marquee.candidates.ease import Ease, EaseConfig
from marquee.candidates.union import top_items
from marquee.data.datasets.load import load_dataset
from marquee.data.histories import Histories
from marquee.data.splits import TemporalConfig, consumed, temporal_split
from marquee.data.warehouse import CONTENTS, Warehouse
from marquee.experiments.comparison import Arm, compare
from marquee.experiments.interleaving import team_draft
from marquee.settings import Settings

ALPHA = 0.05
LENGTH = 10
DRAFTS = 128
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rankers:
    """Two rankers' lists for the same people, and what each goes on to choose."""

    name: str
    a: NDArray[np.int32]  # (n_people, LENGTH)
    b: NDArray[np.int32]
    is_chosen: NDArray[np.bool_]  # (n_people, n_items)


def movielens() -> Rankers | None:
    """EASE with and without recency, on the temporal split; None where the data are not there."""
    settings = Settings.from_environment()
    folder = settings.warehouse("ml-100k")
    if not (folder / CONTENTS).is_file() or not Warehouse(folder).snapshot_ids():
        return None
    warehouse = Warehouse(folder)
    frozen = warehouse.open_snapshot(warehouse.snapshot_ids()[0])
    events = consumed(load_dataset("ml-100k", warehouse, frozen).interactions)
    split = temporal_split(events, TemporalConfig(), seed=7)
    pasts = [
        np.flatnonzero((events.user_index == user) & (events.timestamp_us <= time))
        for user, time in zip(split.test.user_index, split.test.time_us, strict=True)
    ]
    histories = Histories.of_rows(events, pasts)
    recency = Ease.fit(split.train, EaseConfig())
    lists = []
    for route in (recency, recency.with_half_life(None)):
        scores = route.score(histories)
        scores[histories.row, histories.item_index] = -np.inf
        lists.append(top_items(scores, LENGTH))
    chosen = np.zeros((len(pasts), len(events.items)), bool)
    chosen[split.test.targets.row_of_value, split.test.targets.values] = True
    return Rankers("MovieLens-100k, EASE with recency against without", lists[0], lists[1], chosen)


def made_tastes() -> Rankers:
    """People with tastes of eight factors; two rankers that see them through noise, one through more."""
    rng = np.random.default_rng(41)
    tastes = rng.standard_normal((300, 8)) @ rng.standard_normal((8, 1_000))
    lists = [top_items((tastes + rng.standard_normal(tastes.shape) * noise).astype(np.float32), LENGTH)
             for noise in (3.0, 4.0)]  # fmt: skip
    return Rankers("made tastes", lists[0], lists[1], tastes > np.quantile(tastes, 0.97))


def click_odds(lists: NDArray[np.int32], people: NDArray[np.int64], rankers: Rankers) -> Numbers:
    """Probability of a click by position: what one would choose mostly, all less further down."""
    liked = rankers.is_chosen[people[:, None], lists]
    seen = 1 / np.log2(np.arange(LENGTH) + 2)
    return np.where(liked, 0.5, 0.02) * seen


def interleavings(share: float) -> dict[str, Any]:
    """Power of both designs at equal numbers of lists, and what they make of a ranker against itself."""
    rankers = movielens() or made_tastes()
    runs = max(40, int(400 * share))
    against = {
        name: (other, drafted(rankers.a, other))
        for name, other in (("power", rankers.b), ("type_i", rankers.a))
    }
    rows = []
    for n in (200, 500, 1_000):
        row: dict[str, Any] = {"lists": n}
        for name, (other, drafts) in against.items():
            interleaved, ab = designs(rankers, other, drafts, n=n, runs=runs)
            row |= {f"interleaving_{name}": interleaved, f"ab_{name}": ab}
        rows.append(row)
    chosen = [
        float(rankers.is_chosen[np.arange(len(lists))[:, None], lists].mean())
        for lists in (rankers.a, rankers.b)
    ]
    return {
        "rankers": rankers.name,
        "people": len(rankers.a),
        "precision@10": chosen,
        "runs": runs,
        "rows": rows,
    }


@dataclass(frozen=True, eq=False)
class Drafts:
    """Interleaved lists, drawn beforehand."""

    items: NDArray[np.int32]  # (n_people, DRAFTS, LENGTH)
    is_a: NDArray[np.bool_]


def drafted(a: NDArray[np.int32], b: NDArray[np.int32]) -> Drafts:
    """So many of each person that which ones were drawn does not tilt the comparison."""
    rng = np.random.default_rng(47)
    drafts = [
        [team_draft(left.tolist(), right.tolist(), n=LENGTH, rng=rng) for _ in range(DRAFTS)]
        for left, right in zip(a, b, strict=True)
    ]
    items = np.array([[draft[0] for draft in own] for own in drafts], np.int32)
    return Drafts(items, np.array([[[team == "a" for team in draft[1]] for draft in own] for own in drafts]))


def designs(
    rankers: Rankers, other: NDArray[np.int32], drafts: Drafts, *, n: int, runs: int
) -> tuple[float, float]:
    """How often a sign test of interleaved lists, and Welch's test of an A/B test, tell two rankers apart."""
    rng = np.random.default_rng(43)
    hits = np.zeros(2)
    for _ in range(runs):
        people, which = rng.integers(0, len(drafts.items), n), rng.integers(0, DRAFTS, n)
        shown = rng.random((n, LENGTH)) < click_odds(drafts.items[people, which], people, rankers)
        credit = np.sign((shown * np.where(drafts.is_a[people, which], 1, -1)).sum(axis=1))
        wins, losses = int((credit > 0).sum()), int((credit < 0).sum())
        hits[0] += wins + losses > 0 and stats.binomtest(wins, wins + losses).pvalue < ALPHA
        half = n // 2
        lists = np.concatenate([rankers.a[people[:half]], other[people[half:]]])
        clicked = (rng.random((n, LENGTH)) < click_odds(lists, people, rankers)).sum(axis=1).astype(float)
        hits[1] += compare(Arm(clicked[half:]), Arm(clicked[:half])).p_value < ALPHA
    return float(hits[0] / runs), float(hits[1] / runs)
