"""What a server asks of a model: a finished list on every surface."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from marquee import answering as answering_module
from marquee import schema
from marquee.answering import SIMILAR, AnsweringModel, Ask, Listed, Seen, ShownItem, plain
from marquee.candidates.surge_board import BoardRow, SurgeBoard
from marquee.candidates.surges import SurgeConfig
from marquee.data.histories import Queries
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.explain.impersonal import Basis
from marquee.features.user_rows import query_after
from marquee.packing import Model
from marquee.policy.restrictions import Restrictions
from tests.small_run import Place

NOW_US = 101 * 86_400_000_000
HISTORY = ["m000", "m003", "m006", "m009"]


@pytest.fixture(scope="module")
def answering(trained: Place) -> AnsweringModel:
    return AnsweringModel.of(Model.read(Path(trained.latest / "bundle")))


def after(answering: AnsweringModel, *history: str) -> Queries:
    return query_after(list(history), time_us=NOW_US, items=answering.recommender.items)


def index(answering: AnsweringModel, item: str) -> int:
    return int(answering.recommender.items.index_of(item))


def limited(years: float | None = None, *excluded: int) -> Restrictions:
    out = np.array(excluded, np.int64) if excluded else None
    return Restrictions.of_request({}, maturity_limit=years, excluded=out)


def ids(listed: Listed) -> list[str]:
    return [item.item_id for item in listed.items]


def test_home_is_the_recommenders_list_with_titles_routes_and_reasons(answering):
    query = after(answering, *HISTORY)
    listed = answering.list_for(Ask(query, 10))

    lists = answering.recommender.recommend(query, 10)
    assert ids(listed) == answering.recommender.items.decode(lists.item_index[0])
    assert [item.score for item in listed.items] == lists.score[0].tolist()
    assert [item.title for item in listed.items] == [
        f"Movie {int(item.item_id[1:])} ({1930 + int(item.item_id[1:]) % 40})" for item in listed.items
    ]
    assert {item.route for item in listed.items} <= set(answering.recommender.routes)
    assert all(item.reason for item in listed.items)
    assert 10 <= listed.n_candidates <= 90
    assert not listed.is_fallback


def test_home_with_explanations_has_the_same_items_and_says_by_how_much(answering):
    query = after(answering, *HISTORY)

    plain_list, explained = (answering.list_for(Ask(query, 6, explain=each)) for each in (False, True))

    assert ids(plain_list) == ids(explained)
    assert all(item.drop is None and item.contributions == () for item in plain_list.items)
    assert all(item.contributions for item in explained.items)
    personal = [item for item in explained.items if item.basis == Basis.WATCHED.value]
    assert all(item.drop is not None and set(item.because) <= set(HISTORY) for item in personal)


@pytest.mark.parametrize("surface", schema.SURFACES)
def test_no_list_holds_what_was_excluded_or_is_above_the_limit(answering, surface):
    query = after(answering, *HISTORY)
    about = index(answering, "m002") if surface == SIMILAR else UNKNOWN_INDEX
    unwanted = index(answering, "m005")
    every = answering.list_for(Ask(query, 90, surface, about))
    assert "m005" in ids(every)

    without = answering.list_for(Ask(query, 90, surface, about, limited(None, unwanted, UNKNOWN_INDEX)))
    child = answering.list_for(Ask(query, 90, surface, about, limited(12)))

    assert set(ids(every)) - set(ids(without)) <= {"m005"} | set(ids(every)[-1:])
    assert "m005" not in ids(without)
    assert {int(item[1:]) % 5 for item in ids(child)} == {0, 2}  # those from 12 years
    assert len(ids(every)) == len(set(ids(every)))


@pytest.mark.parametrize("surface", ["home", "trending", "popular"])
def test_lists_for_somebody_leave_out_what_they_saw(answering, surface):
    mine = answering.list_for(Ask(after(answering, *HISTORY), 90, surface))
    nobodys = answering.list_for(Ask(after(answering), 90, surface))

    assert not set(HISTORY) & set(ids(mine))
    assert set(HISTORY) & set(ids(nobodys))


def test_similar_is_the_recommenders_list_about_the_item(answering):
    about = index(answering, "m010")
    listed = answering.list_for(Ask(after(answering), 5, SIMILAR, about))

    lists = answering.recommender.similar(about, 5)
    assert ids(listed) == answering.recommender.items.decode(lists.item_index[0])
    assert "m010" not in ids(listed)
    assert {(item.route, item.basis, item.reason, item.because) for item in listed.items} == {
        (SIMILAR, SIMILAR, "like Movie 10 (1940)", ("m010",))
    }


@pytest.mark.parametrize("n", [5, 90])
@pytest.mark.parametrize("years", [None, 12])
def test_similar_is_the_same_whether_it_was_asked_about_before_or_not(answering, monkeypatch, n, years):
    about, given = index(answering, "m010"), limited(years, *range(20, 40))
    monkeypatch.setattr(answering_module, "NEAREST", 30)  # too few for a long list
    first, again = replace(answering, nearest={}), answering
    again.list_for(Ask(after(again), 1, SIMILAR, about))

    lists = answering.recommender.similar(about, n, restrictions=given)

    expected = answering.recommender.items.decode(lists.item_index[0][lists.item_index[0] >= 0])
    for each in (first, again, first):
        assert ids(each.list_for(Ask(after(each), n, SIMILAR, about, given))) == expected


def test_home_needs_the_whole_query(answering):
    with pytest.raises(TypeError, match="whole query"):
        answering.list_for(Ask(Seen(NOW_US, np.empty(0, np.int32)), 5))


@pytest.mark.parametrize("surface", ["popular", "trending", SIMILAR])
def test_other_lists_are_the_same_of_what_was_seen_and_of_the_whole_query(answering, surface):
    query = after(answering, *HISTORY)
    seen = Seen(NOW_US, query.histories.item_index)

    of_seen, whole = (answering.list_for(Ask(each, 12, surface, 3, limited(12))) for each in (seen, query))

    assert of_seen.items == whole.items


@pytest.mark.parametrize("why", ["unknown", "above the limit", "excluded"])
def test_similar_to_what_may_not_be_spoken_of_is_popular_and_does_not_name_it(answering, why):
    about = index(answering, "m011")  # from 18 years
    given = {
        "unknown": (UNKNOWN_INDEX, limited()),
        "above the limit": (about, limited(12)),
        "excluded": (about, limited(None, about)),
    }[why]
    query = after(answering, *HISTORY)

    listed = answering.list_for(Ask(query, 8, SIMILAR, *given))

    popular = answering.list_for(Ask(query, 8, "popular", restrictions=given[1]))
    assert listed.is_fallback
    assert not popular.is_fallback
    assert listed.items == popular.items
    assert all("Movie 11" not in item.reason and "m011" not in item.because for item in listed.items)


def test_trending_follows_the_movies_state(answering):
    states = answering.recommender.catalogue.states
    matrix = states.matrix.copy()
    for name in (schema.ITEM_EVENTS_7D, schema.ITEM_EVENTS_30D):
        matrix[:, :, schema.MOVIE_STATE.index(name)] = 0
        matrix[:, index(answering, "m077"), schema.MOVIE_STATE.index(name)] = 500
    before = answering.list_for(Ask(after(answering), 90, "trending"))

    fresh = answering.with_states(type(states)(states.moments_us, matrix))

    assert ids(fresh.list_for(Ask(after(fresh), 3, "trending")))[0] == "m077"
    assert ids(answering.list_for(Ask(after(answering), 90, "trending"))) == ids(before)
    assert {item.basis for item in before.items} == {Basis.POPULAR_NOW.value}


def board_of(*rows: tuple[str, float], hours_ago: float = 1) -> SurgeBoard:
    as_of = datetime.fromtimestamp(NOW_US / 1e6, UTC) - timedelta(hours=hours_ago)
    return SurgeBoard(
        as_of=as_of,
        config=SurgeConfig(),
        surges=tuple(
            BoardRow(item_id=item, score=score, surprise=9, users=9, expected=1, hours=6, since=as_of)
            for item, score in rows
        ),
    )


def trending(
    answering: AnsweringModel, n: int = 10, *, history: tuple[str, ...] = (), **more: object
) -> list[str]:
    return ids(answering.list_for(Ask(after(answering, *history), n, "trending", **more)))


def test_trending_begins_with_a_fifth_of_surges_by_score_and_goes_on_as_without(answering):
    usual = trending(answering)
    board = board_of(("m071", 3.5), ("m072", 8.5), ("m073", 5.5), ("unheard of", 9))

    found = trending(answering.with_surges(board))

    assert found == ["m072", "m073", *usual[:8]]
    assert trending(answering.with_surges(board), 4) == ["m072", *usual[:3]]


def test_trending_skips_surges_that_are_seen_excluded_or_above_the_limit(answering):
    board = board_of(("m075", 3), ("m072", 9), ("m074", 7), ("m073", 5))
    surging = answering.with_surges(board)  # m073 and m074 are from 16 and 18 years

    assert trending(surging, 5, history=("m072",))[0] == "m074"
    assert trending(surging, 5, restrictions=limited(None, index(answering, "m072")))[0] == "m074"
    assert trending(surging, 5, restrictions=limited(12, index(answering, "m072")))[0] == "m075"


@pytest.mark.parametrize("hours_ago", [-1, 7])
def test_trending_board_of_later_or_long_before_says_nothing(answering, hours_ago):
    board = board_of(("m071", 9), hours_ago=hours_ago)

    assert trending(answering.with_surges(board)) == trending(answering)


def test_trending_without_a_board_begins_with_what_surged_in_the_last_day(answering):
    states = answering.recommender.catalogue.states
    matrix = states.matrix.copy()
    day, month = (schema.MOVIE_STATE.index(f) for f in (schema.ITEM_EVENTS_1D, schema.ITEM_EVENTS_30D))
    matrix[:, :, day] = 1
    matrix[:, :, month] = 30
    matrix[:, index(answering, "m071"), day] = 25

    fresh = answering.with_states(type(states)(states.moments_us, matrix))

    assert trending(fresh)[0] == "m071"
    assert "m071" not in trending(answering, 3)
    assert trending(fresh.with_surges(board_of(("m072", 9))))[0] == "m072"  # the hours know better


def test_item_in_plain_json_leaves_out_what_was_not_asked_for():
    item = ShownItem("m1", "Movie 1", 0.5, "als", "watched", "because", ("m2",))

    assert plain(item, 3) == {
        "item_id": "m1",
        "title": "Movie 1",
        "rank": 3,
        "score": 0.5,
        "route": "als",
        "reason": {"text": "because", "basis": "watched", "item_ids": ("m2",)},
    }
    explained = ShownItem("m1", "Movie 1", 0.5, "als", "watched", "b", (), 0.25, (("x", 1.0),))
    assert plain(explained, 1)["reason"] == {
        "text": "b",
        "basis": "watched",
        "item_ids": (),
        "drop": 0.25,
        "contributions": {"x": 1.0},
    }
