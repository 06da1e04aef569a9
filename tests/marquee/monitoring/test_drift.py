"""What the calibrated statistics find, and what they leave alone, in a world whose shocks are known."""

from functools import cache

import numpy as np
import polars as pl
import pytest

from marquee.errors import NotEnoughDataError
from marquee.monitoring.calibration import fit_null
from marquee.monitoring.decision import Decision, QualityFacts, WindowFacts
from marquee.monitoring.drift import Calibrated, calibrate, judge_window
from marquee.monitoring.drift_policy import DriftState
from marquee.monitoring.quality import look_at
from marquee.monitoring.quality_profile import Baseline
from marquee.monitoring.signals import QUALITY, SIGNALS, SOURCE_MIX, SURPRISE, Reference
from marquee.monitoring.window import Window, window_of
from tests.factories import event_table
from tests.marquee.monitoring.drift_world import Shock, catalogue, lived, tables

N = 60
STREAMS = 6
HOUR_US = 3_600_000_000


@cache
def past() -> Calibrated:
    return calibrate(lived(800, seed=1))


def z_of(window: Window, known: Calibrated | None = None) -> dict[str, float]:
    known = known or past()
    null = known.null(len(window))
    assert null is not None
    z = null.z(known.reference.measure(window).statistics())
    return dict(zip(SIGNALS, z.tolist(), strict=True))


def facts(number: int, **more: object) -> WindowFacts:
    return WindowFacts(
        window_id=f"w{number}", ended_at_us=number * 30 * HOUR_US, bundle_id="b", users=0, users_in_window=0,
        reference_users=0, pool=0,
    ).model_copy(update=more)  # fmt: skip


def decisions(windows: list[Window], *, quality: QualityFacts | None = None) -> list[Decision]:
    """Of windows one after the other."""
    state, made = DriftState(), []
    for number, window in enumerate(windows):
        made.append(judge_window(past(), window, facts(number), state=state, quality=quality))
        state = made[-1].state_after
    return made


def test_ordinary_windows_hardly_ever_speak():
    crowd = lived(120 * N, seed=2)
    windows = [crowd.take(np.arange(number * N, (number + 1) * N)) for number in range(120)]

    loudest = [max(z_of(window).values()) for window in windows]

    assert np.mean(np.array(loudest) > 3.5) <= 0.03
    assert np.mean(np.array(loudest) > 1.0) > 0.5  # they do say something


def test_ordinary_windows_ask_for_no_training():
    crowd = lived(60 * N, seed=3)
    windows = [crowd.take(np.arange(number * N, (number + 1) * N)) for number in range(60)]

    verdicts = [each.outcome.verdict for each in decisions(windows)]

    assert "retrain" not in verdicts
    assert set(verdicts) <= {"none", "watch"}


SHOCKS = {
    "genre surge": (Shock(surge="Horror"), {"genre_psi", "genre_share_z", "item_bucket_psi"}),
    "influx of new users": (Shock(newcomers=0.6), {"top_score_wasserstein", "history_length_wasserstein"}),
    "rating times two": (Shock(scale=2.0), {"rating_wasserstein", "user_mean_rating_t"}),
    "thumbs": (Shock(thumbs=True), {"rating_wasserstein"}),
    "broken model": (Shock(broken=True), {QUALITY}),
    "default age": (Shock(age_default=True), {"age_wasserstein"}),
}


@pytest.mark.parametrize("name", SHOCKS)
def test_shock_asks_for_a_training_within_two_windows(name: str):
    shock, seen_by = SHOCKS[name]

    for stream in range(STREAMS):
        first, second = decisions(
            [lived(N, seed=1000 + 10 * stream + number, shock=shock) for number in range(2)]
        )
        assert "retrain" in {first.outcome.verdict, second.outcome.verdict}, (stream, second.z)
        loud = {signal for signal, z in second.z.items() if z is not None and z > 3.5}
        assert loud & seen_by, (stream, second.z)


def test_few_newcomers_ask_for_a_training_though_no_signal_speaks():
    """Their evidence is spread: short histories, other lists, worse ones, each by two to four deviations."""
    streams = [
        decisions(
            [lived(N, seed=3000 + 10 * stream + number, shock=Shock(newcomers=0.25)) for number in (0, 1)]
        )
        for stream in range(6)
    ]

    unheard = [made for made in streams if all(max(each.z[name] for name in SIGNALS) < 4 for each in made)]

    assert len(unheard) >= 4
    assert sum("retrain" in {each.outcome.verdict for each in made} for made in unheard) >= 3
    assert sum("retrain" in {each.outcome.verdict for each in made} for made in streams) >= 5


def test_surge_of_one_title_is_told_and_trains_nothing():
    made = decisions([lived(N, seed=2000, shock=Shock(title_share=0.6))])[0]

    assert made.outcome.verdict == "surge"
    assert made.surprise is not None
    assert made.surprise > 8


def test_broken_model_is_seen_by_nothing_but_its_quality():
    z = z_of(lived(N, seed=2100, shock=Shock(broken=True)))

    assert {name for name, value in z.items() if value > 3.5} == {QUALITY}


def test_quality_that_rose_has_a_low_z():
    known = calibrate(_with_quality(lived(800, seed=1), 0.2))

    z = z_of(_with_quality(lived(N, seed=2200), 0.4), known)

    assert z[QUALITY] < -3.5


def _with_quality(window: Window, mean: float) -> Window:
    rng = np.random.default_rng(5)
    column = window.columns["ndcg"]
    values = pl.Series(rng.normal(mean, 0.1, len(column.values)))
    return Window(window.id, window.user_ids, {**window.columns, "ndcg": type(column)(column.unit, values)})


def test_column_that_went_null_blocks_and_trains_nothing():
    events, users, _, _ = tables(400, seed=2300)
    earlier = look_at("past", {"users": users.cast({"age": pl.Int16})}, Baseline()).profile
    broken = users.with_columns(age=pl.lit(None, pl.Int16))
    report = look_at("now", {"users": broken}, Baseline().with_profile(earlier))
    window = window_of("now", events, users=broken, movies=catalogue()).take(np.arange(N))

    quality = QualityFacts(verdict=report.verdict, words=report.words)
    made = decisions([window, window], quality=quality)

    assert [words for words in report.words if words.startswith("users: nulls of age = 1, should be at most")]
    assert [each.outcome.verdict for each in made] == ["blocked", "blocked"]
    assert made[0].z["age_wasserstein"] is None  # nothing to measure: that is why the gate comes first


def test_window_of_one_constant_is_measured_without_an_error():
    rows = [(f"c{user}", "m001", 0, 3.0) for user in range(N)]
    z = z_of(window_of("constant", event_table(rows), movies=catalogue()))

    assert z["rating_wasserstein"] > 3.5
    assert z["genre_psi"] > 3.5
    assert np.isnan(z["age_wasserstein"])


def test_outlier_does_not_hide_the_shift_of_all_others():
    events, users, shown, quality = tables(N, seed=2400, shock=Shock(age_default=True))
    users = users.with_columns(age=pl.when(pl.int_range(pl.len()) == 0).then(10_000).otherwise(pl.col("age")))

    z = z_of(window_of("outlier", events, users=users, movies=catalogue(), shown=shown, quality=quality))

    assert z["age_wasserstein"] > 3.5


def test_categories_that_the_reference_lacks_are_one_that_it_has_nothing_of():
    events, users, _, _ = tables(N, seed=2500)
    users = users.with_columns(
        occupation=pl.concat_str(pl.lit("job "), pl.int_range(pl.len()).cast(pl.String))
    )

    z = z_of(window_of("new", events, users=users, movies=catalogue()))

    assert z["occupation_psi"] > 3.5
    assert z["gender_psi"] < 3.5


def test_signals_without_their_tables_are_not_measured():
    events, _, _, _ = tables(N, seed=2600)

    made = judge_window(past(), window_of("bare", events), facts(0), state=DriftState())

    absent = {name for name, z in made.z.items() if z is None}
    assert {"age_wasserstein", "genre_psi", SOURCE_MIX, QUALITY} <= absent
    assert made.z[SURPRISE] is not None
    assert made.source_distance is None


def test_empty_window_is_too_small():
    events, _, _, _ = tables(N, seed=2700)

    made = judge_window(past(), window_of("empty", events.clear()), facts(0), state=DriftState())

    assert made.outcome.verdict == "insufficient"
    assert made.window.users_in_window == 0


def test_window_is_drawn_down_to_a_fifth_of_the_held_out_users():
    made = judge_window(past(), lived(300, seed=2800), facts(0), state=DriftState())

    assert made.window.users_in_window == 300
    assert made.window.users == made.window.pool // 5
    assert made.outcome.verdict in {"none", "watch"}


def test_decision_is_the_same_for_the_same_seed():
    window = lived(300, seed=2900)

    first, again = (
        judge_window(calibrate(lived(800, seed=1), seed=3), window, facts(0), state=DriftState())
        for _ in range(2)
    )

    assert first.to_json() == again.to_json()


def test_pool_of_less_than_five_users_for_each_one_of_the_window_is_refused():
    small = lived(100, seed=4)
    measured = Reference.of(lived(100, seed=5), small).measure(small)

    with pytest.raises(NotEnoughDataError, match="100 held-out users can't calibrate windows of 21"):
        fit_null(measured, 21, rng=np.random.default_rng(0))
    assert fit_null(measured, 20, rng=np.random.default_rng(0)).pool == 100


def test_deviation_grows_with_the_share_of_the_pool_that_a_window_is():
    measured = past().reference.measure(past().held_out)
    null = fit_null(measured, 50, rng=np.random.default_rng(0), draws=40)

    rng = np.random.default_rng(0)
    rows = [rng.integers(measured.n_units, size=50) for _ in range(40)]
    sample = np.array([measured.statistics(each) for each in rows])
    expected = sample.std(axis=0, ddof=1) * np.sqrt(1 + 50 / measured.n_units)
    np.testing.assert_allclose(null.deviation, np.maximum(expected, 0.05), rtol=1e-9)
    np.testing.assert_allclose(null.mean, sample.mean(axis=0), rtol=1e-9)
