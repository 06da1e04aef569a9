"""Exposures as messages of a Kafka topic, one a message, keyed by user.

The producer is idempotent and waits for all replicas: what a retry of its own sends twice is there once.
It does the retrying, so what it gives up is final: nobody knows whether a lost answer followed a write.
"""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from marquee.adapters.exposures.events import kafka_headers
from marquee.adapters.exposures.sink import ExposureLine
from marquee.errors import ConfigError, ExposureSinkError

DELIVERY_S: Final = 60.0
OURS: Final = frozenset(
    {
        "acks",
        "bootstrap.servers",
        "delivery.timeout.ms",
        "enable.idempotence",
        "message.timeout.ms",
        "metadata.broker.list",
        "request.required.acks",
    }
)
"""What exactly-once hangs on, or the address says."""

_DEFAULTS: Final = {
    "client.id": "marquee-exposures",
    "compression.type": "lz4",
    "linger.ms": 5,
    "queue.buffering.max.messages": 10_000,  # a second bound, for bytes: never near, a batch is smaller
    "queue.buffering.max.kbytes": 65_536,
}
_SLACK_S: Final = 3.0
"""librdkafka looks for late messages about once a second."""
_POLL_S: Final = 0.05
_LOG: Final = logging.getLogger(__name__)


class KafkaSink:
    """Waits for the brokers' word on each message, in the calling thread and for a bounded time.

    Args:
        brokers: host:port[,host:port].
        topic: it exists, or the brokers make it.
        options: further properties of librdkafka, such as `security.protocol` and `sasl.password`.
        delivery_s: for how long a message is tried.

    Raises:
        ConfigError: a property is unknown, does not fit, or is one of `OURS`.
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        *,
        options: Mapping[str, str] | None = None,
        delivery_s: float = DELIVERY_S,
    ) -> None:
        self.name = f"topic {topic} at {brokers}"
        self.delivered = 0
        """Messages that the brokers have."""
        self.failed = 0
        """Messages that they may not have."""
        if taken := sorted(OURS & set(options or {})):
            raise ConfigError(f"the Kafka option {taken[0]} can't be set.", remedy="Leave it out.")
        fixed = {"bootstrap.servers": brokers, "enable.idempotence": True, "acks": "all"}
        timeout = {"delivery.timeout.ms": round(delivery_s * 1e3)}
        self._config = {**_DEFAULTS, **(options or {}), **fixed, **timeout}
        self._topic = topic
        self._delivery_s = delivery_s
        self._pending = 0
        self._fault: KafkaError | None = None
        self._is_broken = False
        self._producer = self._made()

    def write(self, lines: Sequence[ExposureLine]) -> None:
        """Send all, and wait until the fate of each is known.

        Raises:
            ExposureSinkError: some did not arrive in time, or were refused.
        """
        if self._is_broken:
            self._producer, self._is_broken = self._made(), False
        self._fault, failed_before = None, self.failed
        deadline = time.monotonic() + self._delivery_s + _SLACK_S
        for line in lines:
            self._send(line, deadline=deadline)
        while self._pending and time.monotonic() < deadline and not self._is_broken:
            self._producer.poll(_POLL_S)
        self._give_up()
        if failed := self.failed - failed_before:
            raise ExposureSinkError(
                f"{failed} of {len(lines)} messages did not reach {self.name}: {self._reason()}.",
                remedy="Check that the brokers run, and that this client may write to the topic.",
                taken=len(lines) - failed,
                may_retry=False,
            )

    def close(self) -> None:
        """Give up what is under way: nothing is, but where a write was interrupted."""
        self._give_up()

    def _made(self) -> Producer:
        try:
            return Producer({**self._config, "error_cb": self._met}, logger=_LOG)
        except KafkaException as err:
            # Nor is it chained: its message may repeat a value, and a secret may stand in the wrong place.
            named = re.search(r'property:? "([\w.]+)"', str(err))
            which = named[1] if named else "security (sasl.*, ssl.*)"
            raise ConfigError(
                f"the Kafka option {which} is unknown or does not fit.",
                remedy="Give properties and values that librdkafka knows.",
            ) from None

    def _send(self, line: ExposureLine, *, deadline: float) -> None:
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    value=line.content.rstrip(b"\n"),
                    key=line.user_id,
                    headers=kafka_headers(line),
                    timestamp=max(line.time_us // 1000, 0),
                    on_delivery=self._learned,
                )
            except BufferError:  # the client's own queue is full
                if time.monotonic() >= deadline:
                    self.failed += 1
                    return
                self._producer.poll(_POLL_S)
            except KafkaException as err:  # too large a message, or the producer is done for
                self._met(err.args[0])
                self.failed += 1
                return
            else:
                self._pending += 1
                return

    def _learned(self, err: KafkaError | None, _: Message) -> None:
        """One message's fate, told from within `poll`."""
        self._pending -= 1
        if err is None:
            self.delivered += 1
        else:
            self.failed += 1
            self._fault = self._fault or err  # what the connection met says more than "timed out"
            self._is_broken = self._is_broken or err.fatal()

    def _met(self, err: KafkaError) -> None:
        self._fault = err
        self._is_broken = self._is_broken or err.fatal()

    def _give_up(self) -> None:
        """Call messages back whose fate nobody told in time."""
        if not self._pending:
            return
        self._producer.purge()
        self._producer.flush(1.0)
        self.failed += self._pending
        self._pending = 0

    def _reason(self) -> str:
        return self._fault.str() if self._fault is not None else "no word from the brokers in time"
