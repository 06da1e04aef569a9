"""What asks for attention, and what does not."""

from pathlib import Path

import polars as pl

from marquee import schema
from marquee.features.report.attention import Finding, findings
from marquee.features.report.config import ReportConfig
from marquee.features.report.measure import ViewPromise, measure_state
from tests.marquee.features.report.state import PROMISE, Row, folder_of, view_table

VIEW = schema.MOVIE_STATISTICS_VIEW
EVENTS, RATING = schema.ITEM_EVENTS_ALL, schema.ITEM_RATING_MEAN


def rows(n: int, day: float = 4, **features: float) -> list[Row]:
    varied = {name: float for name in schema.FEATURE_VIEWS[VIEW] if name not in features}
    return [(f"m{k}", day, {**{name: float(k) for name in varied}, **features}) for k in range(n)]


def found(root: Path, *builds: list[Row], promise: ViewPromise = PROMISE, **config: float) -> list[Finding]:
    for build in builds:
        folder_of(root, {VIEW: view_table(VIEW, build)})
    settings = ReportConfig(**config)
    return findings(measure_state(root, "d", promises={VIEW: promise}, config=settings), settings)


def kinds(listed: list[Finding]) -> set[tuple[str, str | None]]:
    return {(each.kind, each.feature) for each in listed}


def test_a_healthy_state_asks_for_nothing(tmp_path: Path):
    assert found(tmp_path, rows(200)) == []


def test_two_equal_states_ask_for_nothing(tmp_path: Path):
    moved = [*rows(199), ("m199", 4.0, rows(1)[0][2])]  # one row differs: another state

    assert found(tmp_path, rows(200), moved) == []


def test_a_view_behind_the_state_is_late_beyond_its_promise_only(tmp_path: Path):
    # the state's last moment is day 4
    assert kinds(found(tmp_path / "a", rows(200, day=3))) == set()
    assert kinds(found(tmp_path / "b", rows(200, day=2.99))) == {("stale", None)}


def test_expired_rows_and_the_nulls_they_become_are_found(tmp_path: Path):
    limited = ViewPromise("", "", slo_hours=999, ttl_seconds=86_400, is_static=False)

    listed = found(tmp_path, rows(200, day=2), promise=limited)

    assert ("expired", None) in kinds(listed)
    assert ("unknown", EVENTS) in kinds(listed)


def test_keys_that_vanished_are_found(tmp_path: Path):
    assert ("keys", None) in kinds(found(tmp_path, rows(200), rows(190)))


def without_rating(every: int) -> list[Row]:
    """200 rows, of which each so many has no rating."""
    return [
        (key, day, features | ({RATING: None} if n % every == 0 else {}))
        for n, (key, day, features) in enumerate(rows(200))
    ]


def test_nulls_that_jumped_are_found_and_a_small_change_is_not(tmp_path: Path):
    assert kinds(found(tmp_path / "some", rows(200), without_rating(7))) == {("null", RATING)}  # 29 of 200
    assert kinds(found(tmp_path / "few", rows(200), without_rating(25))) == set()  # 8 of 200


def test_a_distribution_that_moved_is_found(tmp_path: Path):
    moved = [(key, day, features | {EVENTS: features[EVENTS] + 150}) for key, day, features in rows(200)]

    listed = found(tmp_path, rows(200), moved)

    assert kinds(listed) == {("drift", EVENTS)}
    assert listed[0].severity == "high"
    assert found(tmp_path, drift_moderate=1e6, drift_high=1e6) == []


def test_constant_unknown_and_not_finite_features_are_found(tmp_path: Path):
    odd = rows(200, **{EVENTS: 3.0, RATING: None, schema.ITEM_TREND_7D: float("nan")})

    assert kinds(found(tmp_path, odd)) == {
        ("constant", EVENTS),
        ("unknown", RATING),
        ("value", schema.ITEM_TREND_7D),
    }


def test_one_row_is_not_constant(tmp_path: Path):
    assert found(tmp_path, rows(1)) == []


def test_a_view_without_rows_is_found_once(tmp_path: Path):
    folder_of(tmp_path, {VIEW: pl.DataFrame(schema=schema.view_columns(VIEW))})

    assert kinds(found(tmp_path)) == {("unknown", None)}


def test_severe_findings_come_first(tmp_path: Path):
    severities = [each.severity for each in found(tmp_path, rows(200, day=1, **{EVENTS: 3.0}))]

    assert severities == ["high", "moderate"]
