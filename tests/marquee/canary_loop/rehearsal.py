"""A whole rollout on a laptop: a deployment with faults, made metrics, a clock that is moved by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from marquee.adapters.canary_record import CanaryRecord
from marquee.adapters.deployment import (
    Deployment,
    DeploymentConflictError,
    DeploymentStatus,
    DeploymentUnavailableError,
)
from marquee.adapters.deployment_document import DocumentDeployment
from marquee.adapters.object_store import Document, ObjectStore, open_store
from marquee.canary_loop import CanaryLoop
from marquee.errors import ConflictError, ObjectMissingError
from marquee.monitoring.canary_config import CanaryConfig
from marquee.monitoring.canary_counts import Arm, Arms
from tests.marquee.monitoring.canary_factory import GOOD, GOOD_CHAMPION, NOW

OLD, NEW = "bundle-old", "bundle-new"
Fault = Literal["conflict", "server error", "timeout", "answer lost"]
FAULTS: tuple[Fault, ...] = ("conflict", "server error", "timeout", "answer lost")


@dataclass
class MemoryStore:
    """Documents in memory: a hundred rollouts in seconds. Each write makes another version."""

    uri: str
    held: dict[str, Document] = field(default_factory=dict)
    writes: int = 0

    @classmethod
    def at(cls, uri: str) -> "MemoryStore":
        return cls(uri)

    def read(self, key: str) -> Document:
        if key not in self.held:
            raise ObjectMissingError(f"no {key}.", remedy="Write it.")
        return self.held[key]

    def write(self, key: str, content: bytes, *, expected: str | None) -> str:
        found = self.held[key].version if key in self.held else None
        if found != expected:
            raise ConflictError(f"{key} is another one.", remedy="Read it.")
        self.writes += 1
        self.held[key] = Document(content, str(self.writes))
        return str(self.writes)


@dataclass
class FaultyDeployment:
    """A deployment whose calls fail as told, in order; "" lets a call pass.

    "conflict" (409), "server error" (500) and "timeout" change nothing; "answer lost" changes it and then
    times out. `changes` are the calls that were passed on and changed something.
    """

    inside: Deployment
    faults: list[str] = field(default_factory=list)
    """Of the changing calls."""
    read_faults: list[str] = field(default_factory=list)
    """Of `status`."""
    changes: list[str] = field(default_factory=list)

    def status(self) -> DeploymentStatus:
        return self._call(self.inside.status, "", self.read_faults)

    def set_canary(self, bundle: str, percent: int, *, expect: str) -> DeploymentStatus:
        return self._call(
            lambda: self.inside.set_canary(bundle, percent, expect=expect), f"{percent} %", self.faults
        )

    def promote(self, bundle: str, *, expect: str) -> DeploymentStatus:
        return self._call(lambda: self.inside.promote(bundle, expect=expect), "promote", self.faults)

    def drop_canary(self, *, expect: str) -> DeploymentStatus:
        return self._call(lambda: self.inside.drop_canary(expect=expect), "drop", self.faults)

    def _call(self, call: Callable[[], DeploymentStatus], name: str, faults: list[str]) -> DeploymentStatus:
        fault = faults.pop(0) if faults else ""
        if fault == "conflict":
            raise DeploymentConflictError("409: the object has been modified.", remedy="Read it again.")
        if fault in {"server error", "timeout"}:
            raise DeploymentUnavailableError(f"no answer: {fault}.", remedy="Try again.")
        before = self.inside.status()
        after = call()
        if name and before != after:
            self.changes.append(name)
        if fault == "answer lost":
            raise DeploymentUnavailableError("no answer: timed out.", remedy="Try again.")
        return after


@dataclass
class MadeMetrics:
    """The same counts at every look; None for missing ones."""

    canary: Arm | None = GOOD
    champion: Arm = GOOD_CHAMPION
    looks: list[tuple[datetime, datetime]] = field(default_factory=list)

    def read(self, champion: str, canary: str, *, since: datetime, until: datetime) -> Arms | None:
        assert (champion, canary) == (OLD, NEW)
        self.looks.append((since, until))
        if self.canary is None:
            return None
        return Arms(since=since, until=until, champion=self.champion, canary=self.canary)


@dataclass
class Crowned:
    """Remembers who was told to be champion."""

    told: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, bundle_id: str, *, instead_of: str) -> str:
        self.told.append((bundle_id, instead_of))
        return "champion of the test"


@dataclass
class Rehearsal:
    """One place with everything that a loop needs."""

    folder: Path
    open: Callable[[str], ObjectStore] = open_store
    metrics: MadeMetrics = field(default_factory=MadeMetrics)
    crown: Crowned = field(default_factory=Crowned)
    now: datetime = NOW
    paused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = self.open(str(self.folder / "record"))
        self.document = DocumentDeployment(self.open(str(self.folder / "deployment")))
        self.document.create(OLD)
        self.document.report_ready(OLD, NEW)
        self.deployment = FaultyDeployment(self.document)
        self.record = CanaryRecord.of(self.store, "test")

    def loop(self, holder: str = "one") -> CanaryLoop:
        return CanaryLoop(
            self.record,
            self.deployment,
            self.metrics,
            holder,
            self.crown,
            lambda: self.now,
            self.paused.append,
        )

    def pass_minutes(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)

    def to_step(self, number: int, *, config: CanaryConfig | None = None) -> None:
        """Begin, and go on until this step is in force."""
        state = self.loop().begin(NEW, config)
        while state.step < number or state.step_since is None:
            self.pass_minutes(31)
            state = self.loop().check()

    def shares(self) -> tuple[str, str | None, int]:
        """Who is stable, who is canary, and its share."""
        status = self.document.status()
        return status.stable, status.canary, status.percent
