"""Team drafts and what clicks on them say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from marquee.experiments.interleaving import preference, team_draft
from marquee.experiments.sequential import half_width

lists = st.lists(st.integers(0, 15), unique=True, max_size=12)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(lists, lists, st.integers(0, 12), st.integers(0, 99))
def test_draft_is_fair_and_without_repeats(a, b, n, seed):
    items, teams = team_draft(a, b, n=n, rng=rng(seed))

    assert len(items) == len(teams) == min(n, len(set(a) | set(b)))
    assert len(set(items)) == len(items)
    for team, ranked in (("a", a), ("b", b)):
        picked = [item for item, whose in zip(items, teams, strict=True) if whose == team]
        assert picked == [item for item in ranked if item in picked]  # each team keeps its own order


def test_teams_take_turns_and_the_coin_says_who_begins():
    a, b = list(range(0, 20, 2)), list(range(1, 20, 2))
    generator = rng(1)

    drafts = [team_draft(a, b, n=4, rng=generator) for _ in range(400)]

    for _, teams in drafts:
        assert sorted(teams[:2]) == sorted(teams[2:]) == ["a", "b"]
    begins = sum(teams[0] == "a" for _, teams in drafts)
    assert stats.binomtest(begins, 400).pvalue > 0.001
    assert {(*items,) for items, _ in drafts} == {(0, 1, 2, 3), (0, 1, 3, 2), (1, 0, 2, 3), (1, 0, 3, 2)}


def test_equal_lists_give_each_team_every_position_as_often():
    generator = rng(2)

    drafts = [team_draft("abcd", "abcd", n=4, rng=generator) for _ in range(1_000)]

    assert {"".join(items) for items, _ in drafts} == {"abcd"}
    for position in range(4):
        share = sum(teams[position] == "a" for _, teams in drafts)
        assert stats.binomtest(share, 1_000).pvalue > 0.001


def test_same_seed_gives_the_same_draft():
    assert team_draft("abcdef", "fedcba", n=5, rng=rng(3)) == team_draft("abcdef", "fedcba", n=5, rng=rng(3))


def test_preference_gives_each_user_one_voice():
    clicks_a, clicks_b = np.array([3, 0, 0, 1, 0]), np.array([0, 1, 1, 0, 0])
    user = np.array([7, 7, 8, 9, 10])  # 7: 3 to 1, 8: 0 to 1, 9: 1 to 0, 10: nothing

    found = preference(clicks_a, clicks_b, user, min_users=2)

    assert (found.wins_a, found.wins_b, found.ties) == (2, 1, 1)
    assert found.estimate == 1 / 4
    assert found.sign_p == 1.0  # 2 of 3
    variance = ((1 - 0.25) ** 2 * 2 + (-1 - 0.25) ** 2 + 0.25**2) / 3 / 4
    assert found.high - found.estimate == pytest.approx(half_width(variance, (0.1 * 0.75) ** 2))
    assert found.winner == "undecided"


def test_preference_of_few_or_idle_users_is_none():
    nothing = np.zeros(300, int)

    assert preference(nothing, nothing, np.arange(300)).winner == "undecided"
    assert preference(nothing + 1, nothing, np.arange(300) % 199).winner == "too_early"
    assert preference(nothing[:0], nothing[:0], nothing[:0]).sign_p == 1.0


def test_clear_preference_is_found_and_none_is_not_invented():
    generator = rng(4)
    wins = lambda share: (generator.random(2_000) < share).astype(int)  # noqa: E731

    found = [preference(a := wins(0.6), 1 - a, np.arange(2_000)).winner for _ in range(50)]
    none = [preference(a := wins(0.5), 1 - a, np.arange(2_000)).winner for _ in range(200)]

    assert found.count("a") == 50
    assert none.count("undecided") >= 195


def test_preference_may_be_looked_at_often():
    generator = rng(5)
    deceived = 0
    for _ in range(100):
        wins = generator.integers(0, 2, 3_000)
        looks = (preference(wins[:n], 1 - wins[:n], np.arange(n)).winner for n in range(200, 3_000, 200))
        deceived += any(winner in {"a", "b"} for winner in looks)

    assert deceived <= 5


def test_interleaving_finds_more_than_an_ab_test_of_as_many_lists():
    generator = rng(6)
    tastes = generator.normal(size=(150, 6)) @ generator.normal(size=(6, 300))
    good, fair = (
        np.argsort(-(tastes + generator.normal(size=tastes.shape) * noise), axis=1)[:, :8]
        for noise in (2.0, 2.7)
    )
    liked = tastes > np.quantile(tastes, 0.95)
    drafts = [
        [team_draft(a.tolist(), b.tolist(), n=8, rng=generator) for _ in range(20)]
        for a, b in zip(good, fair, strict=True)
    ]
    items = np.array([[draft[0] for draft in own] for own in drafts])
    is_a = np.array([[[team == "a" for team in draft[1]] for draft in own] for own in drafts])

    def clicked(people, lists):
        return generator.random(lists.shape) < np.where(liked[people[:, None], lists], 0.4, 0.02)

    found = np.zeros(2)
    for _ in range(100):
        people, which = generator.integers(0, 150, 400), generator.integers(0, 20, 400)
        clicks, mine = clicked(people, items[people, which]), is_a[people, which]
        votes = preference((clicks & mine).sum(1), (clicks & ~mine).sum(1), np.arange(400))
        found[0] += votes.sign_p < 0.05
        arms = [
            clicked(half, lists[half]).sum(1) for half, lists in ((people[:200], good), (people[200:], fair))
        ]
        found[1] += stats.ttest_ind(*arms, equal_var=False).pvalue < 0.05

    assert found[0] >= found[1] + 10, found
