"""One store, the whole way: plan, apply, materialise, read online and back in time, push, watch."""

from datetime import timedelta
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from feast import FeatureService
from feast.field import Field
from feast.project import Project
from feast.types import Int64
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marquee import schema
from marquee.adapters.feast import materialise, online
from marquee.adapters.feast.redis import (
    QuickRedisOnlineStore,
    QuickRedisOnlineStoreConfig,
    _PatientRedisOnlineStore,
)
from marquee.errors import ContractError, FeatureStoreError, SourceError
from marquee.features.state import StateFolder, build_state, update_state
from marquee.features.state.activity import user_activity
from marquee.features.state.events import resolved
from tests.factories import DAY_S, event_table
from tests.marquee.adapters.feast.place import (
    EPOCH,
    REPO,
    ROWS,
    TABLES,
    answered_alike,
    at,
    build,
    door,
    filled,
    same,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    """Brought online at day 14; nothing in this module writes to it."""
    return filled(tmp_path_factory.mktemp("feast"), until=at(14))


# --- plan and apply ------------------------------------------------------------------------------------


def test_plan_of_a_new_store_creates_everything_and_writes_nothing(tmp_path: Path):
    made = door(tmp_path)

    plan = made.plan(made.declarations(REPO))

    assert {change.action for change in plan.changes} == {"create"}
    assert {change.label for change in plan.changes} >= {
        "entity:user",
        "view:user_activity",
        "service:ranking_v1",
    }
    assert not (tmp_path / "registry.db").exists()


def test_plan_after_apply_is_empty_and_apply_again_changes_nothing(store):
    assert store.plan(store.declarations(REPO)).changes == ()


def test_apply_of_a_changed_description_is_shown_and_done(tmp_path: Path):
    made = door(tmp_path)
    made.apply(made.declarations(REPO))
    declared = made.declarations(REPO)
    declared.views["user_profile"].description = "Other words."

    plan = made.apply(declared)

    assert [(change.action, change.label) for change in plan.changes] == [("update", "view:user_profile")]
    assert "Other words." in plan.changes[0].details[0]
    assert made.plan(declared).changes == ()


def test_apply_of_a_changed_meaning_under_the_old_name_is_refused(tmp_path: Path):
    made = door(tmp_path)
    made.apply(made.declarations(REPO))
    fewer = made.declarations(REPO)
    fewer.services["candidates_v1"] = FeatureService(
        name="candidates_v1", features=[fewer.views["user_activity"][["user_last_us"]]]
    )
    retyped = made.declarations(REPO)
    view = retyped.views["user_profile"]
    view.features = [Field(name=field.name, dtype=Int64) for field in view.features]
    for part in retyped.services["ranking_v1"].feature_view_projections:
        if part.name == view.name:
            part.features = view.features
    aged = made.declarations(REPO)
    aged.views["movie_statistics"].ttl = timedelta(days=9)

    for declared, seen in ((fewer, "user_events_all"), (retyped, "Int64"), (aged, "604800 → 777600")):
        with pytest.raises(FeatureStoreError, match="would change its meaning") as refusal:
            made.apply(declared)
        assert seen in refusal.value.problem
        assert "_v2" in refusal.value.remedy
    assert made.plan(made.declarations(REPO)).changes == ()


def test_deletion_happens_only_where_it_is_named(tmp_path: Path):
    made = door(tmp_path)
    made.apply(made.declarations(REPO))
    declared = made.declarations(REPO)
    del declared.services["candidates_v1"]

    with pytest.raises(FeatureStoreError, match="service:candidates_v1 would be deleted"):
        made.apply(declared)
    with pytest.raises(FeatureStoreError, match="view:user_profile is not to be deleted"):
        made.apply(declared, deletions=["service:candidates_v1", "view:user_profile"])
    made.apply(declared, deletions=["service:candidates_v1"])

    with pytest.raises(FeatureStoreError, match="candidates_v1"):
        made.service("candidates_v1")


# --- online and offline -------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["u0", "u1", "u2", "nobody"])
def test_online_row_of_a_user_equals_the_row_of_history(store, user: str):
    moment = at(14)

    row = store.get_user_row("ranking_v1", user, now=moment)

    labels = pl.DataFrame({"user_id": [user], schema.EVENT_TIMESTAMP: [moment]})
    history = store.historical("ranking_v1", labels, views=["user_profile", "user_activity"]).row(
        0, named=True
    )
    assert {name: value for name, value in row.values.items() if not same(value, history[name])} == {}
    assert row.is_known == (user != "nobody")


@pytest.mark.parametrize("user", ["u0", "u1", "u2", "nobody"])
@pytest.mark.parametrize("service", ["ranking_v1", "candidates_v1"])
def test_online_row_of_a_user_is_feasts_own_answer(store, service: str, user: str):
    assert answered_alike(store, service, user, now=at(14))


def test_online_rows_of_all_movies_equal_the_rows_of_history_within_the_limit_of_age(store):
    moment = at(14)
    items = ["a", "b", "c", "nothing"]
    views = ["movie_profile", "movie_statistics", "movie_publicity"]
    labels = pl.DataFrame({"item_id": items}).with_columns(pl.lit(moment).alias(schema.EVENT_TIMESTAMP))

    history = store.historical("ranking_v1", labels, views=views)

    refs = store._refs("ranking_v1", views)
    answer = store.store.get_online_features(refs, [{"item_id": item} for item in items]).to_dict()
    for ref in refs:
        name = ref.partition(":")[2]
        wanted = history[name].to_list()
        assert all(map(same, answer[name], wanted)), (name, answer[name], wanted)


def test_expired_row_is_null_online_and_offline_and_one_at_the_edge_is_not(store):
    labels = pl.DataFrame({"item_id": ["a", "a"], schema.EVENT_TIMESTAMP: [at(20), at(20.001)]})

    history = store.historical("ranking_v1", labels, views=["movie_statistics"])  # the last row is of day 13

    assert history[schema.ITEM_EVENTS_ALL].to_list() == [2.0, None]
    lookup = online.UserLookup(
        store.store,
        {"user_last_us": "user_activity"},
        {"user_activity": 7 * DAY_S},
    )
    edge = at(12 + 7)
    assert lookup.read("u1", now=edge).values == {"user_last_us": 12 * DAY_S * 1_000_000}
    late = lookup.read("u1", now=edge + timedelta(seconds=1))
    assert late.values == {"user_last_us": None}
    assert not late.is_known


def test_history_keeps_every_label_row_in_its_place(store):
    labels = pl.DataFrame(
        {
            "label": range(6),
            "user_id": ["u1", "u0", None, "u0", "u0", "nobody"],
            "item_id": ["a", "a", "b", "c", "a", None],
            schema.EVENT_TIMESTAMP: [at(20), at(0), at(5), at(5), at(0), at(5)],
        }
    )

    answer = store.historical("ranking_v1", labels)

    assert answer.select(labels.columns).equals(labels.cast(dict(answer.select(labels.columns).schema)))
    assert answer[schema.USER_EVENTS_ALL].to_list() == [2, 1, None, 2, 1, None]


def test_history_a_second_before_an_event_does_not_know_it(store):
    labels = pl.DataFrame(
        {"user_id": ["u1", "u1"], schema.EVENT_TIMESTAMP: [at(12) - timedelta(seconds=1), at(12)]}
    )

    answer = store.historical("candidates_v1", labels)

    assert answer[schema.USER_HISTORY_ITEMS].to_list() == [["a"], ["a", "c"]]


def test_history_without_a_key_is_one_clear_error(store):
    with pytest.raises(ContractError, match="user_id"):
        store.historical("candidates_v1", pl.DataFrame({"item_id": ["a"], schema.EVENT_TIMESTAMP: [at(1)]}))


# --- materialise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spacing_s", "span_rows", "resumed_at", "steps"),
    [
        (1, 1, 3, [3, 6, 7]),  # in one week, which is never split
        (4 * DAY_S, 1, 2, [2, 4, 5, 7]),  # in four weeks of 2, 2, 1 and 2 keys, each read by itself
        (4 * DAY_S, 5, 3, [3, 5, 7]),  # the first three read together
    ],
)
def test_materialise_that_died_goes_on_where_it_was(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spacing_s: int,
    span_rows: int,
    resumed_at: int,
    steps: list[int],
):
    rows = [(f"u{number}", "a", DAY_S + spacing_s * number) for number in range(7)]
    build_state(tmp_path, event_table(rows))
    made, journal = door(tmp_path), tmp_path / "journal.json"
    made.apply(made.declarations(REPO))
    monkeypatch.setattr(materialise, "WRITE_ROWS", 3)
    monkeypatch.setattr(materialise, "SPAN_ROWS", span_rows)
    write, calls = materialise.write_newer, []

    def dies_at_the_second_batch(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(*arguments)

    monkeypatch.setattr(materialise, "write_newer", dies_at_the_second_batch)
    window = {"start": EPOCH, "end": at(40), "views": ["user_activity"], "journal": journal}
    with pytest.raises(KeyboardInterrupt):
        made.materialise(**window)
    heard = []

    report = door(tmp_path).materialise(**window, on_progress=lambda *step: heard.append(step))[0]

    assert (report.rows, report.resumed_at, report.written) == (7, resumed_at, 7 - resumed_at)
    assert heard == [("user_activity", step, 7) for step in steps]
    for number in range(7):
        row = made.get_user_row("candidates_v1", f"u{number}", now=at(40))
        assert row.values[schema.USER_LAST_US] == (DAY_S + spacing_s * number) * 1_000_000
    assert door(tmp_path).materialise(**window)[0].resumed_at == 0


def test_materialise_after_another_build_does_not_resume(tmp_path: Path):
    build_state(tmp_path, event_table([("u0", "a", 0)]))
    made, journal = door(tmp_path), tmp_path / "journal.json"
    made.apply(made.declarations(REPO))
    journal.write_text('{"user_activity": {"run": "of another state", "rows": 1}}')

    report = made.materialise(start=EPOCH, end=at(1), views=["user_activity"], journal=journal)[0]

    assert (report.resumed_at, report.written) == (0, 1)


def test_materialise_of_an_older_window_does_not_take_newer_rows_back(tmp_path: Path):
    made = filled(tmp_path, until=at(14))

    reports = made.materialise(start=EPOCH, end=at(1), views=["user_activity"])

    assert [(report.rows, report.written) for report in reports] == [(1, 0)]
    assert made.get_user_row("candidates_v1", "u0", now=at(14)).values[schema.USER_EVENTS_ALL] == 2


def test_materialise_from_the_earliest_changed_event_brings_late_events_online(tmp_path: Path):
    made = filled(tmp_path, until=at(14))
    report = update_state(tmp_path, event_table([("u0", "z", DAY_S)]), tables=TABLES)
    assert report.changed_since_us is not None

    made.materialise(start=EPOCH + timedelta(microseconds=report.changed_since_us), end=at(14))

    row = made.get_user_row("candidates_v1", "u0", now=at(14))
    assert row.values[schema.USER_HISTORY_ITEMS] == ["a", "z", "b"]


@pytest.mark.parametrize("window", [(at(2), at(1)), (at(1).replace(tzinfo=None), at(2))])
def test_materialise_of_a_window_that_is_none_is_refused(store, window):
    with pytest.raises(ContractError, match="is none"):
        store.materialise(start=window[0], end=window[1])


# --- push -----------------------------------------------------------------------------------------------

EXAMPLES = count()
PUSHED = st.lists(
    st.tuples(
        st.sampled_from(["u0", "u1"]),
        st.sampled_from(["a", "b", "c"]),
        # Several within one second. Not 1970-01-01 00:00, which stores can't tell from missing.
        st.sampled_from([1, 1 + 1e-6, 1 + 2e-6, 1.5, 2, DAY_S, 2 * DAY_S]),
        st.sampled_from([None, 3.0]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(PUSHED, st.randoms())
def test_pushes_in_any_order_end_in_the_row_of_the_batch_build(pushed_store, rows, random):
    seen: list = []
    example = next(EXAMPLES)
    user_of = {name: f"{name}-{example}" for name in ("u0", "u1")}  # clean users each time
    rows = [(user_of[row[0]], *row[1:]) for row in rows]
    stale = []
    for row in rows:
        seen.append(row)
        state = user_activity(resolved(event_table(seen)))
        newest = state.filter(pl.col("user_id") == row[0])[-1:]
        stale.append(newest)
        pushed_store.push("user_activity", newest)
    random.shuffle(stale)
    final = user_activity(resolved(event_table(rows)))
    for user in {row[0] for row in rows}:
        newest = final.filter(pl.col("user_id") == user)[-1:]
        pushed_store.push(
            "user_activity", pl.concat([newest, *[old for old in stale if _older(old, newest)]])
        )
        for old in stale:
            if _older(old, newest):
                assert pushed_store.push("user_activity", old).written == 0

        wanted = newest.row(0, named=True)
        row = pushed_store.get_user_row("candidates_v1", user, now=at(14))
        assert {name: value for name, value in row.values.items() if not same(value, wanted[name])} == {}


def _older(row: pl.DataFrame, than: pl.DataFrame) -> bool:
    time = schema.EVENT_TIMESTAMP
    return bool(row["user_id"][0] == than["user_id"][0] and row[time][0] < than[time][0])


@pytest.fixture(scope="module")
def pushed_store(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("pushed")
    build(root)
    made = door(root)
    made.apply(made.declarations(REPO))
    return made


def test_push_of_a_wrong_type_names_column_and_type(store):
    rows = StateFolder(Path(store.profile.state_root).parent).scan("user_activity").collect()
    text = rows.with_columns(pl.col(schema.USER_EVENTS_ALL).cast(pl.String))

    with pytest.raises(
        ContractError, match="'user_events_all' of rows for user_activity is String, not Int64"
    ):
        store.push("user_activity", text)
    with pytest.raises(ContractError, match="lack column 'user_rating_mean'"):
        store.push("user_activity", rows.drop("user_rating_mean"))
    with pytest.raises(ContractError, match="no column 'colour'"):
        store.push("user_activity", rows.with_columns(colour=pl.lit("red")))
    with pytest.raises(ContractError, match="'user_id' of rows for user_activity holds null"):
        store.push("user_activity", rows.with_columns(user_id=pl.lit(None, pl.String)))


def test_push_to_an_unknown_view_is_refused(store):
    with pytest.raises(FeatureStoreError, match="no view 'user_mood'"):
        store.push("user_mood", pl.DataFrame())


# --- what goes wrong ------------------------------------------------------------------------------------


def test_reading_before_apply_says_that_there_is_no_registry(tmp_path: Path):
    with pytest.raises(FeatureStoreError, match="there is no registry"):
        door(tmp_path).get_user_row("ranking_v1", "u0", now=at(1))


def test_registry_of_another_version_is_refused(tmp_path: Path):
    made = door(tmp_path)
    made.apply(made.declarations(REPO))
    made.store.apply([Project(name="marquee", tags={"marquee_registry_version": "99"})])

    with pytest.raises(FeatureStoreError, match="is of version 99"):
        _ = door(tmp_path).views


def test_damaged_registry_is_one_clear_error(tmp_path: Path):
    made = door(tmp_path)
    made.apply(made.declarations(REPO))
    (tmp_path / "registry.db").write_bytes(b"\xff\xfe no registry")

    with pytest.raises(FeatureStoreError, match="damaged or of another version"):
        _ = door(tmp_path).views


def test_service_of_another_meaning_than_the_model_knows_is_refused(store):
    store.require_service("ranking_v1", store.service_hash("ranking_v1"))

    with pytest.raises(FeatureStoreError, match="the model was made with"):
        store.require_service("ranking_v1", "0" * 64)


def test_state_that_was_removed_is_one_clear_error(tmp_path: Path):
    made = door(tmp_path)
    made.apply(made.declarations(REPO))

    with pytest.raises(SourceError, match="user_profile"):
        made.materialise(start=EPOCH, end=at(1), views=["user_profile"])


# --- status ---------------------------------------------------------------------------------------------


def test_status_tells_rows_newest_and_what_is_late(store):
    views = {view.view: view for view in store.status(now=at(14))}

    activity, statistics = views["user_activity"], views["movie_statistics"]
    assert (activity.rows, activity.newest, activity.materialised_to) == (len(ROWS), at(12), at(14))
    assert activity.age_hours == 48
    assert activity.is_late
    assert statistics.newest == at(13)
    assert not statistics.is_late
    assert views["user_profile"].age_hours is None


# --- Redis, as far as no server is needed (test_redis.py has one) ----------------------------------------


def test_reads_from_redis_are_asked_once_and_writes_may_take_longer():
    config = QuickRedisOnlineStoreConfig(connection_string="127.0.0.1:1,socket_timeout=0.05")
    reader, writer = QuickRedisOnlineStore(), _PatientRedisOnlineStore()

    read, write = (store._get_client(config).connection_pool.connection_kwargs for store in (reader, writer))

    assert read["socket_timeout"] == 0.05
    assert read["retry"].get_retries() == 0
    assert write["socket_timeout"] == 10.0
