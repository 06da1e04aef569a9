"""From answers to metrics: what the server logs is what they are made of."""

import asyncio
import math
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from marquee import schema
from marquee.adapters.exposures.json_lines import JsonLinesSink
from marquee.adapters.exposures.log import ExposureLog
from marquee.experiment_report.sources import read_exposure_log
from marquee.online_metrics.config import OnlineConfig
from marquee.online_metrics.logs import Logs
from marquee.online_metrics.table import online_metrics, overall
from tests.marquee.experiment_report.made_logs import events_of
from tests.serving.asking import asked
from tests.serving.conftest import make_engine
from tests.small_run import Place


def test_everybody_clicks_the_second_item_of_a_served_list(trained: Place, tmp_path: Path):
    engine = make_engine(trained, exposures=ExposureLog(JsonLinesSink(tmp_path)))
    users = [f"u{number:03}" for number in range(63)]
    found = asyncio.run(asked(engine, *({"user_id": user, "n": 5} for user in users), {"n": 5}))
    engine.close()
    engine.exposures.close()  # type: ignore[union-attr]
    log = read_exposure_log(tmp_path)
    last = log.requests[schema.TIMESTAMP].max()
    assert isinstance(last, datetime)
    clicks = events_of(
        *(
            (each["user_id"], each["items"][1]["item_id"], "click", last + timedelta(minutes=number))
            for number, each in enumerate(found[:-1])
        )
    )

    measured = online_metrics(
        Logs(log.shown, log.requests, clicks), until=last + timedelta(days=3), config=OnlineConfig(k=5)
    )

    table = overall(measured.table)  # of two days, where midnight falls among the requests

    def summed(metric: str) -> dict[str, list[float]]:
        return (
            table.filter(metric=metric)
            .select("value", "total", "base", "n_users")
            .sum()
            .to_dict(as_series=False)
        )

    assert set(table["variant"]) == {"default"}
    assert (summed("requests")["value"], summed("requests")["n_users"]) == ([64], [63])
    assert (summed("ctr")["total"], summed("ctr")["base"]) == ([63], [63 * 5])
    assert summed("precision")["total"] == [pytest.approx(63 / 5)]
    assert summed("ndcg")["total"] == [pytest.approx(63 / math.log2(3))]
    assert summed("degraded_share")["total"] == [0]
