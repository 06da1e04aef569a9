"""A log asked again: each difference is told with its view, feature and cause, and no other is."""

import math
from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.adapters.feast.live import LiveUsers, state_events
from marquee.adapters.feast.parity import ParityConfig, ParityReport, differing, replay
from marquee.errors import FeatureStoreError, SourceError
from marquee.features.request_log import LoggedRequest, logging_to
from marquee.features.state import StateFolder, build_state, update_state
from tests.factories import DAY_S, event_table
from tests.marquee.adapters.feast.place import TABLES, at, filled

DAY_US = DAY_S * 1_000_000


class Served:
    """A small store whose requests are logged and asked again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.door = filled(root, until=at(12))
        self.live = LiveUsers(self.door, older_events=state_events(StateFolder(root)))
        self.requests: list[LoggedRequest] = []

    def ask(self, user: str, days: float, *, service: str = "ranking_v1", **row) -> None:
        """Serve at a day's moment; `row` is what is logged otherwise than it was served."""
        moment = at(days)
        values = self.door.get_user_row(service, user, now=moment).values
        self.requests.append(
            LoggedRequest(
                request_id=f"r{len(self.requests)}",
                time_us=int(moment.timestamp() * 1_000_000),
                service=service,
                service_hash=self.door.service_hash(service),
                user_id=user,
                row=values | row,
            )
        )

    def push(self, *rows) -> None:
        """Events now, online."""
        self.live.push(event_table(rows))

    def build(self, *rows) -> None:
        """Events that the state hears of."""
        update_state(self.root, event_table(rows), tables=TABLES)

    def replay(self, **config) -> ParityReport:
        """Write the log and ask it again."""
        log = self.root / "log.jsonl"
        log.unlink(missing_ok=True)
        with logging_to(log) as logger:
            for request in self.requests:
                logger.write(request)
        events = state_events(StateFolder(self.root))
        return replay(self.door, log, config=ParityConfig(**config), events_of=events)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def test_requests_of_both_services_in_several_chunks_are_equal(served: Served):
    for days in (12, 12.5, 13):
        for user in ("u0", "u1", "u2", "nobody"):
            served.ask(user, days)
            served.ask(user, days, service="candidates_v1")

    report = served.replay(chunk_requests=5)

    assert (report.requests, report.equal, report.differing, report.exit_code) == (24, 24, {}, 0)


def test_request_at_the_microsecond_of_a_pushed_event_knows_it(served: Served):
    new = ("u1", "b", 13 * DAY_S, 1.0)
    served.push(new)
    served.ask("u1", 13)
    served.build(new)

    assert served.replay().exit_code == 0


def test_difference_is_told_by_view_and_feature_with_both_values(served: Served):
    served.ask("u0", 12, user_age=31.0, user_events_1h=7)
    served.ask("u0", 13)

    report = served.replay(examples=1)

    assert (report.requests, report.equal, report.exit_code) == (2, 1, 1)
    assert report.differing == {"user_profile": {"user_age": 1}, "user_activity": {"user_events_1h": 1}}
    (example,) = report.examples
    assert (example.request_id, example.feature, example.served, example.offline) == (
        "r0",
        "user_age",
        31,
        30,
    )
    assert dict(report.causes) == {"other": 1}


def test_event_that_came_after_newer_ones_and_the_request_is_late(served: Served):
    newer, late = ("u1", "b", 13 * DAY_S, 1.0), ("u1", "d", 12.5 * DAY_S, 2.0)
    served.push(newer)
    served.ask("u1", 13.5)
    served.push(late)
    served.ask("u1", 13.6)
    served.build(newer, late)

    report = served.replay()

    assert (report.requests, report.equal, dict(report.causes)) == (2, 1, {"late event": 1})


def test_late_first_choice_of_a_movie_that_was_known_as_chosen_later_is_late(served: Served):
    served.ask("u1", 12.5)
    served.build(("u1", "c", 5 * DAY_S, 1.0), ("u1", "c", 6 * DAY_S, 2.0))  # known: c on day 12

    assert dict(served.replay().causes) == {"late event": 1}


def test_corrected_value_of_a_known_event_is_late(served: Served):
    served.ask("u1", 12.5)
    served.build(("u1", "c", 12 * DAY_S, 1.0))  # was 5.0

    report = served.replay()

    assert dict(report.causes) == {"late event": 1}
    assert report.examples[0].feature == schema.USER_RATING_MEAN


def test_late_event_before_a_history_that_was_cut_is_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schema, "HISTORY_WIDTH", 1)
    served = Served(tmp_path)
    served.ask("u1", 12.5)
    served.build(("u1", "d", 2 * DAY_S, 1.0))  # the row knows "c" of day 12 and that there was one more

    assert dict(served.replay().causes) == {"other": 1}


def test_event_that_no_push_had_brought_by_then_makes_a_stale_row(served: Served):
    served.ask("u1", 13.5)
    served.ask("new", 13.5)
    served.build(("u1", "b", 13 * DAY_S, 1.0), ("new", "b", 13 * DAY_S, 1.0))

    assert dict(served.replay().causes) == {"stale": 2}


def test_event_of_after_the_request_makes_a_row_ahead(served: Served):
    new = ("u1", "b", 13 * DAY_S, 1.0)
    served.push(new)
    served.ask("u1", 12.9)
    served.ask("u1", 12.9, service="candidates_v1")
    served.build(new)

    assert dict(served.replay().causes) == {"ahead": 2}


def test_row_that_no_missing_event_explains_is_other(served: Served):
    served.ask("u1", 12.5, user_events_1h=9)
    served.ask("u1", 12.5, user_history_items=["a", "z"])
    served.ask("u1", 12.5, user_history_items=["a"])
    served.ask("u1", 12.5, user_seen_us=None, user_history_items=None)

    assert dict(served.replay().causes) == {"other": 4}


def test_causes_are_looked_for_in_so_many_requests_only(served: Served):
    for _ in range(3):
        served.ask("u1", 12.5, user_events_1h=9)

    assert dict(served.replay(explained=1).causes) == {"other": 1, "not looked for": 2}


def test_lines_that_hold_no_request_are_counted_and_end_in_an_error(served: Served):
    served.ask("u0", 12)
    served.replay()
    log = served.root / "log.jsonl"
    whole = log.read_bytes()

    log.write_bytes(b"{}\n" + whole + whole[:30])
    report = replay(served.door, log)
    log.write_bytes(whole + whole[:30])
    torn = replay(served.door, log)

    assert (report.requests, report.equal, report.rejected, report.torn, report.exit_code) == (1, 1, 1, 1, 2)
    assert [(line.line, line.field) for line in report.rejections] == [(1, "request_id"), (3, None)]
    assert (torn.rejected, torn.torn, torn.exit_code) == (0, 1, 0)


def test_log_of_a_service_that_means_something_else_now_is_refused(served: Served):
    served.ask("u0", 12)
    served.requests[0] = served.requests[0].model_copy(update={"service_hash": "0" * 64})

    with pytest.raises(FeatureStoreError, match="as 000000000000, and profile local has it as"):
        served.replay()


def test_row_without_one_of_its_services_features_is_refused(served: Served):
    served.ask("u0", 12)
    del served.requests[0].row[schema.USER_AGE]

    with pytest.raises(FeatureStoreError, match="'r0' differs from service ranking_v1 in user_age"):
        served.replay()


def test_log_that_is_missing_is_one_clear_error(served: Served):
    with pytest.raises(SourceError):
        replay(served.door, served.root / "none.jsonl")


def test_state_that_lost_an_event_is_found(served: Served):
    served.ask("u1", 12.5)
    build_state(served.root, event_table([("u1", "c", 12 * DAY_S, 5.0)]), tables=TABLES)

    report = served.replay()

    assert (report.equal, dict(report.causes)) == (0, {"other": 1})


@pytest.mark.parametrize(
    ("dtype", "left", "right", "differs"),
    [
        (pl.Float32, 0.0, -0.0, True),
        (pl.Float32, None, None, False),
        (pl.Float32, None, math.nan, True),
        (pl.Float32, math.nan, -math.nan, False),
        (pl.Float32, 1.0, 1.0000001, True),
        (pl.List(pl.Float32), [math.nan, 1.0], [math.nan, 1.0], False),
        (pl.List(pl.Float32), [0.0], [-0.0], True),
        (pl.List(pl.Float32), [], None, True),
        (pl.List(pl.String), ["a", "b"], ["b", "a"], True),
        (pl.Int64, 2**53, 2**53 + 1, True),
    ],
)
def test_values_are_compared_by_their_bits(dtype, left, right, differs: bool):
    found = differing(pl.Series([left], dtype=dtype), pl.Series([right], dtype=dtype))

    assert found.to_list() == [differs]


def test_request_a_microsecond_before_an_event_does_not_know_it(served: Served):
    new = ("u1", "b", 13 * DAY_S, 1.0)
    served.ask("u1", (13 * DAY_US - 1) / DAY_US)
    served.push(new)
    served.build(new)

    assert served.requests[0].time_us == 13 * DAY_US - 1
    assert served.replay().exit_code == 0
