"""Exposures through a Kafka cluster: librdkafka's own mock, which speaks the protocol over TCP."""

import gc
import logging
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from marquee.adapters.exposures import kafka
from marquee.adapters.exposures.kafka import KafkaSink
from marquee.adapters.exposures.log import ExposureLog
from marquee.adapters.exposures.sink import ExposureLine
from marquee.errors import ExposureSinkError
from marquee.monitoring.exposure_lines import parsed
from tests.marquee.adapters.exposures.sinks import lines, wait_for
from tests.marquee.monitoring.exposure_factory import exposure

TOPIC = "shown"
N_PARTITIONS = 4
QUIET = logging.getLogger("tests.librdkafka")


class Cluster:
    """Brokers that live as long as the client that was asked for them."""

    def __init__(self) -> None:
        settings = {"test.mock.num.brokers": 2, "bootstrap.servers": "ignored"}
        self._host: Producer | None = Producer(settings, logger=QUIET)
        brokers = self._host.list_topics(timeout=10).brokers.values()
        self.brokers = ",".join(f"{each.host}:{each.port}" for each in brokers)

    def stop(self) -> None:
        self._host = None
        gc.collect()

    def messages(self, n: int) -> list[Message]:
        """At least n messages of all partitions, or those that come within a time; then a look for more."""
        settings = {"bootstrap.servers": self.brokers, "group.id": "test"}
        consumer = Consumer(settings, logger=QUIET)
        consumer.assign([TopicPartition(TOPIC, number, 0) for number in range(N_PARTITIONS)])
        read: list[Message] = []
        while len(read) < n and (some := consumer.consume(n, timeout=10)):
            read += some
        read += consumer.consume(1, timeout=0.3)
        consumer.close()
        return read


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.stop()


def test_consumer_reads_back_exactly_what_was_logged(cluster: Cluster):
    sink = KafkaSink(cluster.brokers, TOPIC)
    log = ExposureLog(sink, batch=40, linger_ms=1)

    for number in range(200):
        log.offer(exposure(number))
    counts = log.close(60)
    read = cluster.messages(200)

    found = [parsed(message.value().decode(), line=1) for message in read]
    assert (counts.written, counts.lost, sink.delivered, sink.failed) == (200, 0, 200, 0)
    assert sorted(found, key=lambda each: each.time_us) == [exposure(number) for number in range(200)]


def test_message_is_keyed_by_user_so_that_each_has_one_partition_in_order(cluster: Cluster):
    sink = KafkaSink(cluster.brokers, TOPIC)
    sink.write(lines(1, 60))

    read = cluster.messages(60)

    partitions = {(message.key(), message.partition()) for message in read}
    assert Counter(key for key, _ in partitions) == {b"u0": 1, b"u1": 1, b"u2": 1}
    for user in (b"u0", b"u1", b"u2"):
        times = [message.timestamp()[1] for message in read if message.key() == user]
        assert times == sorted(times)


def test_message_is_a_cloud_event_and_somebody_unknown_has_no_key(cluster: Cluster):
    sink = KafkaSink(cluster.brokers, TOPIC)
    sink.write([ExposureLine.of(exposure(1, user_id=None, request_id="ä%"))])

    (message,) = cluster.messages(1)

    assert message.key() is None
    assert dict(message.headers()) == {
        "ce_specversion": b"1.0",
        "ce_id": "ä%".encode(),
        "ce_source": b"/marquee/exposures",
        "ce_type": b"marquee.exposure.v1",
        "ce_time": b"2023-11-14T22:13:20.000001+00:00",
        "content-type": b"application/json",
    }
    assert message.timestamp()[1] == 1_700_000_000_000


def test_full_queue_of_the_client_waits_for_room(cluster: Cluster):
    sink = KafkaSink(cluster.brokers, TOPIC, options={"queue.buffering.max.messages": "2"})

    sink.write(lines(1, 20))

    assert (sink.delivered, sink.failed) == (20, 0)
    assert len(cluster.messages(20)) == 20


def test_message_that_is_too_large_is_lost_alone(cluster: Cluster):
    sink = KafkaSink(cluster.brokers, TOPIC, options={"message.max.bytes": "3000"})
    large = ExposureLine.of(exposure(2, bundle_id="b" * 4_000))

    with pytest.raises(ExposureSinkError, match=r"1 of 3 messages .*too large") as caught:
        sink.write([*lines(1, 1), large, *lines(3, 3)])

    assert (caught.value.taken, caught.value.may_retry) == (2, False)
    assert len(cluster.messages(2)) == 2


def test_brokers_that_go_away_cost_what_was_sent_then_and_nobody_waits(cluster: Cluster):
    # The first message has to get its producer's id and the topic's leader in that time, on a busy machine.
    sink = KafkaSink(cluster.brokers, TOPIC, delivery_s=3.0)
    log = ExposureLog(sink, capacity=8, batch=4, linger_ms=1)
    log.offer(exposure(0))
    wait_for(lambda: log.counts.written == 1)
    cluster.stop()

    accepted = [log.offer(exposure(number)) for number in range(1, 31)]
    counts = log.close(60)

    assert not all(accepted)
    assert counts.dropped_full == accepted.count(False)
    assert counts.lost == accepted.count(True)
    assert (counts.offered, counts.written, counts.queue_length) == (31, 1, 0)
    assert (sink.delivered, sink.failed) == (1, counts.lost)


def test_brokers_that_take_calls_and_never_answer_cost_a_bounded_time():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sink = KafkaSink(f"127.0.0.1:{mute.getsockname()[1]}", TOPIC, delivery_s=1.0)

        with pytest.raises(ExposureSinkError, match="2 of 2 messages did not reach") as caught:
            sink.write(lines(1, 2))

    assert (caught.value.taken, caught.value.may_retry) == (0, False)
    assert (sink.delivered, sink.failed) == (0, 2)


def test_messages_whose_fate_nobody_tells_in_time_are_called_back(monkeypatch):
    monkeypatch.setattr(kafka, "_SLACK_S", -59.9)  # as if the client kept quiet for longer than it may
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sink = KafkaSink(f"127.0.0.1:{mute.getsockname()[1]}", TOPIC, delivery_s=60.0)

        with pytest.raises(ExposureSinkError, match="2 of 2 messages did not reach"):
            sink.write(lines(1, 2))

    assert (sink.delivered, sink.failed) == (0, 2)


def test_closing_log_does_not_wait_for_dead_brokers():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sink = KafkaSink(f"127.0.0.1:{mute.getsockname()[1]}", TOPIC, delivery_s=2.0)
        log = ExposureLog(sink, batch=2, linger_ms=1)
        for number in range(6):
            log.offer(exposure(number))

        counts = log.close(timeout_s=0.1)
        after = log.close(timeout_s=60)

    assert (counts.written, counts.lost + counts.queue_length) == (0, 6)
    assert (after.written, after.lost, after.queue_length) == (0, 6, 0)
