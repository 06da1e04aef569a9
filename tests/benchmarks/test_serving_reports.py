"""What the server's measurements say is kept and what is not."""

from typing import Any

from benchmarks.serving import framework
from benchmarks.serving_report import promises, to_markdown
from benchmarks.soak import verdict

FIGURES = {
    "requests": 6000,
    "errors": 0,
    "degraded": 0,
    "rps": 100.0,
    "p50": 5.0,
    "p95": 9.0,
    "p99": 20.0,
    "max": 40.0,
    "cpu_ms": 3.5,
    "server_busy": 0.35,
}
LOG = {"offered": 6000.0, "dropped_full": 0.0, "lost": 0.0}


def report(**home: Any) -> dict[str, Any]:
    light = FIGURES | {"p50": 1.5, "cpu_ms": 0.6}
    turns = {
        "whole": [FIGURES | {"cpu_ms": ms} for ms in (4.0, 9.0, 3.0)],
        "whole, no fast path": [FIGURES | {"cpu_ms": 5.0}],
        "repeating": [light | {"cpu_ms": 0.5}],
        "repeating, no fast path": [light | {"cpu_ms": 1.0}],
    }
    return {
        "measured_at": "2026-01-01",
        "store": "Redis",
        "is_pinned": True,
        "rate": 100,
        "ready_s": [2.0, 9.0, 3.0],
        "loads": {"home": FIGURES | home, "similar": light, "trending": light, "popular": light},
        "turns": turns,
        "framework": framework(turns),
        "inside_us": {"home": {"list made": 2500.0}, "similar": {"list made": 100.0}},
    }


def broken(found: dict[str, Any]) -> list[str]:
    return [each["name"] for each in promises(found) if not each["met"]]


def test_promises_are_held_against_the_figures_that_they_name():
    assert broken(report()) == []
    assert broken(report(cpu_ms=4.1, p50=6.1)) == ["home, CPU a request", "home, p50"]
    assert broken(report(p99=25.1, errors=1)) == ["home, p99", "requests that failed"]


def test_start_is_the_median():
    found = report() | {"ready_s": [6.0, 2.0, 7.0]}

    assert broken(found) == ["start to ready"]


def test_framework_share_is_of_medians():
    # Medians: 4.0 of 4.0, 9.0 and 3.0; 0.5 of the one that repeats itself.
    found = framework(report()["turns"])

    assert found["share"] == 0.5 / 4.0
    assert found["share without fast path"] == 1.0 / 5.0
    assert found["fast path saves, ms"] == 0.5


def test_markdown_says_what_was_not_kept():
    found = report(p99=31.0)
    text = to_markdown(found | {"promises": promises(found)}, "a machine")

    assert "- home, p99 ≤ 25 ms: 31, NOT KEPT" in text
    assert "- home, p50 ≤ 6 ms: 5, kept" in text
    assert "12.5 % of the whole" in text
    assert "| list made | 2500 | 100 |" in text


def test_memory_is_flat_only_within_the_bound_after_warming_up():
    warming = [[0, 200.0], [10, 300.0]]

    def found(*after: float | None) -> dict[str, Any]:
        samples = warming + [[20 + 10 * place, mib] for place, mib in enumerate(after)]
        return verdict(FIGURES, samples, LOG, warm_s=20)

    assert found(400.0, 418.0)["is_flat"]  # 4.5 % more
    assert found(400.0, 418.0)["largest_change"] == 0.045
    assert not found(400.0, 424.0, 400.0)["is_flat"]  # 6 %, though it came back
    assert not found(400.0, 376.0)["is_flat"]
    assert not found(400.0, None)["is_flat"]  # the server was gone
    assert not found(400.0)["is_flat"]  # nothing to compare


def test_soak_counts_errors_and_exposures_that_are_missing():
    samples = [[0, 400.0], [10, 400.0]]

    assert verdict(FIGURES, samples, LOG, warm_s=0)["is_logged"]
    assert not verdict(FIGURES, samples, LOG | {"offered": 5999.0}, warm_s=0)["is_logged"]
    assert not verdict(FIGURES, samples, LOG | {"lost": 1.0}, warm_s=0)["is_logged"]
    assert not verdict(FIGURES | {"errors": 1}, samples, LOG, warm_s=0)["is_faultless"]
