"""The component k8s/components/monitoring as its readers have it: rules, unit tests of rules, dashboards."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.exported import ROOT

COMPONENT = ROOT / "k8s" / "components" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
UNIT_TESTS = tuple(sorted((Path(__file__).parent / "rules").glob("*_test.yaml")))
DASHBOARDS = tuple(sorted((COMPONENT / "dashboards").glob("*.json")))

Rule = dict[str, Any]


def rule_groups() -> list[dict[str, Any]]:
    """Of the PrometheusRule, as a rules file of Prometheus has them."""
    groups: list[dict[str, Any]] = yaml.safe_load((COMPONENT / "rules.yaml").read_text(encoding="utf-8"))[
        "spec"
    ]["groups"]
    return groups


def rules() -> list[Rule]:
    """All rules in order."""
    return [rule for group in rule_groups() for rule in group["rules"]]


def alerts() -> list[Rule]:
    """Those that alert."""
    return [rule for rule in rules() if "alert" in rule]


def unit_tests() -> Iterator[dict[str, Any]]:
    """Each group of the unit tests."""
    for path in UNIT_TESTS:
        yield from yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]


@dataclass(frozen=True)
class Query:
    """One query of a dashboard."""

    where: str
    """Panel or variable."""
    expr: str
    legend: str = ""


def dashboard(path: Path) -> dict[str, Any]:
    """As Grafana reads it."""
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """All panels, those of folded rows, too."""
    return [each for panel in board["panels"] for each in (panel, *panel.get("panels", ()))]


def queries(board: dict[str, Any]) -> Sequence[Query]:
    """Of all panels."""
    return [
        Query(panel["title"], target["expr"], target.get("legendFormat", ""))
        for panel in panels(board)
        for target in panel.get("targets", ())
    ]
