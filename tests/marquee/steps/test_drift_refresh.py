"""A champion that its data has outgrown, as the drift job meets it."""

from pathlib import Path

import polars as pl
import pytest

from marquee.data.splits import CONSUMPTION_TYPES
from marquee.data.warehouse import Warehouse
from marquee.monitoring.decision import Decision, replay
from marquee.monitoring.drift_config import DriftConfig, DriftPolicyConfig
from marquee.monitoring.drift_policy import DriftState
from marquee.monitoring.quality import QualityConfig
from marquee.packing import Model
from marquee.steps.detect_drift import DriftQuestion, detect, scalars
from tests.small_run import NOW, Place


def decided(place: Place, out: Path, growth: float | None, *, kind: str = "evaluated") -> Decision:
    """About the last eighteen of a hundred days, of which the evaluated bundle knows the first eighty."""
    asked = DriftQuestion(
        storage=place.storage, main=place.settings.warehouse(place.storage), current="18d",
        model=Model.read(place.latest / kind), quality=QualityConfig(min_volume_share=0.0),
        drift=DriftConfig(policy=DriftPolicyConfig(refresh_growth=growth)),
    )  # fmt: skip
    return detect(asked, DriftState(), out, now=NOW).decision


def chosen(place: Place) -> pl.DataFrame:
    events = Warehouse(place.settings.warehouse(place.storage)).read_interactions()
    return events.filter(pl.col("interaction_type").cast(pl.String).is_in(list(CONSUMPTION_TYPES)))


def test_growth_is_counted_by_what_the_bundle_learned_until(trained: Place, tmp_path: Path):
    window = decided(trained, tmp_path, 0.1).window

    until_us = Model.read(trained.latest / "evaluated").manifest.content["learned_until_us"]
    times_us = chosen(trained)["timestamp"].dt.epoch("us")
    assert window.known_events == len(times_us)
    assert window.learned_events == (times_us <= until_us).sum()
    assert 0 < window.learned_events < window.known_events
    assert window.known_users == chosen(trained)["user_id"].n_unique()
    assert window.learned_users == chosen(trained).filter(times_us <= until_us)["user_id"].n_unique()


@pytest.mark.parametrize(
    ("growth", "expected"), [(0.1, "refresh"), (5.0, "insufficient"), (None, "insufficient")]
)
def test_refresh_is_asked_for_by_growth_though_the_users_are_few(
    trained: Place, tmp_path: Path, growth: float | None, expected: str
):
    decision = decided(trained, tmp_path, growth)

    assert decision.outcome.verdict == expected
    assert decision.outcome.retrain is (expected == "refresh")
    assert replay(Decision.read(tmp_path / "decision.json")).is_same
    assert scalars(decision)["growth"] == pytest.approx(decision.observation.growth, abs=1e-4)
    assert "- data grown by 2" in (tmp_path / "decision.md").read_text(encoding="utf-8")


def test_bundle_of_all_events_needs_no_refresh(trained: Place, tmp_path: Path):
    decision = decided(trained, tmp_path, 0.01, kind="bundle")

    assert decision.window.learned_events == decision.window.known_events
    assert not decision.outcome.retrain
