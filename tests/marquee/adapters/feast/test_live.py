"""Events pushed one by one through a real store: after each, the row is the build's."""

from itertools import count
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marquee import schema
from marquee.adapters.feast.live import LiveReport, LiveUsers, state_events
from marquee.errors import ContractError, FeatureStoreError
from marquee.features.state import StateFolder, update_state
from marquee.features.state.activity import user_activity
from marquee.features.state.events import resolved
from tests.factories import DAY_S, HOUR_S, event_table
from tests.marquee.adapters.feast.place import REPO, TABLES, at, build, door, filled, same

EXAMPLES = count()
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["u0", "u1"]),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([1, 1 + 1e-6, 1.5, HOUR_S, DAY_S, 9 * DAY_S]),
        st.sampled_from([None, 3.0, 0.1]),
        st.sampled_from(["rating", "view", "impression"]),
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("live")
    build(root)
    made = door(root)
    made.apply(made.declarations(REPO))
    return made


def differences(store, user: str, rows) -> dict:
    """Features of the online row that are not those of the build's newest."""
    online = store.get_user_row("ranking_v1", user, now=at(14)).values
    table = user_activity(resolved(event_table(rows))).filter(pl.col("user_id") == user)
    wanted = table.row(-1, named=True) if len(table) else dict.fromkeys(table.columns)
    names = schema.FEATURE_VIEWS["user_activity"]
    return {name: online[name] for name in names if not same(online[name], wanted[name])}


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(EVENTS)
def test_events_pushed_one_by_one_in_any_order_end_in_the_row_of_the_build(store, rows):
    example = next(EXAMPLES)
    rows = [(f"{row[0]}-{example}", *row[1:]) for row in rows]  # clean users each time
    live = LiveUsers(store)

    for done, row in enumerate([*rows, *rows], start=1):  # all of them again: redelivered
        live.push(event_table([row]))

        assert differences(store, row[0], rows[:done]) == {}


def test_batch_of_events_is_counted(store):
    rows = [("x", "a", 1, 3.0), ("x", "a", 1, 3.0), ("y", "a", 2), ("z", "a", 2, None, "impression")]

    assert LiveUsers(store).push(event_table(rows)) == LiveReport(events=2, users=2, written=2, superseded=0)
    assert LiveUsers(store).push(event_table(rows[3:])) == LiveReport(0, 0, 0, 0)


def test_row_that_is_missing_online_begins_with_the_events_of_the_state(tmp_path: Path):
    build(tmp_path)
    made = door(tmp_path)
    made.apply(made.declarations(REPO))  # nothing is materialised

    LiveUsers(made, older_events=state_events(StateFolder(tmp_path))).push(
        event_table([("u0", "c", 9 * DAY_S)])
    )

    row = made.get_user_row("candidates_v1", "u0", now=at(14))
    assert row.values[schema.USER_HISTORY_ITEMS] == ["a", "b", "c"]


def test_cut_history_is_completed_from_the_state_through_late_and_repeated_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(schema, "HISTORY_WIDTH", 2)
    old = [("u", item, day * DAY_S, 3.0) for day, item in enumerate("abcdef", start=1)]
    new = [("u", "g", 7 * DAY_S, 5.0), ("u", "h", 2.5 * DAY_S, 1.0), ("u", "b", 8 * DAY_S, 2.0)]
    build(tmp_path, old)
    made = door(tmp_path)
    made.apply(made.declarations(REPO))
    made.materialise(start=at(0), end=at(14), views=["user_activity"])
    live = LiveUsers(made, older_events=state_events(StateFolder(tmp_path)))

    for done, row in enumerate(new, start=1):
        live.push(event_table([row]))

        assert differences(made, "u", [*old, *new[:done]]) == {}
    restarted = LiveUsers(made, older_events=state_events(StateFolder(tmp_path)))
    with pytest.raises(FeatureStoreError, match="the state is older"):  # "h" is in no history, and not built
        restarted.push(event_table(new[:1]))
    update_state(tmp_path, event_table(new), tables=TABLES)
    for user in (restarted, live):
        user.push(event_table([("u", "i", 9 * DAY_S)]))
        assert differences(made, "u", [*old, *new, ("u", "i", 9 * DAY_S)]) == {}
    assert live._unbuilt["u"][schema.ITEM_ID].to_list() == ["i"]  # what the state holds is not kept


def test_online_row_after_pushes_is_the_row_of_the_updated_state(tmp_path: Path):
    made = filled(tmp_path, until=at(14))
    new = event_table([("u0", "z", DAY_S), ("u1", "b", 13 * DAY_S, 1.0), ("new", "a", 13 * DAY_S)])
    LiveUsers(made, older_events=state_events(StateFolder(tmp_path))).push(new)

    update_state(tmp_path, new, tables=TABLES)

    labels = pl.DataFrame({"user_id": ["u0", "u1", "new"]}).with_columns(event_timestamp=at(14))
    history = made.historical("ranking_v1", labels, views=["user_profile", "user_activity"])
    for wanted in history.iter_rows(named=True):
        row = made.get_user_row("ranking_v1", wanted["user_id"], now=at(14))
        assert {name: value for name, value in row.values.items() if not same(value, wanted[name])} == {}


def test_events_without_a_column_are_refused(store):
    with pytest.raises(ContractError, match="lack column 'item_id'"):
        LiveUsers(store).push(event_table([("u", "a", 1)]).drop("item_id"))
