"""The alerts ask for what is exported, lead to a runbook each, and are all tried, firing and silent."""

import re
from collections import defaultdict

import pytest
import yaml

from marquee.monitoring import gauges
from tests.k8s import promql
from tests.k8s.exported import ROOT, exported, with_recorded
from tests.k8s.monitoring import DASHBOARDS, RUNBOOKS, Rule, alerts, dashboard, queries, rules, unit_tests

ALERTS = alerts()
SECTIONS = ["## Meaning", "## Impact", "## Diagnosis", "## Mending", "## Silencing"]


def called(rule: Rule) -> str:
    return f"{rule['alert']}-{rule['labels']['severity']}"


@pytest.fixture(scope="module")
def known() -> dict[str, promql.Metric]:
    return with_recorded(exported(), rules())


@pytest.mark.parametrize("rule", ALERTS, ids=called)
def test_alert_asks_for_what_is_exported(rule: Rule, known: dict[str, promql.Metric]):
    asked = promql.read(rule["expr"], known)

    named = {label for text in rule["annotations"].values() for label in promql.templated(text)}
    assert asked.metrics
    assert named <= asked.labels


@pytest.mark.parametrize("rule", ALERTS, ids=called)
def test_alert_says_what_is_wrong_how_badly_and_what_to_do(rule: Rule):
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert (ROOT / rule["annotations"]["runbook_url"]).is_file()
    assert rule["annotations"]["runbook_url"].endswith(f"/{rule['alert']}.md")


def test_recorded_names_are_ours_and_used(known: dict[str, promql.Metric]):
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    expressions = [rule["expr"] for rule in ALERTS]
    expressions += [query.expr for path in DASHBOARDS for query in queries(dashboard(path))]
    used = {name for expression in expressions for name in promql.read(expression, known).metrics}

    assert all(name.startswith("marquee:") for name in recorded)
    assert recorded <= used


def test_gauges_that_are_asked_for_are_left_by_some_job(known: dict[str, promql.Metric]):
    constants = {each.name: name for name, each in vars(gauges).items() if isinstance(each, gauges.Gauge)}
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "marquee").rglob("*readings.py"))
    expressions = [rule["expr"] for rule in ALERTS]
    expressions += [query.expr for path in DASHBOARDS for query in queries(dashboard(path))]
    used = {name for each in expressions for name in promql.read(each, known).metrics} & set(constants)

    assert len(used) > 20
    assert [name for name in sorted(used) if f"gauges.{constants[name]}" not in code] == []


@pytest.mark.parametrize(
    ("alert", "manifest"),
    [
        ("MarqueeDriftLate", "base/drift/cron-job.yaml"),
        ("MarqueeOnlineMetricsLate", "components/monitoring/online-metrics.yaml"),
    ],
)
def test_job_is_late_after_two_of_its_periods(alert: str, manifest: str):
    job = yaml.safe_load((ROOT / "k8s" / manifest).read_text(encoding="utf-8"))
    (rule,) = (rule for rule in ALERTS if rule["alert"] == alert)

    assert re.fullmatch(r"\d+ \d+ \* \* \*", job["spec"]["schedule"])  # daily
    assert "> 2 * 24 * 3600\n" in rule["expr"]


def test_each_runbook_is_of_an_alert():
    written = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}

    assert written == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("name", sorted({rule["alert"] for rule in ALERTS}))
def test_runbook_has_its_sections_and_is_listed(name: str):
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")

    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## .*$", text, re.MULTILINE) == SECTIONS
    assert f"[{name}]({name}.md)" in (RUNBOOKS / "README.md").read_text(encoding="utf-8")


def test_each_alert_is_tried_firing_and_silent():
    fires, is_silent = defaultdict(int), defaultdict(int)
    for group in unit_tests():
        for case in group["alert_rule_test"]:
            for alert in case["exp_alerts"]:
                fires[case["alertname"], alert["exp_labels"]["severity"]] += 1
            is_silent[case["alertname"]] += not case["exp_alerts"]

    assert {(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS} == set(fires)
    assert [rule["alert"] for rule in ALERTS if not is_silent[rule["alert"]]] == []
