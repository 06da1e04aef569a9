"""Was what was served what the offline store knows of that moment? A log of requests, asked again.

The rule of time: a request's moment is taken before its read. Offline, an event counts as known from its
own microsecond on. Online, it is known once its push has ended. So the two agree for every request whose
moment is not before an event that was pushed already, nor at or after one that was not. Stores keep the
time of a row in whole seconds: where a view has a limit of age, its row may expire online up to a second
before it does offline; our user views have none.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from marquee import schema
from marquee.adapters.feast.causes import Cause, cause_of
from marquee.adapters.feast.door import FeatureDoor
from marquee.adapters.feast.live import OlderEvents
from marquee.data.log_lines import RejectedLine
from marquee.errors import FeatureStoreError
from marquee.features.request_log import LogEntry, LoggedRequest, read_requests


class ParityConfig(BaseModel):
    """How a log is replayed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk_requests: int = Field(default=2_000, ge=1)
    """Requests that are asked again at a time: what memory holds."""
    examples: int = Field(default=5, ge=0)
    """Differences and rejected lines that are kept whole."""
    explained: int = Field(default=1_000, ge=0)
    """Differing requests whose cause is looked for: each costs milliseconds."""


@dataclass(frozen=True)
class Difference:
    """One feature of one request."""

    request_id: str
    user_id: str
    time_us: int
    view: str
    feature: str
    served: Any
    offline: Any


@dataclass
class ParityReport:
    """What a replay found."""

    requests: int = 0
    equal: int = 0
    rejected: int = 0
    """Lines that hold no request."""
    torn: int = 0
    """1 where the log's last line was never finished."""
    differing: dict[str, dict[str, int]] = field(default_factory=dict)
    """View to feature to number of requests."""
    causes: Counter[Cause] = field(default_factory=Counter)
    """Requests that differ in user_activity, by cause; those in other views only are "other"."""
    examples: list[Difference] = field(default_factory=list)
    rejections: list[RejectedLine] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0: all equal; 1: some differ; 2: lines could not be read, or there was no request."""
        if self.rejected or not self.requests:
            return 2
        return int(self.equal < self.requests)


def replay(
    door: FeatureDoor,
    log: Path,
    *,
    config: ParityConfig | None = None,
    events_of: OlderEvents | None = None,
) -> ParityReport:
    """Compare each row that was served with the offline row as of its request: bits, elements, nulls.

    Args:
        door: of the profile whose offline store is asked.
        log: as `marquee.features.request_log` writes it.
        config: sizes.
        events_of: the state's events of users, to find causes with; without, all but "ahead" are "other".

    Raises:
        SourceError: the log, or a view's files, can't be read.
        FeatureStoreError: the registry lacks a service of the log, or it means something else now.
    """
    config = config or ParityConfig()
    report = ParityReport()
    known: dict[tuple[str, str], dict[str, str]] = {}
    entries = read_requests(log)
    while chunk := list(islice(entries, config.chunk_requests)):
        requests = list(_accepted(chunk, report, config))
        for key in dict.fromkeys((each.service, each.service_hash) for each in requests):
            if key not in known:
                known[key] = _user_features(door, *key)
            group = [each for each in requests if (each.service, each.service_hash) == key]
            _Group(door, key[0], known[key], config).compare(group, report, events_of)
    return report


def _accepted(chunk: list[LogEntry], report: ParityReport, config: ParityConfig) -> Iterator[LoggedRequest]:
    for entry in chunk:
        if isinstance(entry, LoggedRequest):
            yield entry
            continue
        report.torn += entry.is_torn
        report.rejected += not entry.is_torn
        if len(report.rejections) < config.examples:
            report.rejections.append(entry)


def _user_features(door: FeatureDoor, service: str, logged_hash: str) -> dict[str, str]:
    """View by feature of a service's user views.

    Raises:
        FeatureStoreError: the service means something else than when it was logged.
    """
    if (found := door.service_hash(service)) != logged_hash:
        raise FeatureStoreError(
            f"the log was written with service {service} as {logged_hash[:12]}, and profile"
            f" {door.profile.name} has it as {found[:12]}.",
            remedy="Replay it with the registry of that release.",
        )
    return {
        feature.name: part.name
        for part in door.service(service).feature_view_projections
        if schema.VIEW_KEYS[part.name] == schema.USER_ID
        for feature in part.features
    }


class _Group:
    """Requests of one service."""

    def __init__(
        self, door: FeatureDoor, service: str, view_of: dict[str, str], config: ParityConfig
    ) -> None:
        self.door = door
        self.service = service
        self.view_of = view_of
        self.config = config

    def compare(
        self, requests: list[LoggedRequest], report: ParityReport, events_of: OlderEvents | None
    ) -> None:
        """Add what is found to the report."""
        served = self._served(requests)
        offline = self._offline(requests)
        differs = pl.DataFrame({name: differing(served[name], offline[name]) for name in self.view_of})
        places = differs.select(pl.any_horizontal(pl.all()).arg_true()).to_series().to_list()
        report.requests += len(requests)
        report.equal += len(requests) - len(places)
        for name, count in differs.sum().row(0, named=True).items():
            if count:
                features = report.differing.setdefault(self.view_of[name], {})
                features[name] = features.get(name, 0) + count
        for place in places:
            names = [name for name in self.view_of if differs[name][place]]
            rows = (served.row(place, named=True), offline.row(place, named=True))
            self._note(requests[place], names, rows, report, events_of)

    def _note(
        self,
        request: LoggedRequest,
        names: list[str],
        rows: tuple[dict[str, Any], dict[str, Any]],
        report: ParityReport,
        events_of: OlderEvents | None,
    ) -> None:
        """Keep one request's differences as examples, as far as they are wanted, and find their cause."""
        served, offline = rows
        wanted = max(self.config.examples - len(report.examples), 0)
        report.examples += [
            Difference(
                request.request_id,
                request.user_id,
                request.time_us,
                self.view_of[name],
                name,
                served[name],
                offline[name],
            )
            for name in names[:wanted]
        ]
        cause: Cause = "other"
        if report.causes.total() >= self.config.explained:
            cause = "not looked for"
        elif all(self.view_of[name] == schema.USER_ACTIVITY_VIEW for name in names):
            cause = cause_of(request, served, events_of)
        report.causes[cause] += 1

    def _served(self, requests: list[LoggedRequest]) -> pl.DataFrame:
        """Rows of the log as a table.

        Raises:
            FeatureStoreError: a row has other features than its service.
        """
        for request in requests:
            if list(request.row) != list(self.view_of):
                odd = sorted(set(request.row) ^ set(self.view_of)) or ["their order"]
                raise FeatureStoreError(
                    f"request {request.request_id!r} differs from service {self.service} in {odd[0]}.",
                    remedy="Log rows as FeatureDoor.get_user_row gives them.",
                )
        columns = {name: schema.FEATURE_VIEWS[view][name] for name, view in self.view_of.items()}
        return pl.DataFrame([request.row for request in requests], schema=columns, orient="row")

    def _offline(self, requests: list[LoggedRequest]) -> pl.DataFrame:
        times = pl.Series([request.time_us for request in requests], dtype=pl.Int64)
        labels = pl.DataFrame(
            {
                schema.USER_ID: [request.user_id for request in requests],
                schema.EVENT_TIMESTAMP: times.cast(schema.TIME_DTYPE),
            }
        )
        views = list(dict.fromkeys(self.view_of.values()))
        return self.door.historical(self.service, labels, views=views).select(
            pl.col(name).cast(schema.FEATURE_VIEWS[view][name]) for name, view in self.view_of.items()
        )


def differing(served: pl.Series, offline: pl.Series) -> pl.Series:
    """`(n,) bool`: where two columns of one dtype are not the same bits; null equals null, NaN any NaN."""
    return _bits(served).ne_missing(_bits(offline))


def _bits(values: pl.Series) -> pl.Series:
    """Floats as integers, because 0 equals −0 as numbers; all else as it is."""
    one_nan = pl.element().fill_nan(float("nan"))
    if values.dtype == pl.List(pl.Float32):
        return values.to_frame().select(pl.all().list.eval(_as_integer(one_nan))).to_series()
    if values.dtype == pl.Float32:
        return values.to_frame().select(_as_integer(pl.all().fill_nan(float("nan")))).to_series()
    return values


def _as_integer(values: pl.Expr) -> pl.Expr:
    return values.reinterpret(dtype=pl.UInt32)
