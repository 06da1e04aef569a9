"""A real Prometheus scrapes a real server, and jobs' gauges: the dashboards' queries find something."""

import itertools
import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from marquee.monitoring.gauges import GAUGES
from tests.k8s.exported import known_values
from tests.k8s.monitoring import COMPONENT, DASHBOARDS, Query, dashboard, queries, rule_groups
from tests.serving.conftest import Server, free_port, serving
from tests.small_run import Place

pytestmark = pytest.mark.services
PATIENCE_S = 30
SCRAPE = "500ms"
SILENT_WHILE_WELL = {
    "Degraded by reason",
    "Degraded share by bundle",
    "Lists that another one stood in for",
    "Refused bundles and item matrices",
}
"""Panels of what has not happened: their counters have no child yet."""


@pytest.fixture(scope="module")
def server(trained: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(trained, tmp_path_factory.mktemp("watched")) as found:
        yield found


@pytest.fixture(scope="module")
def jobs() -> Iterator[int]:
    """The port of what a Pushgateway exports after all jobs: each gauge with each of its known labels."""
    registry, known = CollectorRegistry(), known_values()
    for each in GAUGES:
        gauge = Gauge(each.name, each.help, each.labels, registry=registry)
        values = [sorted(known.get((each.name, label), {"default"})) for label in each.labels]
        for labels in itertools.product(*values):
            (gauge.labels(*labels) if labels else gauge).set(1)
    port = free_port()
    web, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    yield port
    web.shutdown()
    web.server_close()
    thread.join()


@pytest.fixture(scope="module")
def prometheus(server: Server, jobs: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus on loopback that scrapes them; ended by its process id."""
    if (program := shutil.which("prometheus")) is None:
        pytest.skip("promtool is not installed")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": rule_groups()}), encoding="utf-8")
    config = yaml.safe_load((COMPONENT / "local" / "prometheus.yaml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": SCRAPE}
    for scrape, target in zip(config["scrape_configs"], (server.port, jobs), strict=True):
        scrape["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    words = [
        program,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def ask(address: str, expr: str) -> list[Any]:
    """What an expression is worth now, by the API that Grafana asks."""
    query = urllib.parse.urlencode({"query": expr})
    with urllib.request.urlopen(f"{address}/api/v1/query?{query}", timeout=5) as answer:  # noqa: S310 - our own
        found: list[Any] = json.load(answer)["data"]["result"]
    return found


def as_grafana_asks(query: Query) -> str:
    """With every variable at All."""
    return re.sub(r"\$(namespace|surface|variant|bundle)", ".*", query.expr).replace("$__rate_interval", "5s")


def is_told(result: list[Any]) -> bool:
    return any(each["value"][1] != "NaN" for each in result)


def test_dashboards_show_a_server_at_work_and_jobs_that_ended(server: Server, prometheus: str):
    found = [each for path in DASHBOARDS for each in queries(dashboard(path))]
    asked = [each for each in found if each.where not in SILENT_WHILE_WELL]
    open_ones, ends_at = asked, time.monotonic() + PATIENCE_S

    while open_ones and time.monotonic() < ends_at:
        server.predict({"user_id": "u001"}, {"user_id": "u002", "surface": "popular"}, {"user_id": "nobody"})
        server.predict({"n": 0})
        time.sleep(0.2)
        try:
            open_ones = [each for each in open_ones if not is_told(ask(prometheus, as_grafana_asks(each)))]
        except OSError:  # it begins to listen a moment after its start
            continue

    assert open_ones == []


def test_rules_are_at_work_and_see_that_serving_is_well(server: Server, prometheus: str):
    """Each job's gauges are at 1 there, so that theirs fire."""
    firing = {each["metric"]["alertname"] for each in ask(prometheus, 'ALERTS{alertstate="firing"}')}

    assert firing <= {"MarqueeDataGateClosed", "MarqueeQualityDrift"}
    assert ask(prometheus, "marquee:requests:rate5m")
