import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from marquee.adapters.deployment import MetricsUnavailableError
from marquee.adapters.prometheus import MetricsConfig, PrometheusMetrics, increase
from marquee.adapters.prometheus_api import PrometheusApi, PrometheusConfig, Series
from marquee.errors import ConfigError
from tests.marquee.adapters.prometheus_stub import SCRAPE_S, Scraped, Server, answering, listening

UNTIL = datetime(2026, 3, 2, 12, tzinfo=UTC)
SINCE = UNTIL - timedelta(minutes=30)
BEGAN = SINCE.timestamp()
LONG_AGO = BEGAN - 86_400


def half_an_hour() -> Scraped:
    """Ten requests a scrape for each champion, one for the canary, of which from the middle on some fail.

    `old-2` starts again in the middle. `moving` changes its bundle. `new-1` was loaded before the window and
    had answered nothing; its first errors make a series that was not there before.
    """
    scraped = Scraped()
    old = [Server("old-1", "old", LONG_AGO), Server("old-2", "old", LONG_AGO)]
    new, moving = Server("new-1", "new", BEGAN - 60), Server("moving", "old", LONG_AGO)
    aside = Server("old-1", "third", LONG_AGO, slot="challenger")
    for each in old:
        each.answer(5_000, "ok")
    for number in range(-4, 121):
        at = BEGAN + number * SCRAPE_S
        if number == 60:
            old[1] = Server("old-2", "old", at)
            moving.bundle, moving.loaded_at = "new", at
        if number > 0:
            for each in (*old, aside):
                each.answer(10, "ok")
            new.answer(1, "degraded", seconds=0.015)
            if number == 80:
                new.answer(7, "error")
            moving.answer(100, "ok")
            old[0].answer(1, "refused")
        for each in (*old, new, moving, aside):
            each.scrape(at, scraped)
    return scraped


@contextmanager
def real_prometheus(scraped: Scraped, folder: Path) -> Iterator[str]:
    """The same samples in Prometheus itself."""
    samples = folder / "samples.txt"
    samples.write_text(scraped.as_openmetrics(), encoding="utf-8")
    (folder / "prometheus.yml").write_text("global: {}\n", encoding="utf-8")
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(samples), str(folder / "data")]
    subprocess.run(made, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder / "data",
        "storage.tsdb.retention.time": "100y",
        "web.listen-address": address,
    }
    command = ["prometheus", *(f"--{name}={value}" for name, value in options.items())]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _await(f"http://{address}/-/ready")
            yield f"http://{address}"
        finally:
            process.terminate()


def _await(url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} never answered")


@pytest.fixture(params=["stub", pytest.param("prometheus", marks=pytest.mark.services)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "stub":
        with answering(half_an_hour()) as address:
            yield address
        return
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        pytest.skip("needs prometheus and promtool on the PATH (Debian's package prometheus)")
    with real_prometheus(half_an_hour(), tmp_path) as address:
        yield address


def api(url: str, **values: object) -> PrometheusApi:
    return PrometheusApi(PrometheusConfig.of(url, {"namespace": "films"}, **values))


def test_read_counts_each_bundle_by_its_processes(url: str):
    arms = PrometheusMetrics(api(url)).read("old", "new", since=SINCE, until=UNTIL)

    assert arms is not None
    # 120 scrapes of 10 at old-1. At old-2 it is 58 and 61: every second scrape is sampled, and what was
    # counted between the last sample and the new start is lost. The 5,000 before the window don't count.
    assert (arms.champion.requests, arms.champion.errors) == (1_200 + 580 + 610, 0)
    assert (arms.canary.requests, arms.canary.degraded, arms.canary.errors) == (127, 120, 7)


def test_read_gives_times_and_scores_by_bucket(url: str):
    arms = PrometheusMetrics(api(url)).read("old", "new", since=SINCE, until=UNTIL)

    assert arms is not None
    assert arms.champion.seconds.bounds == (0.005, 0.01, 0.02)
    assert arms.champion.seconds.counts == (0, 2_390, 0, 0)
    assert arms.canary.seconds.counts == (0, 0, 120, 0)
    assert arms.canary.scores is not None
    assert (arms.canary.scores.bounds, arms.canary.scores.counts) == ((0, 1), (0, 120, 0))


def test_read_of_the_last_minutes_counts_only_them(url: str):
    arms = PrometheusMetrics(api(url)).read("old", "new", since=UNTIL - timedelta(minutes=5), until=UNTIL)

    assert arms is not None
    # By now `moving` is all the canary's: 20 scrapes of 100.
    assert (arms.champion.requests, arms.canary.requests, arms.canary.errors) == (400, 20 + 2_000, 0)


def test_read_of_a_bundle_that_nobody_serves_is_none(url: str):
    assert PrometheusMetrics(api(url)).read("old", "absent", since=SINCE, until=UNTIL) is None


def test_read_of_another_deployment_is_none(url: str):
    elsewhere = PrometheusApi(PrometheusConfig.of(url, {"namespace": "books"}))

    assert PrometheusMetrics(elsewhere).read("old", "new", since=SINCE, until=UNTIL) is None


def test_read_of_servers_that_are_gone_is_none(url: str):
    later = UNTIL + timedelta(minutes=10)

    assert PrometheusMetrics(api(url)).read("old", "new", since=SINCE, until=later) is None


def test_instant_answers_with_the_value_of_a_moment(url: str):
    door = api(url)

    (found,) = door.instant(door.selector("marquee_bundle_info", bundle="new", instance="new-1"), at=UNTIL)

    assert (found.labels["variant"], found.values) == ("default", (1.0,))


def test_read_of_an_arm_without_requests_counts_nothing():
    scraped = Scraped()
    for number in range(121):
        Server("a", "old", LONG_AGO).scrape(BEGAN + number * SCRAPE_S, scraped)
        Server("b", "new", LONG_AGO).scrape(BEGAN + number * SCRAPE_S, scraped)

    with answering(scraped) as address:
        arms = PrometheusMetrics(api(address)).read("old", "new", since=SINCE, until=UNTIL)

    assert arms is not None
    assert (arms.champion.requests, arms.canary.requests) == (0, 0)


def test_read_of_requests_without_their_times_is_none():
    scraped = half_an_hour()
    for labels in [each for each in scraped.series if "request_seconds" in dict(each)["__name__"]]:
        del scraped.series[labels]

    with answering(scraped) as address:
        assert PrometheusMetrics(api(address)).read("old", "new", since=SINCE, until=UNTIL) is None


def test_read_counts_shown_items_by_route_where_servers_have_such_a_metric():
    scraped = half_an_hour()
    for number in range(121):
        for instance, route in (("old-1", "ease"), ("new-1", "als")):
            labels = {"instance": instance, "namespace": "films", "variant": "default", "route": route}
            scraped.add("marquee_items_total", BEGAN + number * SCRAPE_S, 12 * number, **labels)

    with answering(scraped) as address:
        metrics = PrometheusMetrics(api(address), MetricsConfig(source_metric="marquee_items_total"))
        arms = metrics.read("old", "new", since=SINCE, until=UNTIL)

    assert arms is not None
    assert (arms.champion.sources, arms.canary.sources) == ({"ease": 1_440}, {"als": 1_440})


@pytest.mark.parametrize(
    ("values", "starts_at_zero", "expected"),
    [((5, 7, 9), False, 4), ((5, 7, 9), True, 9), ((5, 7, 1, 2), False, 2 + 1 + 1), ((3,), False, 0)],
)
def test_increase_over_restarts(values: tuple[float, ...], starts_at_zero: bool, expected: float):
    series = Series({}, tuple(map(float, range(len(values)))), values)

    assert increase(series, starts_at_zero=starts_at_zero) == expected


@contextmanager
def saying(status: int, body: bytes, *, delay_s: float = 0) -> Iterator[str]:
    """A server that always says the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(delay_s)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # nobody waits any more
                return

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler) as url:
        yield url


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, b'{"status":"error","errorType":"bad_data","error":"parse error"}', "400 parse error"),
        (503, b"<html>", "503"),
        (200, b"<html>", "not in the format"),
        (200, b'{"status":"success","data":{"resultType":"matrix","result":[{}]}}', "not in the format"),
        (200, b'{"status":"success","data":{"resultType":"scalar","result":[]}}', "success"),
        (200, b"[]", "not in the format"),
    ],
)
def test_read_of_a_strange_answer_says_what_came(status: int, body: bytes, words: str):
    with saying(status, body) as address, pytest.raises(MetricsUnavailableError, match=words):
        PrometheusMetrics(api(address)).read("old", "new", since=SINCE, until=UNTIL)


def test_read_gives_up_after_its_time():
    with (
        saying(200, b"{}", delay_s=1) as address,
        pytest.raises(MetricsUnavailableError, match=r"does not answer: .*timed out"),
    ):
        PrometheusMetrics(api(address, timeout_s=0.1)).read("old", "new", since=SINCE, until=UNTIL)


def test_read_where_nobody_listens_says_so():
    with saying(200, b"") as address:
        pass

    with pytest.raises(MetricsUnavailableError, match="does not answer"):
        PrometheusMetrics(api(address)).read("old", "new", since=SINCE, until=UNTIL)


@pytest.mark.parametrize("url", ["prometheus:9090", "file:///etc/passwd", "http://", "http://host?x=1"])
def test_config_refuses_what_is_no_address(url: str):
    with pytest.raises(ConfigError, match="is no http"):
        PrometheusConfig.of(url)


def test_selector_quotes_what_a_label_holds():
    door = PrometheusApi(PrometheusConfig.of("http://host", {"name": 'a"} or up{b="'}))

    assert door.selector("up") == r'up{name="a\"} or up{b=\""}'
