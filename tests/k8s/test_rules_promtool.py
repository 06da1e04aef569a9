"""The rules as Prometheus has them, tried by Debian's promtool; no server is started."""

import copy
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.monitoring import (
    DASHBOARDS,
    UNIT_TESTS,
    alerts,
    dashboard,
    queries,
    rule_groups,
    unit_tests,
)

pytestmark = pytest.mark.services
OPPOSITE = {">": "<", "<": ">", "==": "!="}


@pytest.fixture(scope="module")
def promtool() -> str:
    if (found := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed")
    return found


def run(promtool: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool, *words], cwd=cwd, capture_output=True, text=True, check=False)


def write_rules(folder: Path, groups: list[dict[str, Any]]) -> None:
    """With the summaries alone of the annotations: promtool compares all that it finds."""
    groups = copy.deepcopy(groups)
    for rule in (rule for group in groups for rule in group["rules"] if "alert" in rule):
        rule["annotations"] = {"summary": rule["annotations"]["summary"]}
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")


def test_rules_are_rules_to_prometheus(promtool: str, tmp_path: Path):
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rule_groups()}), encoding="utf-8")

    done = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(path: Path, promtool: str, tmp_path: Path):
    write_rules(tmp_path, rule_groups())
    shutil.copy(path, tmp_path)

    done = run(promtool, "test", "rules", path.name, cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def comparisons() -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Where each alert compares; of a budget's two pairs of windows either suffices, so they go together."""
    for rule in alerts():
        places = tuple(found.start(1) for found in re.finditer(r"\s(>|<|==) ", rule["expr"]))
        for each in [places] if "Budget" in rule["alert"] else [(place,) for place in places]:
            yield rule["alert"], rule["labels"]["severity"], each


def turned_round(expr: str, places: tuple[int, ...]) -> str:
    for place in reversed(places):
        sign = expr[place:].split(" ", 1)[0]
        expr = expr[:place] + OPPOSITE[sign] + expr[place + len(sign) :]
    return expr


def needed(group: dict[str, Any], alert: str) -> dict[str, Any]:
    """Without the other alerts, and without what is recorded for them."""
    asked = " ".join(rule["expr"] for rule in alerts() if rule["alert"] == alert)
    rules = [
        each
        for each in group["rules"]
        if each.get("alert") == alert or each.get("record", "-") in asked.split()
    ]
    return {**group, "rules": rules}


@pytest.mark.parametrize(("name", "severity", "places"), list(comparisons()))
def test_comparison_turned_round_is_found_out(
    name: str, severity: str, places: tuple[int, ...], promtool: str, tmp_path: Path
):
    groups = copy.deepcopy(rule_groups())
    (rule,) = (
        each
        for group in groups
        for each in group["rules"]
        if each.get("alert") == name and each["labels"]["severity"] == severity
    )
    rule["expr"] = turned_round(rule["expr"], places)
    groups = [needed(group, name) for group in groups]
    write_rules(tmp_path, groups)
    cases = [each for each in unit_tests() if name in {case["alertname"] for case in each["alert_rule_test"]}]
    every = "10m" if any(each["interval"] == "5m" for each in cases) else "1m"
    tests = {"rule_files": ["rules.yaml"], "evaluation_interval": every, "tests": cases}
    (tmp_path / "mutant_test.yaml").write_text(yaml.safe_dump(tests), encoding="utf-8")

    done = run(promtool, "test", "rules", "mutant_test.yaml", cwd=tmp_path)

    assert done.returncode != 0, rule["expr"]
    assert "alertname" in done.stdout + done.stderr


def test_queries_of_dashboards_are_read_by_prometheus(promtool: str, tmp_path: Path):
    asked = [(path, each) for path in DASHBOARDS for each in queries(dashboard(path))]
    made = [
        {"record": f"query_{number}", "expr": re.sub(r"\$__(rate_interval|range|interval)", "5m", each.expr)}
        for number, (_, each) in enumerate(asked)
    ]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": made}]}))

    done = run(promtool, "check", "rules", "queries.yaml", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(made) > len(DASHBOARDS)
