"""Team-draft interleaving: two rankers in one list, and what clicks say about which is better.

Each person compares both, so that it takes about a third of the lists that an A/B test of the same rankers
takes. It says which ranking people prefer, not by how much a metric of the page would move.

Source: Radlinski, Kurup, Joachims (2008), How Does Clickthrough Data Reflect Retrieval Quality?, CIKM;
Chapelle, Joachims, Radlinski, Yue (2012), Large-scale Validation and Analysis of Interleaved Search
Evaluation, ACM TOIS.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from marquee.experiments.sequential import half_width

Item = TypeVar("Item", bound=int | str)
Team = Literal["a", "b"]
Winner = Literal["a", "b", "undecided", "too_early"]
Draft: TypeAlias = tuple[list[Item], list[Team]]

_EXPECTED: Final = 0.1
"""A preference that one cares about, as a share of lists with a winner: 55 to 45."""


def team_draft(a: Sequence[Item], b: Sequence[Item], *, n: int, rng: np.random.Generator) -> Draft[Item]:
    """One list of up to `n` items, and the team of each position.

    In each round a coin says who picks first; each team takes its best item that is not there yet. Both teams
    have as many positions, but for the last of an odd list, and a team that has run out leaves the rest to
    the other. No item stands there twice.
    """
    items: list[Item] = []
    teams: list[Team] = []
    picks: dict[Team, Iterator[Item]] = {"a": iter(a), "b": iter(b)}
    taken: set[Item] = set()
    while len(items) < n:
        order: tuple[Team, Team] = ("a", "b") if rng.random() < 0.5 else ("b", "a")
        before = len(items)
        for team in order:
            pick = next((item for item in picks[team] if item not in taken), None)
            if pick is not None and len(items) < n:
                items.append(pick)
                teams.append(team)
                taken.add(pick)
        if len(items) == before:
            break
    return items, teams


@dataclass(frozen=True, slots=True)
class Preference:
    """Which ranker people prefer."""

    wins_a: int
    """Users whose clicks went to this team more often; likewise b."""
    wins_b: int
    ties: int
    estimate: float
    """(wins_a - wins_b) / users, -1 to 1; ties are users, too."""
    low: float
    """Of an interval that may be looked at all the time."""
    high: float
    sign_p: float
    """Of the sign test, two-sided, for one look at a planned moment."""
    winner: Winner


def preference(
    clicks_a: NDArray[np.integer],
    clicks_b: NDArray[np.integer],
    user: NDArray[np.integer],
    *,
    alpha: float = 0.05,
    min_users: int = 200,
) -> Preference:
    """Which team won, one voice a user.

    Args:
        clicks_a: credited to the items of team a, one row a list, `(n_lists,)`.
        clicks_b: likewise of b.
        user: whose list, `(n_lists,)`.
        alpha: two-sided, over all looks.
        min_users: before the first look.
    """
    _, row = np.unique(user, return_inverse=True)
    margin = np.bincount(row, weights=np.asarray(clicks_a, np.float64) - clicks_b)
    voices = np.sign(margin)
    n_users, wins_a, wins_b = len(voices), int((voices > 0).sum()), int((voices < 0).sum())
    p_value = float(stats.binomtest(wins_a, wins_a + wins_b).pvalue) if wins_a + wins_b else 1.0
    estimate = float(voices.mean()) if n_users else 0.0
    low, high, winner = -1.0, 1.0, "too_early"
    if n_users >= max(min_users, 2):
        decided = (wins_a + wins_b) / n_users
        tau2 = (_EXPECTED * decided) ** 2
        half = half_width(float(voices.var(ddof=1)) / n_users, tau2, alpha=alpha) if decided else 1.0
        low, high = estimate - float(half), estimate + float(half)
        winner = "a" if low > 0 else "b" if high < 0 else "undecided"
    return Preference(
        wins_a, wins_b, n_users - wins_a - wins_b, estimate, low, high, p_value, _winner(winner)
    )


def _winner(name: str) -> Winner:
    known: dict[str, Winner] = {"a": "a", "b": "b", "undecided": "undecided", "too_early": "too_early"}
    return known[name]
