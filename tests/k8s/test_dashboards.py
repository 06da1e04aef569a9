"""The dashboards ask for what is exported, are whole, and fit a screen."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from marquee.monitoring.drift_config import DriftPolicyConfig
from tests.k8s import promql
from tests.k8s.exported import exported, with_recorded
from tests.k8s.monitoring import COMPONENT, DASHBOARDS, dashboard, panels, queries, rules

COLUMNS = 24
KINDS = {"timeseries", "stat", "table", "bargauge", "heatmap", "state-timeline"}
RESULT_ALIASES = {"Time", "Value"}
BUILT_IN = {"type": "grafana", "uid": "-- Grafana --"}
CHOSEN = {"type": "prometheus", "uid": "${datasource}"}
pytestmark = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def known() -> Mapping[str, promql.Metric]:
    return with_recorded(exported(), rules())


def variables(path: Path) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in dashboard(path)["templating"]["list"]}


def test_queries_ask_for_what_is_exported(path: Path, known: Mapping[str, promql.Metric]):
    for query in queries(dashboard(path)):
        asked = promql.read(query.expr, known)

        named = set(re.findall(r"{{\s*(\w+)\s*}}", query.legend))
        assert asked.metrics, query
        assert named <= asked.labels, query


def test_each_query_with_another_metric_or_label_is_found_out(path: Path, known: Mapping[str, promql.Metric]):
    for query in queries(dashboard(path)):
        for name in promql.read(query.expr, known).metrics:
            mutants = [
                query.expr.replace(name, f"{name}s"),
                re.sub(r"by \((\w+)", r"by (\1_", query.expr, count=1),
            ]
            for mutant in mutants:
                if mutant != query.expr:
                    with pytest.raises(promql.PromqlError):
                        promql.read(mutant, known)


def test_annotations_and_variables_ask_for_what_is_exported(path: Path, known: Mapping[str, promql.Metric]):
    for each in dashboard(path)["annotations"]["list"]:
        if "expr" in each:
            assert promql.read(each["expr"], known).metrics
    for name, each in variables(path).items():
        if each["type"] != "query":
            continue
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", each["definition"])
        assert found is not None, name
        assert found[2] in promql.read(found[1], known).labels
        assert each["query"]["query"] == each["definition"]


def test_variables_are_defined_and_used(path: Path):
    text = json.dumps(dashboard(path)["panels"])
    defined = set(variables(path))

    used = set(re.findall(r"\$\{?(?!__)(\w+)", text))
    assert used == defined
    assert {"datasource", "variant", "surface", "bundle"} <= defined


def test_data_come_from_the_chosen_source_alone(path: Path):
    board = dashboard(path)
    sources = [each["datasource"] for each in board["annotations"]["list"]]
    sources += [each["datasource"] for each in variables(path).values() if each["type"] == "query"]
    sources += [each["datasource"] for each in panels(board) if each["type"] != "row"]
    sources += [target["datasource"] for each in panels(board) for target in each.get("targets", ())]

    assert [each for each in sources if each not in (CHOSEN, BUILT_IN)] == []
    assert variables(path)["datasource"]["query"] == "prometheus"


def test_panels_fill_the_screen_without_overlapping(path: Path):
    taken: dict[tuple[int, int], str] = {}
    for panel in panels(dashboard(path)):
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    lines = {y for _, y in taken}

    assert lines == set(range(len(lines)))
    assert all((0, y) in taken for y in lines)


def test_panels_are_told_apart_and_have_units(path: Path):
    found = panels(dashboard(path))
    drawn = [each for each in found if each["type"] != "row"]

    assert len({each["id"] for each in found}) == len(found)
    assert len({each["title"] for each in found}) == len(found)
    assert {each["type"] for each in drawn} <= KINDS
    assert all(each["fieldConfig"]["defaults"]["unit"] for each in drawn)
    assert [
        each for each in drawn if len({t["refId"] for t in each["targets"]}) != len(each["targets"])
    ] == []


def test_dashboard_is_what_grafana_provisions(path: Path):
    board = dashboard(path)

    assert board["uid"] == path.stem
    assert board["schemaVersion"] >= 39  # Grafana 11's
    assert "id" not in board  # the database's own
    others = {dashboard(each)["uid"] for each in DASHBOARDS}
    assert {link["url"] for link in board["links"]} <= {f"/d/{uid}" for uid in others}


def test_dashboard_is_in_the_config_map_that_grafanas_sidecar_loads(path: Path):
    made = yaml.safe_load((COMPONENT / "kustomization.yaml").read_text(encoding="utf-8"))
    (generator,) = (one for one in made["configMapGenerator"] if one["name"] == "marquee-dashboards")

    assert f"dashboards/{path.name}" in generator["files"]
    assert generator["options"]["labels"]["grafana_dashboard"] == "1"


def test_newest_z_is_red_from_the_policys_threshold_on(path: Path):
    found = [each for each in panels(dashboard(path)) if each["title"] == "Newest z"]
    policy = DriftPolicyConfig()

    colours = [each["fieldConfig"]["defaults"]["thresholds"]["steps"][1:] for each in found]
    assert all(
        [step["value"] for step in steps] == [policy.calm_below, policy.threshold] for steps in colours
    )
    assert len(found) == (path.stem == "marquee-models")
