"""What is made of walks: small ones, counted by hand."""

from dataclasses import replace

import polars as pl
import pytest

from marquee.evaluation.significance import BootstrapConfig
from marquee.replay.findings import Detection, detections, differences, quiet, summary
from marquee.replay.shocks import Shock
from marquee.replay.walk import Step, Walk

BOOTSTRAP = BootstrapConfig(resamples=200)
STEP = Step(
    window=1, start_us=0, end_us=7, users=2, ndcg=0.5, model="a", is_broken=False, gate="pass",
    verdict="none", reason="", training="", why="", cpu_s=0.0,
)  # fmt: skip


def walk(*verdicts: str, policy: str = "drift", ndcg: float = 0.5, **of_window: dict[str, object]) -> Walk:
    """A window a verdict; `w3={...}` changes the third."""
    steps = tuple(
        replace(STEP, window=number, verdict=verdict, **of_window.get(f"w{number}", {}))
        for number, verdict in enumerate(verdicts, 1)
    )
    rows = [(number, user) for number in range(1, len(verdicts) + 1) for user in ("u", "v")]
    quality = pl.DataFrame(rows, schema=["window", "user_id"], orient="row")
    return Walk(policy, steps, quality.with_columns(ndcg=pl.lit(ndcg) + 0.1 * (pl.col("user_id") == "u")))


def test_detection_counts_from_the_shock_s_first_window():
    found = detections(walk("none", "none", "watch", "retrain", "none"), [Shock("genre_surge", 3, 2)])

    assert found == [Detection("genre_surge@3+2", 2, "retrain")]
    assert found[0].is_soon


def test_alarm_before_or_after_a_shock_is_no_detection():
    found = detections(walk("retrain", "none", "none", "none", "blocked"), [Shock("scale", 3, 2)])

    assert found == [Detection("scale@3+2", None, "")]
    assert not found[0].is_soon


def test_broken_model_may_be_seen_until_the_end():
    (found,) = detections(walk("none", "none", "none", "none", "retrain"), [Shock("broken_model", 2, 1)])

    assert (found.after_windows, found.is_soon) == (4, False)


def test_quiet_windows_have_neither_shock_nor_its_echo():
    made = walk(*["none"] * 8)

    assert [step.window for step in quiet(made, [Shock("scale", 3, 2)])] == [1, 2, 7, 8]
    assert [step.window for step in quiet(made, [])] == list(range(1, 9))


def test_quiet_windows_leave_a_broken_model_out():
    made = walk(*["none"] * 6, w3={"is_broken": True}, w4={"is_broken": True})

    assert [step.window for step in quiet(made, [Shock("broken_model", 3)])] == [1, 2, 6]


def test_summary_counts_trainings_and_false_alarms():
    made = walk(
        "none", "retrain", "none", "retrain", "blocked",
        w2={"training": "refused", "cpu_s": 2.0}, w4={"training": "promoted", "cpu_s": 3.0},
        w5={"gate": "block"},
    )  # fmt: skip

    values = summary(made, [Shock("genre_surge", 4, 1)], seed=1, config=BOOTSTRAP)

    assert (values["retrains"], values["promoted"], values["refused"], values["held_back"]) == (2, 1, 1, 0)
    assert values["windows_without_shock"] == 3  # 1, 2 and 3
    assert (values["false_alarms"], values["blocked_without_shock"]) == (1, 0)
    assert values["false_alarm_share"] == pytest.approx(1 / 3)
    assert made.cpu_s == 5.0
    assert values["ndcg"]["estimate"] == pytest.approx(0.55)


def test_summary_of_a_policy_that_does_not_watch_claims_no_alarms():
    values = summary(walk("", "", policy="never"), [Shock("scale", 1)], seed=1, config=BOOTSTRAP)

    assert (values["false_alarms"], values["false_alarm_share"], values["detections"]) == (None, None, [])


def test_differences_are_later_minus_earlier_and_paired():
    never, drift = walk("", "", policy="never", ndcg=0.3), walk("none", "none", ndcg=0.4)

    (found,) = differences([never, drift], seed=1, config=BOOTSTRAP)

    assert (found["policy"], found["against"]) == ("drift", "never")
    assert found["ndcg"] == pytest.approx({"estimate": 0.1, "low": 0.1, "high": 0.1})  # alike for every user


def test_refresh_is_counted_and_no_false_alarm():
    made = walk(
        "refresh", "none", "retrain", "none", w1={"training": "promoted"}, w3={"training": "promoted"}
    )

    found = summary(made, [], seed=0, config=BOOTSTRAP)

    assert (found["retrains"], found["refreshes"], found["false_alarms"]) == (2, 1, 1)
    assert summary(walk("", "", policy="never"), [], seed=0, config=BOOTSTRAP)["refreshes"] is None
