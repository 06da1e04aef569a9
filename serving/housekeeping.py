"""What a server does beside requests: look for new bundles, item matrices, experiments, and a lost store."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from marquee.errors import MarqueeError
from marquee.experiments.config import ExperimentsConfig, read_experiments
from serving.engine import Engine
from serving.logs import LOG
from serving.metrics import Metrics, age_seconds
from serving.slots import Slot, Slots, matrix_name
from serving.store import Store

if TYPE_CHECKING:
    from serving.spans import Spans


@dataclass
class Chronicle:
    """Turns what becomes of bundles into metrics and log lines."""

    metrics: Metrics
    _ids: dict[str, tuple[str, str]] = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)

    def loaded(self, slot: Slot, *, seconds: float) -> None:
        """A bundle answers from now on."""
        commit = str(slot.answering.model.manifest.provenance.get("git_commit") or "")
        if (before := self._ids.get(slot.name)) is not None:
            self.metrics.bundle_info.remove(slot.name, *before)
        self._ids[slot.name] = slot.bundle_id, commit
        self._said.pop(slot.name, None)
        self.metrics.bundle_info.labels(slot.name, slot.bundle_id, commit).set(1)
        self.metrics.bundle_loaded.labels(slot.name).set(slot.loaded_at.timestamp())
        LOG.info(
            "bundle loaded",
            extra={
                "fields": {"variant": slot.name, "bundle_id": slot.bundle_id, "seconds": round(seconds, 3)}
            },
        )

    def refused(self, name: str, error: MarqueeError) -> None:
        """It can't be served; said once as long as the reason is the same."""
        self.metrics.refused.labels(name).inc()
        if self._said.get(name) != str(error):
            self._said[name] = str(error)
            LOG.error("refused: %s", error, extra={"fields": {"variant": name}})

    def refreshed(self, slot: Slot) -> None:
        """The movies' state is of another moment."""
        self._said.pop(matrix_name(slot.storage), None)
        LOG.info(
            "item matrix taken over",
            extra={"fields": {"variant": slot.name, "item_matrix": slot.matrix_version}},
        )


@dataclass
class Experiments:
    """The file of the experiments; one that can't be read leaves things as they are."""

    path: Path | None
    _seen: tuple[int, int] | None = None
    _said: str = ""

    def first(self) -> ExperimentsConfig:
        """Read it.

        Raises:
            ConfigError: it does not fit.
        """
        self._seen = self._state()
        return ExperimentsConfig() if self.path is None else read_experiments(self.path)

    def look(self, engine: Engine) -> None:
        """Read it again if it changed: a kill switch is a change of this file."""
        if self.path is None or (state := self._state()) == self._seen:
            return
        self._seen = state
        try:
            engine.experiments = read_experiments(self.path)
        except MarqueeError as error:
            if str(error) != self._said:
                self._said = str(error)
                LOG.error("experiments stay as they are: %s", error)
            return
        self._said = ""
        LOG.info("experiments read again")

    def _state(self) -> tuple[int, int] | None:
        try:
            stat = self.path.stat() if self.path is not None else None
        except OSError:
            return None
        return None if stat is None else (stat.st_mtime_ns, stat.st_ino)


@dataclass
class Housekeeping:
    """Runs all of it in one thread, so that no two changes meet."""

    engine: Engine
    store: Store
    experiments: Experiments
    every_s: float
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def look(self) -> None:
        """Once."""
        slots: Slots = self.engine.slots
        looks: tuple[Callable[[], None], ...] = (
            slots.look_at_bundles,
            slots.look_at_matrices,
            slots.look_at_surges,
            lambda: self.store.connect(self.engine.rows, slots.current.values()),
            lambda: self.experiments.look(self.engine),
        )
        for each in looks:
            try:
                each()
            except Exception:  # noqa: BLE001 - the thread's edge: one fault of ours must not end all watching
                LOG.exception("a look at what changed failed")

    def start(self) -> None:
        """Begin to look again and again."""
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(self.every_s):
            began = perf_counter()
            self.look()
            if (took := perf_counter() - began) > self.every_s:
                LOG.warning("looking for changes took %.1f s", took)

    def stop(self) -> None:
        """End it; waits for a look that is under way."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=10)


def follow(metrics: Metrics, engine: Engine, spans: "Spans | None" = None) -> None:
    """Export what is read when metrics are asked for."""
    slots = engine.slots
    metrics.follow(
        "marquee_item_matrix_age_seconds",
        "Age of the movies' state that lists are made of.",
        lambda: {name: age_seconds(slot.state_as_of_us) for name, slot in slots.current.items()},
        "variant",
    )
    metrics.follow(
        "marquee_bundle_trained_timestamp_seconds",
        "When each bundle was trained.",
        lambda: {
            name: trained.timestamp()
            for name, slot in slots.current.items()
            if (trained := slot.trained_at) is not None
        },
        "variant",
    )
    metrics.follow(
        "marquee_store_paused",
        "Whether the online store is left alone because it did not answer.",
        lambda: {"online": float(engine.rows.breaker.is_open or engine.rows.read is None)},
        "store",
    )
    if (exposures := engine.exposures) is not None:
        metrics.follow(
            "marquee_exposures",
            "Exposures by what became of them; a queue is waiting.",
            lambda: {name: float(count) for name, count in vars(exposures.counts).items()},
            "state",
        )
    if spans is not None:
        metrics.follow("marquee_spans", "Spans of traces by what became of them.", spans.counts, "state")
