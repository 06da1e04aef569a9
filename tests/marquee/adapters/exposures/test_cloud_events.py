"""Exposures as CloudEvents, against a receiver on a port of this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from marquee.adapters.exposures.cloud_events import MAX_BODY_BYTES, CloudEventsSink
from marquee.adapters.exposures.log import ExposureLog, RetryConfig
from marquee.adapters.exposures.sink import ExposureLine
from marquee.errors import ExposureSinkError
from marquee.monitoring.exposure_lines import parsed
from tests.marquee.adapters.exposures.sinks import lines
from tests.marquee.monitoring.exposure_factory import exposure

SOON = RetryConfig(total_s=30, first_wait_s=0.001, longest_wait_s=0.002)


class Receiver:
    """Answers with these statuses, then with 202; keeps what it was sent."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.connections: set[int] = set()
        self.answers = threading.Event()
        """While it is not set, no answer is given."""
        self.answers.set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/bus"

    @property
    def batches(self) -> list[list[str]]:
        """Ids of each request's events."""
        return [[event["id"] for event in json.loads(body)] for _, body in self.requests]


@pytest.fixture
def receiver(monkeypatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    receiver = Receiver()
    with _serving(receiver):
        yield receiver


@contextmanager
def _serving(receiver: Receiver) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            receiver.connections.add(self.client_address[1])
            receiver.answers.wait()
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 202)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_) -> None:
            """A client that hangs up early is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        receiver.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def opened() -> Iterator[Callable[..., CloudEventsSink]]:
    """Makes sinks, and closes them in the end."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(closing(CloudEventsSink(*args, **options)))


def test_batch_is_one_request_in_the_batch_format(receiver: Receiver, opened):
    sink = opened(receiver.url, headers={"Authorization": "Bearer x"})

    sink.write([ExposureLine.of(exposure(1, request_id='"ä"'))])

    ((headers, body),) = receiver.requests
    (event,) = json.loads(body)
    data = event.pop("data")
    assert headers["content-type"] == "application/cloudevents-batch+json"
    assert headers["authorization"] == "Bearer x"
    assert event == {
        "specversion": "1.0",
        "id": '"ä"',
        "source": "/marquee/exposures",
        "type": "marquee.exposure.v1",
        "time": "2023-11-14T22:13:20.000001+00:00",
        "datacontenttype": "application/json",
    }
    assert parsed(json.dumps(data), line=1) == exposure(1, request_id='"ä"')


def test_single_events_are_requests_of_one_connection_with_attributes_as_headers(receiver: Receiver, opened):
    sink = opened(f"binary+{receiver.url}")

    sink.write([ExposureLine.of(exposure(1, request_id='a "ä"%')), *lines(2, 2)])

    (headers, body), (second, _) = receiver.requests
    assert headers["content-type"] == "application/json"
    assert (headers["ce-specversion"], headers["ce-type"]) == ("1.0", "marquee.exposure.v1")
    assert headers["ce-id"] == "a%20%22%C3%A4%22%25"
    assert unquote(headers["ce-id"]) == 'a "ä"%'
    assert second["ce-id"] == "r2"
    assert parsed(body.decode(), line=1) == exposure(1, request_id='a "ä"%')
    assert len(receiver.connections) == 1


def test_time_beyond_the_calendar_leaves_the_attribute_out(receiver: Receiver, opened):
    opened(receiver.url).write([ExposureLine.of(exposure(time_us=2**62))])

    (event,) = json.loads(receiver.requests[0][1])
    assert "time" not in event


def test_user_and_password_of_the_address_are_sent_as_such(receiver: Receiver, opened):
    opened(receiver.url.replace("//", "//me:secret@")).write(lines(1, 1))

    assert receiver.requests[0][0]["authorization"] == "Basic bWU6c2VjcmV0"  # base64 of me:secret


def test_large_batch_is_split_below_the_limit(receiver: Receiver, opened):
    wide = [ExposureLine.of(exposure(n, bundle_id="b" * (MAX_BODY_BYTES // 3))) for n in range(5)]

    opened(receiver.url).write(wide)

    assert receiver.batches == [["r0", "r1"], ["r2", "r3"], ["r4"]]
    assert max(len(body) for _, body in receiver.requests) <= MAX_BODY_BYTES + 2


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_receiver_that_is_busy_gets_the_same_events_again(receiver: Receiver, opened, status: int):
    receiver.statuses = [status]
    log = ExposureLog(opened(receiver.url), linger_ms=60_000, retry=SOON)

    log.offer(exposure(1))
    log.offer(exposure(2))
    counts = log.close(30)

    assert receiver.batches == [["r1", "r2"], ["r1", "r2"]]
    assert (counts.written, counts.lost, counts.retries) == (2, 0, 1)


@pytest.mark.parametrize("status", [400, 401, 413, 302])
def test_receiver_that_refuses_is_not_asked_again(receiver: Receiver, opened, status: int):
    receiver.statuses = [status]
    log = ExposureLog(opened(receiver.url), linger_ms=60_000, retry=SOON)

    log.offer(exposure(1))
    counts = log.close(30)

    assert len(receiver.requests) == 1
    assert (counts.written, counts.lost, counts.retries) == (0, 1, 0)


def test_events_that_were_taken_before_a_failure_are_not_sent_again(receiver: Receiver, opened):
    receiver.statuses = [202, 202, 500]
    log = ExposureLog(opened(f"binary+{receiver.url}"), linger_ms=60_000, retry=SOON)

    for number in range(4):
        log.offer(exposure(number))
    counts = log.close(30)

    assert [headers["ce-id"] for headers, _ in receiver.requests] == ["r0", "r1", "r2", "r2", "r3"]
    assert (counts.written, counts.retries) == (4, 1)


def test_receiver_that_does_not_answer_is_out_of_reach_after_the_timeout(receiver: Receiver, opened):
    receiver.answers.clear()
    sink = opened(receiver.url, timeout_s=0.1)

    with pytest.raises(ExposureSinkError, match=r"127\.0\.0\.1 is out of reach: timed out") as caught:
        sink.write(lines(1, 1))
    receiver.answers.set()
    sink.write(lines(2, 2))

    assert caught.value.may_retry
    assert receiver.batches[-1] == ["r2"]


def test_write_that_takes_too_long_stops_between_requests(receiver: Receiver, opened):
    sink = opened(f"binary+{receiver.url}", write_s=-1)

    with pytest.raises(ExposureSinkError, match="took more than") as caught:
        sink.write(lines(1, 3))

    assert (caught.value.taken, caught.value.may_retry, receiver.requests) == (0, True, [])


def test_receiver_that_is_not_there_may_be_tried_again(receiver: Receiver, opened):
    with _serving(gone := Receiver()):
        pass

    with pytest.raises(ExposureSinkError, match="out of reach") as caught:
        opened(gone.url).write(lines(1, 1))

    assert caught.value.may_retry
