"""What the parts of a home request cost without HTTP: `python -m benchmarks.serving_inside --model_dir …`.

Builds the engine as the server does and asks it for the lists of the same users as the load, one after
another, each part alone on one thread and then all of them through the engine. CPU time of the thread for a
part, of the process for the whole, so what the whole takes beyond its parts is the way between threads, the
writing of the exposure log and the counting. Prints JSON; CPU microseconds a request, means.
"""

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from threadpoolctl import threadpool_limits

from marquee.adapters.exposures.log import ExposureLog
from marquee.adapters.exposures.sink import ExposureLine, open_sink
from marquee.errors import FeatureStoreError
from marquee.features.item_matrix.matrix import microseconds
from marquee.settings import Settings
from serving.answered import Answered, exposure, prediction
from serving.engine import Engine
from serving.housekeeping import Chronicle
from serving.lists import make_list
from serving.metrics import Metrics
from serving.predictor import request_id_of
from serving.protocol import Instance, read_request
from serving.slots import Slots, find_places
from serving.spans import Spans
from serving.store import Store
from serving.tracing import Call
from serving.user_rows import ReadRow, UserRows, UserState

WARM_UP: Final = 50
ATTEMPTS: Final = 10
PAUSE_S: Final = 0.01
AFTER_A_PAUSE: Final = 100
"""Requests that wait for one."""
REQUEST_ID: Final = "0" * 32


def engine_of(model_dir: Path, settings: Settings, exposures: ExposureLog | None) -> tuple[Engine, ReadRow]:
    """As `serving.program.run` builds it, and what reads a row.

    Raises:
        SystemExit: the online store does not answer.
    """
    metrics, store = Metrics(CollectorRegistry()), Store(settings)
    slots = Slots.load(
        find_places(model_dir), matrix_folder=settings.item_matrix, observer=Chronicle(metrics)
    )
    rows = UserRows(None, timeout_s=1.0)
    store.connect(rows, list(slots.current.values()))
    if rows.read is None:
        raise SystemExit("the online store is not there")
    return Engine(slots, rows, metrics, exposures=exposures), patiently(rows.read)


def patiently(read: ReadRow) -> ReadRow:
    """Ask again where a busy machine kept the store from answering in time."""

    def again(user_id: str, now: datetime) -> Mapping[str, Any]:
        for _ in range(ATTEMPTS):
            try:
                return read(user_id, now)
            except FeatureStoreError:
                continue
        return read(user_id, now)

    return again


def cpu_us(call: Callable[[Any], object], inputs: list[Any], *, pause_s: float = 0.0) -> float:
    """Mean CPU microseconds of this thread for a call.

    A pause before each is not counted, but what it does to the processor is: whoever else the machine serves
    meanwhile leaves other things in the caches, so that the same work takes longer.
    """
    for each in inputs[:WARM_UP]:
        call(each)
    spent = 0
    for each in inputs:
        if pause_s:
            time.sleep(pause_s)
        before = time.thread_time_ns()
        call(each)
        spent += time.thread_time_ns() - before
    return spent / 1e3 / len(inputs)


def measure(engine: Engine, read: ReadRow, users: list[str], surface: str, item: str) -> dict[str, float]:
    """Each part, then the whole."""
    extra = {"item_id": item} if surface == "similar" else {}
    asked = [
        orjson.dumps({"instances": [{"user_id": user, "n": 12, "surface": surface, **extra}]})
        for user in users
    ]
    now = datetime.now(UTC)
    instances = [read_request(orjson.loads(body))[0] for body in asked]
    slot, now_us = engine.slots.default, microseconds(now)
    waiting = [
        Answered(REQUEST_ID, each, slot, (), UserState(read(user, now)), [], now_us, now_us)
        for each, user in zip(instances, users, strict=True)
    ]
    parts = {
        "JSON in, checked": cpu_us(lambda body: read_request(orjson.loads(body)), asked),
        "request id": cpu_us(lambda _: request_id_of({}), users),
        "row read": cpu_us(lambda user: read(user, now), users),
        "list made": cpu_us(make_list, waiting),
        f"list made {1e3 * PAUSE_S:g} ms after the one before": cpu_us(
            make_list, waiting[:AFTER_A_PAUSE], pause_s=PAUSE_S
        ),
    }
    for answered in waiting:
        answered.seconds.update(row=0.001, wait=0.001, total=0.003)
    parts |= {
        "JSON out": cpu_us(lambda answered: orjson.dumps(prediction(answered)), waiting),
        "counted": cpu_us(engine._count, waiting),
        "exposure made": cpu_us(exposure, waiting),
        "exposure encoded": cpu_us(ExposureLine.of, [exposure(each) for each in waiting]),
        "noted: hashed, counted, logged": cpu_us(engine._note, waiting),
        f"noted {1e3 * PAUSE_S:g} ms after the one before": cpu_us(
            engine._note, waiting[:AFTER_A_PAUSE], pause_s=PAUSE_S
        ),
        f"thread woken and heard {1e3 * PAUSE_S:g} ms after the one before": asyncio.run(way(engine)),
        **traces(waiting),
    }
    return parts | {"engine as a whole": asyncio.run(whole(engine, instances))}


def traces(waiting: list[Answered]) -> dict[str, float]:
    """What a trace costs where a server is traced: on the event loop, and then on the exporter's thread."""
    held = InMemorySpanExporter()
    spans = Spans(held, queue_size=8 * (WARM_UP + len(waiting)))

    def made(answered: Answered) -> None:
        call = Call(spans, "POST", {"http.route": "/", "http.response.status_code": 200}, {})
        call.note(answered)
        call.finish()

    found = {"trace made, where on": cpu_us(made, waiting)}
    spans.close()
    sent = list(batched(held.get_finished_spans(), n=512))
    encoded_us = cpu_us(lambda batch: encode_spans(batch).SerializePartialToString(), sent)
    return found | {"trace encoded, where on": encoded_us * len(sent) / (WARM_UP + len(waiting))}


def batched(spans: Sequence[ReadableSpan], *, n: int) -> Iterator[Sequence[ReadableSpan]]:
    """Parts of `n`, as the SDK sends them."""
    return (spans[start : start + n] for start in range(0, len(spans), n))


async def way(engine: Engine) -> float:
    """Mean CPU microseconds of the process for a call of the scoring thread that does nothing."""
    loop, spent = asyncio.get_running_loop(), 0
    for _ in range(AFTER_A_PAUSE):
        await asyncio.sleep(PAUSE_S)
        before = time.process_time_ns()
        await engine._scoring.submit(id, None, loop)
        spent += time.process_time_ns() - before
    return spent / 1e3 / AFTER_A_PAUSE


async def whole(engine: Engine, instances: list[Instance]) -> float:
    """Mean CPU microseconds of the process for the engine's answer, with its threads and its log."""
    for each in instances[:WARM_UP]:
        await engine.predict([each], REQUEST_ID)
    before = time.process_time_ns()
    for each in instances:
        await engine.predict([each], REQUEST_ID)
    spent = time.process_time_ns() - before
    await engine.rows.hang_up()
    return spent / 1e3 / len(instances)


def main() -> int:
    """Measure all surfaces and print."""
    parser = argparse.ArgumentParser(description="What the parts of a request cost.")
    parser.add_argument("--model_dir", type=Path, required=True)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    people = json.loads(given.people.read_text(encoding="utf-8"))
    users = np.random.default_rng(given.seed).choice(people["users"], given.requests).tolist()
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        log = ExposureLog(open_sink(folder))
        engine, read = engine_of(given.model_dir, Settings.from_environment(), log)
        gc.collect()
        gc.freeze()  # as the server does
        found = {
            surface: {
                name: round(value, 1)
                for name, value in measure(engine, read, users, surface, people["items"][0]).items()
            }
            for surface in ("home", "similar", "popular")
        }
        engine.close()
        log.close()
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
