"""Samples of servers, and an HTTP server that answers about them as Prometheus' API does."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs

LOOKBACK_S = 300
SCRAPE_S = 15
ASKED = re.compile(r"(?:sum by \((?P<by>[\w, ]+)\) \()?(?P<metric>\w+)\{(?P<matchers>.*?)\}\)?$")
MATCHER = re.compile(r'(\w+)(=~?)("(?:[^"\\]|\\.)*")')

Labels = tuple[tuple[str, str], ...]


@dataclass
class Scraped:
    """What was scraped: for each series, samples by UTC second."""

    series: dict[Labels, dict[float, float]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, metric: str, at: float, value: float, **labels: str) -> None:
        self.series[tuple(sorted({"__name__": metric, **labels}.items()))][at] = value

    def value(self, labels: Labels, at: float) -> float | None:
        """The newest sample that is not too old."""
        fresh = [time for time in self.series[labels] if at - LOOKBACK_S < time <= at]
        return self.series[labels][max(fresh)] if fresh else None

    def as_openmetrics(self) -> str:
        """For `promtool tsdb create-blocks-from openmetrics`."""
        lines = []
        for labels, samples in self.series.items():
            pairs = dict(labels)
            name = pairs.pop("__name__")
            text = ",".join(f'{key}="{value}"' for key, value in pairs.items())
            lines += [f"{name}{{{text}}} {value} {time}" for time, value in samples.items()]
        return "\n".join([*lines, "# EOF", ""])


@dataclass
class Server:
    """One server process that is scraped: what it counted, cumulative."""

    instance: str
    bundle: str
    loaded_at: float
    slot: str = "default"
    counted: dict[tuple[str, Labels], float] = field(default_factory=lambda: defaultdict(float))

    def answer(self, n: int, outcome: str, *, seconds: float = 0.006, surface: str = "home") -> None:
        is_nobodys = outcome in {"error", "refused"}
        bundle, variant = ("none", "none") if is_nobodys else (self.bundle, self.slot)
        if is_nobodys:
            surface = "unknown"
        names = (("bundle", bundle), ("outcome", outcome), ("surface", surface), ("variant", variant))
        self.counted["marquee_requests_total", names] += n
        if is_nobodys:
            return
        for le in ("0.005", "0.01", "0.02", "+Inf"):
            within = n if seconds <= float(le) else 0
            buckets = (("le", le), ("surface", surface), ("variant", variant))
            self.counted["marquee_request_seconds_bucket", buckets] += within
        for le in ("0.0", "1.0", "+Inf"):
            self.counted["marquee_score_bucket", (("le", le), ("variant", variant))] += (
                n if float(le) >= 1 else 0
            )

    def scrape(self, at: float, into: Scraped) -> None:
        mine = {"instance": self.instance, "namespace": "films", "variant": self.slot}
        into.add("marquee_bundle_info", at, 1, **mine, bundle=self.bundle, git_sha="abc")
        into.add("marquee_bundle_loaded_timestamp_seconds", at, self.loaded_at, **mine)
        for (metric, labels), value in self.counted.items():
            into.add(metric, at, value, instance=self.instance, namespace="films", **dict(labels))


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server on this machine, while the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def answering(scraped: Scraped) -> Iterator[str]:
    """The address of a server that answers about these samples."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            asked = {name: values[0] for name, values in body.items()}
            answer = json.dumps({"status": "success", "data": _evaluate(scraped, self.path, asked)}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler) as url:
        yield url


def _evaluate(scraped: Scraped, path: str, asked: Mapping[str, str]) -> dict[str, object]:
    found = ASKED.fullmatch(asked["query"])
    assert found, asked["query"]
    chosen = [each for each in scraped.series if _fits(dict(each), found["metric"], found["matchers"])]
    by = [name.strip() for name in found["by"].split(",")] if found["by"] else None
    is_range = path.endswith("query_range")
    if is_range:
        start, end, step = (float(asked[name]) for name in ("start", "end", "step"))
        times = [start + number * step for number in range(int((end - start) / step + 1e-6) + 1)]
    else:
        times = [float(asked["time"])]
    result: dict[Labels, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for labels in chosen:
        key = labels if by is None else tuple((k, v) for k, v in labels if k in by)
        for time in times:
            if (value := scraped.value(labels, time)) is not None:
                result[key][time] += value
    rows = [
        (dict(key), [[time, str(value)] for time, value in values.items()]) for key, values in result.items()
    ]
    if is_range:
        return {"resultType": "matrix", "result": [{"metric": k, "values": v} for k, v in rows]}
    return {"resultType": "vector", "result": [{"metric": k, "value": v[0]} for k, v in rows]}


def _fits(labels: dict[str, str], metric: str, matchers: str) -> bool:
    if labels["__name__"] != metric:
        return False
    for name, how, quoted in MATCHER.findall(matchers):
        wanted, value = json.loads(quoted), labels.get(name, "")
        if not (re.fullmatch(wanted, value) if how == "=~" else wanted == value):
            return False
    return True


def seconds_of(moment: datetime) -> float:
    return moment.astimezone(UTC).timestamp()
