from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from marquee import schema
from marquee.errors import ConfigError
from marquee.monitoring.quality import QualityConfig, QualityReport, look_at
from marquee.monitoring.quality_profile import Baseline, profile_of

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000


def users(n: int = 100, **columns: pl.Expr) -> pl.DataFrame:
    number = pl.int_range(n, eager=True)
    plain = pl.DataFrame(
        {
            "user_id": [f"u{each}" for each in range(n)], "age": 20 + number % 40, "gender": ["F"] * n,
            "location": ["Oslo"] * n, "occupation": ["cook"] * n, "maturity_limit": [18] * n,
        },
        schema=schema.USERS_SCHEMA,
    )  # fmt: skip
    return plain.with_columns(**columns)


def events(n: int = 400, *, hours: int = 1, **columns: pl.Expr) -> pl.DataFrame:
    plain = pl.DataFrame(
        {
            "user_id": [f"u{each % 100}" for each in range(n)],
            "item_id": [f"m{each % 7}" for each in range(n)],
            "interaction_type": ["rating"] * n,
            "timestamp": [BEGIN + timedelta(hours=hours * each) for each in range(n)],
            "value": [1.0 + each % 5 for each in range(n)],
        },
        schema={name: schema.INTERACTIONS_SCHEMA[name] for name in (*schema.REQUIRED_COLUMNS, "value")},
    )
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in schema.INTERACTIONS_SCHEMA.items()]
    return plain.with_columns(
        each for each in absent if each.meta.output_name() not in plain.columns
    ).with_columns(**columns)


def movies() -> pl.DataFrame:
    known = {"item_id": [f"m{each}" for each in range(7)], "year": [1990] * 7}
    columns = {name: known.get(name, [None] * 7) for name in schema.MOVIES_SCHEMA}
    return pl.DataFrame(columns, schema=schema.MOVIES_SCHEMA)


def look(now: dict[str, pl.DataFrame], *before: dict[str, pl.DataFrame], **config) -> QualityReport:
    """Of tables, by earlier ones."""
    baseline = Baseline()
    for number, tables in enumerate(before):
        baseline = baseline.with_profile(look_at(f"past {number}", tables, Baseline()).profile)
    return look_at("now", now, baseline, config=QualityConfig(**{"sampling_slack": 0, **config}))


def named(report: QualityReport) -> list[str]:
    return [f"{each.source}: {each.name}" for each in report.failed]


WHOLE = {"users": users(), "interactions": events(), "movies": movies()}


def test_feeds_like_those_before_pass():
    report = look(WHOLE, WHOLE)

    assert (report.verdict, report.words) == ("pass", ())
    assert len(report.checks) > 40


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ({"age": pl.lit(None, pl.Int16)}, "users: nulls of age"),
        ({"age": pl.when(pl.int_range(pl.len()) < 94).then("age")}, "users: nulls of age"),
        ({"age": pl.lit(-1, pl.Int16)}, "users: default values of age"),
        ({"age": pl.lit(999, pl.Int16)}, "users: impossible values of age"),
        ({"occupation": pl.lit("N/A")}, "users: default values of occupation"),
        ({"user_id": pl.lit("u1")}, "users: repeats of user_id"),
        ({"user_id": pl.lit(None, pl.String)}, "users: nulls of user_id"),
        (
            {"age": pl.col("age").cast(pl.String)},
            "users: columns that fit the schema (age is String, should be Int16)",
        ),
    ],
)
def test_fault_of_a_column_blocks_and_is_named(fault: dict[str, pl.Expr], found: str):
    report = look({**WHOLE, "users": users(**fault)}, WHOLE)

    assert report.verdict == "block"
    assert found in named(report)


def test_nulls_up_to_the_margin_above_the_baseline_pass():
    half = {**WHOLE, "users": users(age=pl.when(pl.int_range(pl.len()) < 50).then("age"))}
    five_more = {**WHOLE, "users": users(age=pl.when(pl.int_range(pl.len()) < 45).then("age"))}
    six_more = {**WHOLE, "users": users(age=pl.when(pl.int_range(pl.len()) < 44).then("age"))}

    assert look(five_more, half).verdict == "pass"
    assert look(six_more, half).words == ("users: nulls of age = 0.56, should be at most 0.55",)


def test_small_window_may_leave_the_limit_by_its_standard_errors():
    half = {"users": users(age=pl.when(pl.int_range(pl.len()) < 50).then("age"))}

    # 0.55 + 3 · √(0.55 · 0.45 / 100) = 0.699
    inside = {"users": users(age=pl.when(pl.int_range(pl.len()) < 31).then("age"))}
    beyond = {"users": users(age=pl.when(pl.int_range(pl.len()) < 30).then("age"))}
    assert look(inside, half, sampling_slack=3).verdict == "pass"
    assert look(beyond, half, sampling_slack=3).verdict == "block"


def test_feed_that_was_as_small_before_is_no_smaller_than_usual():
    usual = [{"interactions": events(size)} for size in (400, 400, 400, 100)]

    assert look({"interactions": events(100)}, *usual).verdict == "pass"
    assert "interactions: rows" in named(look({"interactions": events(99)}, *usual))


def test_first_look_judges_what_needs_no_past():
    empty_by_nature = {**WHOLE, "users": users(age=pl.lit(None, pl.Int16))}

    assert look(empty_by_nature).verdict == "pass"
    assert look({**WHOLE, "users": users(age=pl.lit(-1, pl.Int16))}).verdict == "block"


def test_missing_column_is_named():
    report = look({"users": users().drop("gender")})

    assert "gender is missing" in report.words[0]


def test_ratings_off_their_scale_block():
    doubled = {**WHOLE, "interactions": events(value=pl.col("value") * 2)}
    thumbs = {
        **WHOLE,
        "interactions": events(value=pl.when(pl.col("value") > 3).then(5.0).otherwise(1.0).cast(pl.Float32)),
    }

    # 2, 4, 6, 8 and 10 in equal parts: three of them were never given before
    assert "interactions: ratings off their scale = 0.6, should be at most 0.01" in look(doubled, WHOLE).words
    gone = "interactions: earlier ratings of a value that is gone = 0.6, should be at most 0.05"
    assert look(thumbs, WHOLE).words == (gone,)  # 2, 3 and 4 of five values in equal parts


def test_ratings_that_are_no_scale_any_more_block():
    spread = {**WHOLE, "interactions": events(value=(pl.int_range(pl.len()) / 100).cast(pl.Float32))}

    assert "interactions: ratings on a scale" in named(look(spread, WHOLE))


def test_half_of_the_usual_rows_pass_and_fewer_block():
    usual = [{"interactions": events(size)} for size in (380, 400, 420)]

    assert look({"interactions": events(200)}, *usual).verdict == "pass"
    assert "interactions: rows" in named(look({"interactions": events(199)}, *usual))


def test_volume_is_that_of_the_same_weekday_where_enough_are_known():
    weekend = [{"interactions": events(size)} for size in (40, 44)]
    baseline = Baseline()
    for number, tables in enumerate([{"interactions": events(400)}] * 5 + weekend):
        seen = look_at(f"past {number}", tables, Baseline(), weekday=6 if number >= 5 else number + 1)
        baseline = baseline.with_profile(seen.profile)

    sunday = look_at("now", {"interactions": events(30)}, baseline, weekday=6)
    monday = look_at("now", {"interactions": events(30)}, baseline, weekday=1)

    assert "interactions: rows" not in named(sunday)
    assert "interactions: rows" in named(monday)


def test_newest_week_far_below_those_before_it_warns():
    months = events(28 * 24)
    last_week_thin = months.filter((pl.int_range(pl.len()) < 21 * 24) | (pl.int_range(pl.len()) % 4 == 0))
    older = events(36 * 24).filter(pl.int_range(pl.len()) < 35 * 24)

    assert look({"interactions": older}).verdict == "pass"
    thin = pl.concat([older, last_week_thin.tail(1).with_columns(timestamp=BEGIN + timedelta(days=41))])
    report = look({"interactions": thin})
    assert (report.verdict, named(report)) == ("warn", ["interactions: rows of the newest week"])


def test_events_of_users_that_the_table_lacks_block_where_it_had_them():
    report = look({**WHOLE, "users": users(90)}, WHOLE)

    assert named(report) == ["interactions: rows that users knows"]
    assert look({**WHOLE, "users": users(30)}).verdict == "warn"  # 30 % are known; it may have been so ever


def test_age_of_the_newest_event_counts_where_it_is_asked_for():
    newest_us = int(events()["timestamp"].dt.epoch("us").max())
    tables, config = {"interactions": events()}, QualityConfig(max_age_hours=2)

    fresh = look_at("now", tables, Baseline(), config=config, now_us=newest_us + 2 * HOUR_US)
    stale = look_at("now", tables, Baseline(), config=config, now_us=newest_us + 3 * HOUR_US)

    assert fresh.verdict == "pass"
    assert stale.words == ("interactions: hours since the newest row = 3, should be at most 2",)


def test_snapshot_is_not_measured_by_its_own_earlier_look():
    thin = look_at("same", {"interactions": events(10)}, Baseline())
    again = look_at("same", {"interactions": events(400)}, Baseline().with_profile(thin.profile))

    assert "interactions: rows" not in {f"{each.source}: {each.name}" for each in again.checks}


def test_baseline_keeps_the_newest_looks_and_survives_a_round_trip():
    baseline = Baseline()
    for number in range(30):
        baseline = baseline.with_profile(
            look_at(f"{number}", {"users": users(10 + number)}, Baseline()).profile
        )

    again = Baseline.from_json(baseline.model_dump_json(), where="the test")

    assert again == baseline
    assert [each.id for each in again.profiles] == [str(number) for number in range(2, 30)]


def test_baseline_that_is_torn_is_refused():
    with pytest.raises(ConfigError, match="a file holds no quality baseline"):
        Baseline.from_json("{", where="a file")


def test_empty_table_has_a_profile():
    profile = profile_of("interactions", events(0))

    assert (profile.rows, profile.newest_us, profile.rating_shares) == (0, None, None)
    assert look({"interactions": events(0)}, WHOLE).verdict == "block"
