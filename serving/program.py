"""The server's life: load, verify, warm, and serve until SIGTERM."""

import argparse
import asyncio
import gc
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from kserve import model_server
from threadpoolctl import threadpool_limits

from marquee import schema
from marquee.adapters.exposures.log import ExposureLog
from marquee.adapters.exposures.options import read_options
from marquee.adapters.exposures.rows import SampledRows
from marquee.adapters.exposures.sink import open_sink
from marquee.data.storage import storage_errors
from marquee.data.warehouse import Warehouse
from marquee.errors import ConfigError, MarqueeError
from marquee.settings import Settings
from serving.engine import Engine
from serving.housekeeping import Chronicle, Experiments, Housekeeping, follow
from serving.logs import configure_logs
from serving.metrics import Metrics
from serving.predictor import MarqueeModel
from serving.server import Address, serve
from serving.slots import Slot, Slots, find_places
from serving.store import Store
from serving.tracing import spans_of
from serving.user_rows import TIMEOUT_S, UserRows

MOUNTED: Final = Path("/mnt/models")  # check-tree: allow KServe's own path
"""Where KServe puts what STORAGE_URI names."""


TAKEN: Final = frozenset({"model_name", "http_port", "enable_grpc", "grpc_port", "event_loop"})
"""Options of KServe's that do here what KServe says of them."""
HARMLESS: Final = frozenset(
    {"enable_latency_logging", "configure_logging", "max_threads", "max_asyncio_workers", "protocol"}
)
"""Options that manifests carry and that change nothing: no request is logged, one thread makes lists."""


def arguments_of(words: Sequence[str]) -> argparse.Namespace:
    """KServe's options and ours."""
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve Marquee's bundles as a KServe predictor.",
        parents=[model_server.parser],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.set_defaults(model_name="marquee", enable_grpc=False)
    add = parser.add_argument
    add("--model_dir", type=Path, default=MOUNTED, help="a bundle, a run, or a folder of bundles by name")
    add("--variant", action="append", default=[], metavar="NAME=FOLDER", help="one more bundle beside it")
    add("--host", default="0.0.0.0", help="interface to listen on; 127.0.0.1 for this machine alone")  # noqa: S104 - a pod's own address is not known before
    add("--fast_path", choices=("on", "off"), default="on", help="answer V1 :predict before KServe's layers")
    add("--watch_seconds", type=float, default=5.0, help="between looks for new bundles and matrices")
    add("--user_row_timeout_ms", type=float, default=1e3 * TIMEOUT_S, help="what a request waits for a row")
    add("--row_sample", type=float, default=0.0, help="share of requests whose feature rows are logged")
    add("--row_folder", type=Path, help="where to log them; otherwise served_rows in the runs folder")
    add("--log_level", choices=("debug", "info", "warning", "error"), default="info", help="of our own logs")
    return parser.parse_args(list(words))


def require_taken(arguments: argparse.Namespace) -> None:
    """Refuse options of KServe's that would do nothing: a server without TLS must not pass for one with it.

    Raises:
        ConfigError: one of them is given.
    """
    for name, default in vars(model_server.parser.parse_args([])).items():
        value = getattr(arguments, name)
        if name not in TAKEN | HARMLESS and (value != default or (name.startswith("ssl_") and value)):
            raise ConfigError(
                f"--{name} {value} is an option of KServe's that this server does not take.",
                remedy=f"Leave it out; of KServe's it takes --{', --'.join(sorted(TAKEN))}.",
            )


def main(words: Sequence[str]) -> int:
    """Serve; gives the exit code."""
    began = perf_counter()
    arguments = arguments_of(words)
    configure_logs(arguments.log_level)
    try:
        # Two threads of a BLAS that wait for each other by spinning would take the core from the lists.
        with threadpool_limits(1):
            require_taken(arguments)
            return run(arguments, Settings.from_environment(), began=began)
    except MarqueeError as error:
        sys.stderr.write(f"error: {error.problem}\nremedy: {error.remedy}\n")
        return error.exit_code
    except KeyboardInterrupt:  # while it loads; later Ctrl-C drains
        return 128 + signal.SIGINT


def run(arguments: argparse.Namespace, settings: Settings, *, began: float) -> int:
    """Put the parts together, serve, and take them apart again."""
    spans = spans_of(os.environ)
    metrics, store = Metrics(), Store(settings)
    experiments = Experiments(Path(settings.experiments) if settings.experiments else None)
    config = experiments.first()
    slots = Slots.load(
        places_of(arguments),
        matrix_folder=settings.item_matrix,
        observer=Chronicle(metrics),
        require=store.require,
    )
    rows = UserRows(None, timeout_s=arguments.user_row_timeout_ms / 1e3)
    store.connect(rows, slots.current.values())
    exposures = exposure_log(settings, rows=sampled_rows(arguments, settings))
    engine = Engine(slots, rows, metrics, exposures=exposures, experiments=config)
    follow(metrics, engine, spans)
    housekeeping = Housekeeping(engine, store, experiments, arguments.watch_seconds)
    housekeeping.start()
    # What was loaded stays: a full collection would walk all of it, for a tenth of a second in a request.
    gc.collect()
    gc.freeze()
    gc.enable()
    grpc_port = arguments.grpc_port if arguments.enable_grpc else None
    address = Address(arguments.host, arguments.http_port, grpc_port)

    asked = example(slots.default, settings)

    def announce() -> None:
        sys.stderr.write(welcome(arguments, slots, asked, seconds=perf_counter() - began))

    try:
        model = MarqueeModel(arguments.model_name, engine, spans)
        loop = asyncio.Runner(loop_factory=_loop_factory(arguments.event_loop))
        with loop:
            try:
                loop.run(serve(model, address, is_fast=arguments.fast_path == "on", on_ready=announce))
            finally:
                loop.run(rows.hang_up())
    finally:
        housekeeping.stop()
        engine.close()
        gc.unfreeze()  # so that what was frozen is freed in order when the interpreter ends
        if engine.exposures is not None:
            engine.exposures.close()
        if spans is not None:
            spans.close()
    return 0


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Where event loops come from; None for asyncio's own."""
    if name == "asyncio":
        return None
    import uvloop  # noqa: PLC0415 - not everywhere where asyncio's is asked for

    return uvloop.new_event_loop


def places_of(arguments: argparse.Namespace) -> dict[str, Path]:
    """The slots that were asked for.

    Raises:
        BundleError: a folder holds no bundle.
        ConfigError: a `--variant` is not NAME=FOLDER, or a name is given twice.
    """
    places = find_places(arguments.model_dir)
    for text in arguments.variant:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder) or name in places:
            raise ConfigError(
                f"--variant {text!r} is not NAME=FOLDER with a new name.",
                remedy="Write --variant b=runs/b/bundle.",
            )
        places[name] = next(iter(find_places(Path(folder)).values()))
    return places


def sampled_rows(arguments: argparse.Namespace, settings: Settings) -> SampledRows | None:
    """Where a share of the feature rows is logged, for `marquee features parity`.

    Raises:
        ConfigError: the share is none.
    """
    if arguments.row_sample == 0:
        return None
    return SampledRows(arguments.row_folder or settings.runs / "served_rows", arguments.row_sample)


def exposure_log(settings: Settings, *, rows: SampledRows | None = None) -> ExposureLog | None:
    """The log of what is shown, and of sampled feature rows.

    Raises:
        ConfigError: its address or its options don't fit.
    """
    if settings.exposures == "none" and rows is None:
        return None
    file = settings.exposures_options_file
    options = read_options(Path(file)) if file else None
    return ExposureLog(open_sink(settings.exposures_address, options), rows=rows)


def example(slot: Slot, settings: Settings) -> dict[str, Any]:
    """An instance to try: a user of the bundle's data set where that is here, else a fan of two movies."""
    warehouse = Warehouse(settings.warehouse(slot.storage))
    try:
        with storage_errors(warehouse.root):
            events = warehouse.scan_interactions()
            users = events.select(schema.USER_ID).head(1).collect().to_series().to_list()
    except MarqueeError:  # in a pod there is none
        users = []
    who = {"user_id": users[0]} if users else {"history": slot.answering.item_ids[:2]}
    return {**who, "n": 5}


def welcome(arguments: argparse.Namespace, slots: Slots, asked: Mapping[str, Any], *, seconds: float) -> str:
    """What a person at a terminal wants to know."""
    host = "127.0.0.1" if arguments.host == "0.0.0.0" else arguments.host  # noqa: S104 - compared, not bound
    url = f"http://{host}:{arguments.http_port}"
    bundles = ", ".join(f"{name} {slot.bundle_id}" for name, slot in slots.current.items())
    body = shlex.quote(json.dumps({"instances": [asked]}, ensure_ascii=False))
    return (
        f"serving {bundles} at {url}, ready after {seconds:.1f} s; stop with Ctrl-C\n\n"
        f"  curl -s {url}/v1/models/{arguments.model_name}:predict -d {body}\n\n"
        f"  {url}/metrics   {url}/openapi.json\n"
    )
