"""PodMonitor, ServiceMonitor and PrometheusRule of the Prometheus operator.

Source: prometheus-operator.dev/docs/api-reference/api, monitoring.coreos.com/v1.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from k8s.checks.custom.parts import Duration, Name, Resource, Selector, Strict, exactly_one

PortName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Path = Annotated[str, StringConstraints(pattern="^/")]
Text = Annotated[str, StringConstraints(min_length=1)]


def seconds(text: str) -> float:
    """A duration of one unit in seconds."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
    number = text.rstrip("smhdwy")
    return int(number) * units[text[len(number) :]] if number.isdigit() else 0.0


class Relabeling(Strict):
    """One rewriting of labels."""

    sourceLabels: list[str] = Field(default_factory=list)  # noqa: N815
    separator: str | None = None
    targetLabel: str | None = None  # noqa: N815
    regex: str | None = None
    replacement: str | None = None
    action: Literal["replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep"] = "replace"


class Endpoint(Strict):
    """What is asked how often."""

    port: PortName
    path: Path
    interval: Duration | None = None
    scrapeTimeout: Duration | None = None  # noqa: N815
    scheme: Literal["http", "https"] = "http"
    honorLabels: bool = False  # noqa: N815
    relabelings: list[Relabeling] = Field(default_factory=list)
    metricRelabelings: list[Relabeling] = Field(default_factory=list)  # noqa: N815

    @model_validator(mode="after")
    def _waits_no_longer_than_it_rests(self) -> Self:
        if self.interval and self.scrapeTimeout and seconds(self.scrapeTimeout) > seconds(self.interval):
            raise ValueError("scrapeTimeout is longer than interval: Prometheus refuses that")
        return self


class Namespaces(Strict):
    """Where the targets are."""

    any: bool | None = None
    matchNames: list[Name] = Field(default_factory=list)  # noqa: N815


class PodMonitorSpec(Strict):
    """Pods to ask."""

    selector: Selector
    podMetricsEndpoints: Annotated[list[Endpoint], Field(min_length=1)]  # noqa: N815
    podTargetLabels: list[str] = Field(default_factory=list)  # noqa: N815
    namespaceSelector: Namespaces | None = None  # noqa: N815
    jobLabel: str | None = None  # noqa: N815


class PodMonitor(Resource):
    """The object."""

    spec: PodMonitorSpec


class ServiceMonitorSpec(Strict):
    """Services to ask."""

    selector: Selector
    endpoints: Annotated[list[Endpoint], Field(min_length=1)]
    targetLabels: list[str] = Field(default_factory=list)  # noqa: N815
    namespaceSelector: Namespaces | None = None  # noqa: N815
    jobLabel: str | None = None  # noqa: N815


class ServiceMonitor(Resource):
    """The object."""

    spec: ServiceMonitorSpec


class Rule(Strict):
    """A recorded series, or an alert."""

    record: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")] | None = None
    alert: Text | None = None
    expr: Text
    for_: Annotated[Duration | None, Field(alias="for")] = None
    keep_firing_for: Duration | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        exactly_one(self, "record", "alert")
        if self.record and (self.for_ or self.keep_firing_for or self.annotations):
            raise ValueError("a recorded series has neither for, keep_firing_for nor annotations")
        return self


class RuleGroup(Strict):
    """Rules that are evaluated one after the other."""

    name: Text
    interval: Duration | None = None
    limit: Annotated[int, Field(ge=0)] | None = None
    query_offset: Duration | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    rules: Annotated[list[Rule], Field(min_length=1)]


class PrometheusRuleSpec(Strict):
    """Groups of rules."""

    groups: Annotated[list[RuleGroup], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_each_group_once(self) -> Self:
        names = [group.name for group in self.groups]
        if len(set(names)) < len(names):
            raise ValueError("two groups have one name: Prometheus refuses that")
        return self


class PrometheusRule(Resource):
    """The object."""

    spec: PrometheusRuleSpec
