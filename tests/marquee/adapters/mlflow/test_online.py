"""Online metrics in MLflow: one run, a step a period, each point once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marquee.adapters.mlflow import Tracking, TrackingError
from marquee.adapters.mlflow.online import ONLINE, Point, record_online

FIRST = datetime(2024, 3, 2, tzinfo=UTC)


def point(step: int, value: float, name: str = "home/default/ctr") -> Point:
    return Point(name, value, step, FIRST + timedelta(days=step))


def history(tracking: Tracking, name: str = "home/default/ctr") -> list[tuple[int, float, int]]:
    with tracking.connected() as client:
        (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
        assert run.data.tags[ONLINE] == "ml-100k"
        found = client.get_metric_history(run.info.run_id, name)
    return sorted((each.step, each.value, each.timestamp) for each in found)


def test_points_are_logged_once_however_often(runs: Path):
    tracking = Tracking.of(runs, {})
    first = record_online([point(0, 0.25), point(1, 0.5)], name="ml-100k", tracking=tracking)
    again = record_online([point(1, 0.5), point(2, 0.75), point(0, 0.25)], name="ml-100k", tracking=tracking)

    assert (first, again) == (2, 1)
    start = round(FIRST.timestamp() * 1000)
    day = 86_400_000
    assert history(tracking) == [
        (0, 0.25, start),
        (1, 0.5, start + day),
        (2, 0.75, start + 2 * day),
    ]


def test_experiment_is_of_the_name_unless_the_environment_names_one(runs: Path):
    record_online([point(0, 0.25)], name="ml-100k", tracking=Tracking.of(runs, {}))
    named = Tracking.of(runs, {"MLFLOW_EXPERIMENT_NAME": "ours"})
    record_online([point(0, 0.25)], name="ml-100k", tracking=named)

    with named.connected() as client:
        assert {each.name for each in client.search_experiments()} == {
            "Default",
            "marquee-online-ml-100k",
            "ours",
        }


def test_deleted_experiment_is_said(runs: Path):
    tracking = Tracking.of(runs, {})
    record_online([point(0, 0.25)], name="ml-100k", tracking=tracking)
    with tracking.connected() as client:
        client.delete_experiment(client.get_experiment_by_name("marquee-online-ml-100k").experiment_id)

    with pytest.raises(TrackingError, match="was deleted"):
        record_online([point(0, 0.25)], name="ml-100k", tracking=tracking)
