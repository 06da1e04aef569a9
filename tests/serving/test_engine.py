"""From instances to predictions: whose row, which limit, what is logged."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from marquee import schema
from marquee.adapters.exposures.log import ExposureLog
from marquee.adapters.exposures.rows import SampledRows
from marquee.errors import FeatureStoreError
from marquee.features.request_log import LoggedRequest, read_requests
from serving import engine as engine_module
from serving.answered import Answered
from serving.engine import Engine
from serving.lists import features_hash
from serving.protocol import Instance
from serving.user_rows import NOBODY
from tests.marquee.adapters.exposures.sinks import StuckSink
from tests.serving.asking import (
    CHILDS_ITEMS,
    KeptSink,
    ask,
    asked,
    count,
    ids_of,
    push_history,
    push_limit,
)
from tests.serving.bundles import copy_of
from tests.serving.conftest import make_engine
from tests.small_run import Place

CHILD = "u003"


@pytest.fixture
def own(trained: Place, tmp_path: Path) -> Place:
    return copy_of(trained, tmp_path / "place")


@pytest.fixture
def limited(own: Place, trained: Place) -> Iterator[Engine]:
    """An engine whose store holds a child."""
    push_limit(own, trained.storage, CHILD, 12)
    made = make_engine(own)
    yield made
    made.close()


def lose_store(engine: Engine) -> None:
    """Let the store fail from now on."""

    def fail(_user: str, _now: datetime) -> Mapping[str, Any]:
        raise FeatureStoreError("the store is gone.", remedy="Start it.")

    engine.rows.read = fail


def forget_rows(engine: Engine) -> None:
    """Let the store know nobody from now on, as one that was started anew without its data."""
    read = engine.rows.read
    assert read is not None
    engine.rows.read = lambda _user, now: read("nobody at all", now)


def hold_thread(engine: Engine, gate: threading.Event) -> None:
    """Keep the thread that makes lists busy until a gate opens."""
    nobody = asyncio.new_event_loop()
    engine._scoring.submit(gate.wait, 20, nobody)
    nobody.close()  # a thread that finds nobody to answer goes on


# --- batches ------------------------------------------------------------------------------------------


def test_batch_of_64_is_answered_in_order_and_none_is_degraded_by_the_others(trained):
    sink = KeptSink()
    engine = make_engine(trained, exposures=ExposureLog(sink))
    users = [f"u{number:03}" for number in range(64)]
    waiting = []
    count_ = engine._counted

    async def counted(*arguments: Any) -> dict[str, Any]:
        waiting.append(engine.rows._under_way)
        return await count_(*arguments)

    engine._counted = counted  # type: ignore[method-assign]
    found = asyncio.run(asked(engine, *({"user_id": user} for user in users), request_id="b"))
    engine.close()
    engine.exposures.close()  # type: ignore[union-attr]

    assert [each["user_id"] for each in found] == users
    assert [each["request_id"] for each in found] == [f"b-{place}" for place in range(64)]
    assert [each["degraded_reasons"] for each in found] == [[]] * 64
    assert max(waiting) < 4  # the 20 ms of one read never hold the waiting for 60 others
    assert sorted(each.request_id for each in sink.exposures) == sorted(each["request_id"] for each in found)


def test_batch_and_single_requests_give_the_same_lists(engine):
    users = ["u001", "u002", None]
    asks = [{"user_id": user, "context": {"timestamp": "1970-06-01T00:00:00Z"}} for user in users]

    together = asyncio.run(asked(engine, *asks))

    assert [each["items"] for each in together] == [ask(engine, **each)["items"] for each in asks]


# --- limits -------------------------------------------------------------------------------------------


def test_stricter_of_the_profiles_limit_and_the_requests_holds(limited):
    def shown(**more: Any) -> set[str]:
        return set(ids_of(ask(limited, n=100, **more)))

    everything = shown(user_id="u006")
    assert everything - CHILDS_ITEMS
    assert shown(user_id=CHILD) <= CHILDS_ITEMS
    assert shown(user_id=CHILD, maturity_limit=18) <= CHILDS_ITEMS
    assert shown(user_id="u006", maturity_limit=12) <= CHILDS_ITEMS
    assert shown(user_id=CHILD, maturity_limit=11) == set()
    assert shown(user_id=CHILD, history=["m001", "m003"]) <= CHILDS_ITEMS


@pytest.mark.parametrize("surface", ["home", "trending", "popular"])
def test_limit_that_was_known_last_holds_while_the_row_is_out_of_reach(limited, surface):
    before = ask(limited, user_id=CHILD, surface=surface, n=100)
    assert before["degraded_reasons"] == []
    adult = ask(limited, user_id="u006", surface=surface, n=100)
    lose_store(limited)

    child, known_adult, stranger = (
        ask(limited, user_id=user, surface=surface, n=100) for user in (CHILD, "u006", "u009")
    )

    assert child["degraded_reasons"] == known_adult["degraded_reasons"] == ["store_error"]
    assert child["history_events"] == 0
    assert set(ids_of(child))
    assert set(ids_of(child)) <= CHILDS_ITEMS
    assert set(ids_of(known_adult)) - CHILDS_ITEMS  # this one was seen without a limit
    assert set(ids_of(adult)) - CHILDS_ITEMS
    assert stranger["items"] == []  # `limit_without_profile` is 0, and nothing here is suitable at 0
    assert stranger["degraded"]


def test_limit_without_profile_of_the_bundle_holds_for_whom_nobody_saw(limited):
    answering = limited.slots.default.answering
    policy = answering.recommender.policy.model_copy(update={"limit_without_profile": 12})
    object.__setattr__(answering.recommender, "policy", policy)
    lose_store(limited)

    shown = set(ids_of(ask(limited, user_id="u009", n=100)))

    assert shown
    assert shown <= CHILDS_ITEMS


def test_store_that_lost_its_rows_is_noticed_and_the_limit_stays(limited):
    ask(limited, user_id=CHILD)
    forget_rows(limited)

    child, newcomer = (ask(limited, user_id=user, n=100) for user in (CHILD, "u009"))

    assert child["degraded_reasons"] == ["row_lost"]
    assert set(ids_of(child)) <= CHILDS_ITEMS
    assert newcomer["degraded_reasons"] == []  # nobody knows better than that they are new
    assert count(limited, "marquee_degraded_total", reason="row_lost") == 1
    assert count(limited, "marquee_feature_missing_total", feature_view="user_activity") == 2


def test_profile_that_is_lost_alone_leaves_the_limit_and_the_history(limited):
    before = ask(limited, user_id=CHILD)
    read = limited.rows.read
    assert read is not None
    profile = schema.FEATURE_VIEWS[schema.USER_PROFILE_VIEW]
    limited.rows.read = lambda user, now: {**read(user, now), **dict.fromkeys(profile)}

    child, adult = (ask(limited, user_id=user, n=100) for user in (CHILD, "u006"))

    assert child["degraded_reasons"] == ["row_lost"]
    assert child["history_events"] == before["history_events"] == 30
    assert set(ids_of(child)) <= CHILDS_ITEMS
    assert adult["degraded_reasons"] == []  # of whom no profile was ever known
    assert count(limited, "marquee_feature_missing_total", feature_view="user_profile") == 2
    assert count(limited, "marquee_feature_missing_total", feature_view="user_activity") == 0


def test_limits_are_remembered_of_so_many_users_and_the_longest_unseen_is_forgotten(limited, monkeypatch):
    monkeypatch.setattr(engine_module, "KNOWN_LIMITS", 2)
    for user in (CHILD, "u006", CHILD, "u007"):
        ask(limited, user_id=user)

    assert list(limited._limits) == [CHILD, "u007"]


def test_similar_to_an_item_that_the_limit_hides_is_the_popular_list_without_its_title(limited):
    hidden, seen = "m001", "m000"  # from 18 and from 12 years
    found = ask(limited, user_id=CHILD, surface="similar", item_id=hidden)
    popular = ask(limited, user_id=CHILD, surface="popular")

    assert found["degraded_reasons"] == ["unknown_item"]
    assert found["items"] == popular["items"]
    assert "Movie 1 " not in str(found) + " "
    assert {item["reason"]["text"] for item in found["items"]}.isdisjoint(
        {"like Movie 1", "like Movie 1 (1931)"}
    )
    assert count(limited, "marquee_fallback_total", surface="similar") == 1
    allowed = ask(limited, user_id=CHILD, surface="similar", item_id=seen)
    assert allowed["degraded"] is False
    assert set(ids_of(allowed)) <= CHILDS_ITEMS
    unlimited = ask(limited, user_id="u006", surface="similar", item_id=hidden)
    assert "Movie 1 (1931)" in unlimited["items"][0]["reason"]["text"]


def test_reasons_name_no_item_that_the_limit_hides(own, trained, limited):
    push_history(own, trained.storage, CHILD, "m001", "m004", "m000", "m002")

    for explain in (False, True):
        found = ask(limited, user_id=CHILD, explain=explain)
        named = {name for item in found["items"] for name in item["reason"]["item_ids"]}
        assert named <= CHILDS_ITEMS
        assert found["history_events"] == 4


# --- too much at once ---------------------------------------------------------------------------------


def test_lists_beyond_what_may_wait_are_popular_and_limited_and_counted(limited, monkeypatch):
    monkeypatch.setattr(engine_module, "MAX_WAITING", 1)
    ask(limited, user_id=CHILD)
    gate = threading.Event()
    hold_thread(limited, gate)

    async def life() -> tuple[dict[str, Any], dict[str, Any]]:
        first = asyncio.ensure_future(asked(limited, {"user_id": "u006"}))
        while not limited._waiting:
            await asyncio.sleep(0.001)
        (second,) = await asked(limited, {"user_id": CHILD, "n": 100})
        gate.set()
        return (await first)[0], second

    first, second = asyncio.run(life())
    after = ask(limited, user_id=CHILD)

    assert first["degraded_reasons"] == after["degraded_reasons"] == []
    assert second["degraded_reasons"] == ["overloaded"]
    assert {item["route"] for item in second["items"]} == {"popular"}
    assert set(ids_of(second)) <= CHILDS_ITEMS
    assert count(limited, "marquee_degraded_total", reason="overloaded") == 1
    assert count(limited, "marquee_fallback_total", surface="home") == 1


QUICK = [{"surface": "popular"}, {"surface": "trending"}, {"surface": "similar", "item_id": "m002"}]


@pytest.mark.parametrize("extra", QUICK, ids=lambda each: each["surface"])
def test_quick_list_waits_for_no_long_one(limited, extra):
    gate = threading.Event()
    hold_thread(limited, gate)
    found = ask(limited, user_id=CHILD, timings=True, **extra)
    gate.set()

    assert found["degraded"] is False
    assert set(ids_of(found)) <= CHILDS_ITEMS
    assert found["timings_ms"]["wait"] == 0


@pytest.mark.parametrize("extra", QUICK, ids=lambda each: each["surface"])
def test_list_that_is_quick_only_of_few_movies_is_left_to_the_thread(limited, extra, monkeypatch):
    in_loop = ask(limited, user_id=CHILD, **extra)
    monkeypatch.setattr(engine_module, "QUICK_ITEMS", 1)
    made_in: list[str] = []
    make = engine_module.make_list

    def noted(answered: Answered) -> None:
        made_in.append(threading.current_thread().name)
        make(answered)

    monkeypatch.setattr(engine_module, "make_list", noted)
    in_thread = ask(limited, user_id=CHILD, **extra)

    assert made_in == ["scoring"]
    assert in_thread["items"] == in_loop["items"]


# --- the log ------------------------------------------------------------------------------------------


def test_each_answer_is_logged_once_as_it_was_given(trained):
    sink = KeptSink()
    engine = make_engine(trained, exposures=ExposureLog(sink))
    context = {"timestamp": "1970-06-01T00:00:00+01:00", "device": "tv", "location": "DE"}
    asks = [
        {"user_id": "u001", "n": 3, "context": context},
        {"user_id": None, "surface": "trending"},
        {"user_id": "u002", "surface": "similar", "item_id": "m007"},
        {"user_id": "u002", "surface": "similar", "item_id": "no such item"},
    ]
    found = asyncio.run(asked(engine, *asks, request_id="x"))
    engine.close()
    counts = engine.exposures.close()  # type: ignore[union-attr]

    assert (counts.offered, counts.written) == (4, 4)
    logged = {each.request_id: each for each in sink.exposures}
    assert len(logged) == len(sink.exposures) == 4
    for given, answer in zip(asks, found, strict=True):
        record = logged[answer["request_id"]]
        assert [(item.item_id, item.position, item.score, item.route) for item in record.items] == [
            (item["item_id"], item["rank"], item["score"], item["route"]) for item in answer["items"]
        ]
        for name in ("user_id", "surface", "bundle_id", "variant", "history_events"):
            assert getattr(record, name) == answer[name]
        assert list(record.degraded) == answer["degraded_reasons"]
        assert (record.n, record.item_id) == (given.get("n", 12), given.get("item_id"))
        assert record.features_hash
    first = logged["x-0"]
    assert first.context.timestamp_us == 151 * 86_400_000_000 - 3_600_000_000
    assert (first.context.device, first.context.location) == ("tv", "DE")
    assert first.latency_ms > 0
    assert {item.propensity for item in first.items} == {1.0}


def test_features_hash_is_of_the_state_and_changes_with_an_event(own, trained):
    sink = KeptSink()
    push_history(own, trained.storage, "u001", "m000", "m003")
    engine = make_engine(own, exposures=ExposureLog(sink))
    for user in ("u001", "u001", "u002"):
        ask(engine, user_id=user, context={"timestamp": "2026-12-31T00:00:00Z"})
    push_history(own, trained.storage, "u001", "m000", "m003", "m006")
    ask(engine, user_id="u001", context={"timestamp": "2026-12-31T00:00:00Z"})
    engine.close()
    engine.exposures.close()  # type: ignore[union-attr]

    same, again, other, after = (each.features_hash for each in sink.exposures)
    assert same == again
    assert len({same, other, after}) == 3


def test_features_hash_is_of_the_movies_state_too(engine):
    slot = engine.slots.default
    answered = Answered("r", Instance(), slot, (), NOBODY, [], 1, 1)
    newer = replace(answered, slot=replace(slot, matrix_version="1" * 32))

    assert features_hash(answered) == features_hash(answered) != features_hash(newer)


def test_sink_that_is_stuck_never_holds_an_answer_and_what_has_no_room_is_counted(trained):
    sink = StuckSink()
    log = ExposureLog(sink, capacity=3, batch=1, linger_ms=1)
    engine = make_engine(trained, exposures=log)

    found = [ask(engine, user_id=f"u{number:03}") for number in range(10)]

    engine.records.flush()
    counts = log.counts
    assert [len(each["items"]) for each in found] == [12] * 10
    assert (counts.offered, counts.written, counts.dropped_full) == (10, 0, 7)
    sink.let_go.set()
    engine.close()
    assert log.close().written == 3


def test_feature_rows_are_logged_of_the_sample_and_of_no_degraded_answer(trained, tmp_path):
    rows = SampledRows(tmp_path / "rows", 0.5)
    engine = make_engine(trained, exposures=ExposureLog(KeptSink(), rows=rows))
    users = [f"u{number:03}" for number in range(40)]
    found = asyncio.run(
        asked(engine, *({"user_id": user} for user in users), {"user_id": None}, request_id="s")
    )
    lose_store(engine)
    asyncio.run(asked(engine, *({"user_id": user} for user in users), request_id="lost"))
    engine.close()
    engine.exposures.close()  # type: ignore[union-attr]

    logged = [each for each in read_requests(rows.path) if isinstance(each, LoggedRequest)]
    wanted = {each["request_id"]: each for each in found[:40] if rows.takes(each["request_id"])}
    assert 5 < len(wanted) < 35
    assert sorted(each.request_id for each in logged) == sorted(wanted)
    for each in logged:
        assert each.user_id == wanted[each.request_id]["user_id"]
        assert list(each.items or ()) == ids_of(wanted[each.request_id])
        assert each.service_hash == engine.rows.service_hash != ""


def test_answers_without_a_log_are_the_same(trained, engine):
    logged = make_engine(trained, exposures=ExposureLog(KeptSink()))
    fields = {"user_id": "u001", "context": {"timestamp": "1970-06-01T00:00:00Z"}}

    assert ask(logged, **fields)["items"] == ask(engine, **fields)["items"]
    logged.close()
    logged.exposures.close()  # type: ignore[union-attr]
