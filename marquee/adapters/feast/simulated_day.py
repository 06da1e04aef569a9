"""A day as it would have been: events pushed as they happen, requests answered in between, both in order.

Afterwards the day's events join the offline state, and the log of requests is asked again. What a network
does to events is done here, too: some come twice, some after later ones, and on demand some only after a
request that should have known them.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from marquee import schema
from marquee.adapters.feast.door import FeatureDoor
from marquee.adapters.feast.live import LiveUsers, state_events
from marquee.adapters.feast.online import UserRow
from marquee.adapters.feast.parity import ParityConfig, ParityReport, replay
from marquee.errors import FeatureStoreError, NotEnoughDataError
from marquee.features.context import DAY_US, HOUR_US
from marquee.features.item_matrix.matrix import microseconds
from marquee.features.request_log import LoggedRequest, RequestLogger, logging_to
from marquee.features.state import SideTables, StateFolder, build_state, update_state
from marquee.features.user_rows import query_of
from marquee.recommend import Recommender

Serve = Callable[[UserRow, datetime], list[str]]
"""From a user's row and the moment to a list of items."""
SimulationProgress = Callable[[str, int, int], None]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEP: Final = 100
_USER_VIEWS: Final = tuple(view for view, key in schema.VIEW_KEYS.items() if key == schema.USER_ID)


class DayConfig(BaseModel):
    """What the day brings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: int = Field(default=5_000, ge=1)
    """At least so many, over as many whole days at the end of the data as that needs."""
    service: str = "ranking_v1"
    """The feature service that is asked."""
    own_requests: float = Field(default=0.5, ge=0, le=1)
    """How often users ask at the very microsecond of an event of theirs."""
    others_requests: int = Field(default=2, ge=1)
    """Requests by anybody between two moments with events."""
    strangers: float = Field(default=0.02, ge=0, le=1)
    """Share of those by somebody whom nobody knows."""
    duplicates: float = Field(default=0.1, ge=0, le=1)
    """Share of events that arrive a second time, at the latest with their user's next request."""
    out_of_order: float = Field(default=0.15, ge=0, le=1)
    """Share of events that arrive after later ones of their user, but before the user's next request."""
    late: float = Field(default=0.0, ge=0, le=1)
    """Share of events that arrive after their user's next request: no order by time can have those."""
    seed: int = 7


@dataclass
class DayReport:
    """What happened; times in milliseconds, one a call, by the clock and of the processor."""

    events: int = 0
    """Events of the day."""
    pushes: int = 0
    """Calls that pushed one event each, repeats included."""
    requests: int = 0
    late_events: int = 0
    requests_before_late: int = 0
    """Requests by users of whom an event was on its way."""
    push_ms: list[float] = field(default_factory=list)
    push_cpu_ms: list[float] = field(default_factory=list)
    read_ms: list[float] = field(default_factory=list)
    read_cpu_ms: list[float] = field(default_factory=list)


def _silent(_what: str, _done: int, _total: int) -> None:
    return None


def lists_of(recommender: Recommender, n: int = 12) -> Serve:
    """Makes lists by `marquee.recommend`, as a server does: an online row in, item ids out."""

    def serve(row: UserRow, now: datetime) -> list[str]:
        query = query_of(row.values, time_us=microseconds(now), items=recommender.items)
        shown = recommender.recommend(query, n).item_index[0]
        return recommender.items.decode(shown[shown >= 0])

    return serve


def split_day(events: pl.DataFrame, config: DayConfig) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events before and from the latest UTC midnight after which there are moments enough to ask at.

    Raises:
        NotEnoughDataError: there are too few, or nothing is before them.
    """
    needed = -(-config.requests // config.others_requests)
    moments = events[schema.TIMESTAMP].dt.epoch("us").unique().sort(descending=True)
    if len(moments) > needed:
        midnight = int(moments[needed - 1]) // DAY_US * DAY_US
        is_before = events[schema.TIMESTAMP].dt.epoch("us") < midnight
        if is_before.any():
            return events.filter(is_before), events.filter(~is_before)
    raise NotEnoughDataError(
        f"{config.requests} requests need {needed} moments with events on whole days after the first;"
        f" there are {len(moments)} moments in all.",
        remedy="Ask for fewer requests, or take a larger data set.",
    )


@contextmanager
def _timed(clock_ms: list[float], cpu_ms: list[float]) -> Iterator[None]:
    clock, cpu = time.perf_counter(), time.process_time()
    yield
    clock_ms.append(1e3 * (time.perf_counter() - clock))
    cpu_ms.append(1e3 * (time.process_time() - cpu))


class _Day:
    """One walk through the events of a day."""

    def __init__(
        self, door: FeatureDoor, live: LiveUsers, log: RequestLogger, config: DayConfig, serve: Serve | None
    ) -> None:
        self.door, self.live, self.log, self.config, self.serve = door, live, log, config, serve
        self.rng = np.random.default_rng(config.seed)
        self.service_hash = door.service_hash(config.service)
        self.report = DayReport()
        self.held: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self.late: dict[str, list[pl.DataFrame]] = defaultdict(list)

    def walk(self, events: pl.DataFrame, users: Sequence[str], on_progress: SimulationProgress) -> DayReport:
        """Events moment by moment, requests at and between them."""
        self.report.events = len(events)
        moments = events.sort(schema.TIMESTAMP).partition_by(schema.TIMESTAMP, maintain_order=True)
        times = [int(moment[schema.TIMESTAMP].dt.epoch("us")[0]) for moment in moments]
        for number, (moment, until) in enumerate(
            zip(moments, [*times[1:], times[-1] + HOUR_US], strict=True)
        ):
            if number % _STEP == 0:
                on_progress("simulate", number, len(moments))
            for event in moment.sample(fraction=1, shuffle=True, seed=self._seed()).iter_slices(1):
                self._arrive(event)
            for user in moment[schema.USER_ID].unique().sort():
                if self.rng.random() < self.config.own_requests:
                    self._ask(user, times[number])
            for time_us in sorted(self._times_between(times[number], until)):
                self._ask(self._anybody(users), time_us)
        for waiting in (self.held, self.late):
            for user in sorted(waiting):
                self._deliver(waiting.pop(user))
        return self.report

    def _seed(self) -> int:
        return int(self.rng.integers(2**32))

    def _times_between(self, start: int, end: int) -> Iterator[int]:
        for _ in range(self.config.others_requests):
            yield start + int(self.rng.integers(0, min(end - start, HOUR_US)))

    def _anybody(self, users: Sequence[str]) -> str:
        if self.rng.random() < self.config.strangers:
            return f"stranger-{self.report.requests}"
        return users[int(self.rng.integers(len(users)))]

    def _arrive(self, event: pl.DataFrame) -> None:
        """One event: now, or later."""
        user = event[schema.USER_ID][0]
        fate, comes_twice = self.rng.random(), self.rng.random() < self.config.duplicates
        if fate < self.config.late:
            self.report.late_events += 1
            self.late[user].append(event)
            return
        if fate < self.config.late + self.config.out_of_order:
            self.held[user].append(event)
        else:
            self._push(event)
        if comes_twice:
            self.held[user].append(event)

    def _deliver(self, events: list[pl.DataFrame]) -> None:
        for place in self.rng.permutation(len(events)):
            self._push(events[place])

    def _push(self, event: pl.DataFrame) -> None:
        with _timed(self.report.push_ms, self.report.push_cpu_ms):
            self.live.push(event)
        self.report.pushes += 1

    def _ask(self, user: str, time_us: int) -> None:
        """One request: what was held back arrives before it, what is late after it."""
        self._deliver(self.held.pop(user, []))
        now = _EPOCH + timedelta(microseconds=time_us)
        with _timed(self.report.read_ms, self.report.read_cpu_ms):
            row = self.door.get_user_row(self.config.service, user, now=now)
        self.log.write(
            LoggedRequest(
                request_id=f"r{self.report.requests}",
                time_us=time_us,
                service=self.config.service,
                service_hash=self.service_hash,
                user_id=user,
                row=row.values,
                items=tuple(self.serve(row, now)) if self.serve else None,
            )
        )
        self.report.requests += 1
        overdue = self.late.pop(user, [])
        self.report.requests_before_late += bool(overdue)
        self._deliver(overdue)


@dataclass(frozen=True, eq=False)
class Stage:
    """Where a day is lived: stores that nobody else uses, because moments of the past are written there."""

    root: Path
    """An empty folder for the state that the door's profile reads."""
    door: FeatureDoor
    repo: Path
    """The feature repository."""
    tables: SideTables | None = None
    publish: Callable[[], None] = lambda: None
    """Brings the state from `root` to where the profile reads it; called after each build."""


def simulate_day(
    stage: Stage,
    events: pl.DataFrame,
    log: Path,
    *,
    config: DayConfig | None = None,
    serve: Serve | None = None,
    on_progress: SimulationProgress = _silent,
) -> DayReport:
    """Build the state of all days before, bring it online, live through the rest, and build that, too.

    Args:
        stage: where.
        events: a table of the contract.
        log: where requests are written.
        config: what the day brings.
        serve: makes the list of each request; by default none is made.
        on_progress: hears what is being done.

    Raises:
        NotEnoughDataError: there are too few events for so many requests.
        FeatureStoreError: the online store holds rows of these users, or does not answer.
    """
    config = config or DayConfig()
    before, day = split_day(events, config)
    users = events[schema.USER_ID].unique().sort().to_list()
    on_progress("build the days before", 0, 1)
    build_state(stage.root, before, tables=stage.tables)
    stage.publish()
    stage.door.apply(stage.door.declarations(stage.repo))
    _require_empty(stage.door, config.service, users)
    on_progress("bring them online", 0, 1)
    stage.door.materialise(start=_EPOCH, end=_just_before(day), views=list(_USER_VIEWS))
    live = LiveUsers(stage.door, older_events=state_events(StateFolder(stage.root)))
    with logging_to(log) as logger:
        report = _Day(stage.door, live, logger, config, serve).walk(day, users, on_progress)
    on_progress("add the day to the state", 0, 1)
    update_state(stage.root, day, tables=stage.tables)
    stage.publish()
    return report


def _just_before(day: pl.DataFrame) -> datetime:
    start_us = int(day[schema.TIMESTAMP].dt.epoch("us").min())  # type: ignore[arg-type]  # an int64 column
    return _EPOCH + timedelta(microseconds=start_us - 1)


def replay_day(
    root: Path, door: FeatureDoor, log: Path, *, config: ParityConfig | None = None
) -> ParityReport:
    """As `replay`; causes are looked for in the events of the state in `root`.

    Raises:
        SourceError: as `replay`.
        FeatureStoreError: as `replay`.
    """
    return replay(door, log, config=config, events_of=state_events(StateFolder(root)))


def _require_empty(door: FeatureDoor, service: str, users: Sequence[str]) -> None:
    """Check that no real row is overwritten with the past."""
    for user in users[:: max(len(users) // 100, 1)]:
        if door.get_user_row(service, user, now=_EPOCH).is_known:
            raise FeatureStoreError(
                f"the online store of profile {door.profile.name} holds a row of user {user!r} already.",
                remedy="Simulate in a project of its own: another FEAST_PROJECT, or an empty folder.",
            )
