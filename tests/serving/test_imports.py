"""What a serving process holds: nothing of pipelines, training services or reports."""

import json
import subprocess
import sys

from tests.small_run import Place, process_environment

FOREIGN = {"kfp", "mlflow", "evidently", "optuna", "confluent_kafka", "dvc", "moto", "matplotlib", "xgboost"}
OF_TRACING = {"serving.spans", "opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto"}
"""What only a traced server imports; FastAPI brings OpenTelemetry's API to all, redis the SDK's metrics."""
PROBE = """
import asyncio, json, sys
from pathlib import Path
from serving.program import MarqueeModel, Metrics, Store, UserRows, arguments_of, places_of
from serving.engine import Engine
from serving.housekeeping import Chronicle
from serving.slots import Slots
from marquee.settings import Settings

settings, metrics = Settings.from_environment(), Metrics()
store = Store(settings)
slots = Slots.load(
    places_of(arguments_of(["--model_dir", sys.argv[1]])),
    matrix_folder=settings.item_matrix,
    observer=Chronicle(metrics),
    require=store.require,
)
rows = UserRows(None, timeout_s=20)
store.connect(rows, slots.current.values())
engine = Engine(slots, rows, metrics)
body = {"instances": [{"user_id": "u000", "explain": True}, {"surface": "similar", "item_id": "m003"}]}
answer = asyncio.run(MarqueeModel("marquee", engine).answer(body, "abc"))
engine.close()
json.dump([[each["degraded"] for each in answer["predictions"]], sorted(sys.modules)], sys.stdout)
"""


def test_server_that_has_answered_holds_nothing_of_pipelines_or_reports(trained: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(trained.latest)],
        env=process_environment(trained),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    degraded, modules = json.loads(done.stdout)
    assert degraded == [False, False]
    assert {"lightgbm", "kserve", "polars"} <= set(modules)
    assert not (FOREIGN | OF_TRACING) & set(modules)
