"""What takes exposures, and which one an address means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self
from urllib.parse import unquote, urlsplit

from marquee.errors import ConfigError
from marquee.monitoring.exposure import Exposure

ADDRESSES: Final = (
    "Give a folder, file:folder, kafka://host:port[,host:port]/topic, http(s)://… for batches of "
    "CloudEvents, binary+http(s)://… for single ones, or none."
)


@dataclass(frozen=True, slots=True)
class ExposureLine:
    """An exposure as sinks write it."""

    request_id: str
    user_id: str | None
    time_us: int
    """UTC microseconds."""
    content: bytes
    """A JSON object and its line end."""

    @classmethod
    def of(cls, exposure: Exposure) -> Self:
        """Encode an exposure.

        Raises:
            ContractError: as `Exposure.to_line`.
        """
        return cls(exposure.request_id, exposure.user_id, exposure.time_us, exposure.to_line())


class Sink(Protocol):
    """Takes lines of one thread only; its calls may wait, each for a bounded time."""

    @property
    def name(self) -> str:
        """What people call it: never with a secret in it."""

    def write(self, lines: Sequence[ExposureLine]) -> None:
        """Take lines in their order.

        Raises:
            ExposureSinkError: it did not take all of them; the error says how many, and whether to try again.
        """

    def close(self) -> None:
        """Free what it holds; nothing is written afterwards.

        Raises:
            ExposureSinkError: something that it had taken is lost.
        """


class NoSink:
    """Takes all and keeps nothing."""

    name = "none"

    def write(self, lines: Sequence[ExposureLine]) -> None:
        """Forget the lines."""

    def close(self) -> None:
        """Hold nothing, so free nothing."""


def open_sink(address: str, options: Mapping[str, str] | None = None) -> Sink:
    """The sink of an address.

    Args:
        address: a folder or `file:folder`, `kafka://host:port[,host:port]/topic`, `http(s)://…` for
            batches of CloudEvents, `binary+http(s)://…` for receivers that take one at a time, `none`.
        options: for Kafka librdkafka's properties, such as `security.protocol`; for HTTP headers. They may
            be secrets: no message repeats a value.

    Raises:
        ConfigError: the address or an option can't be understood.
        ExposureSinkError: the folder can't be made.
    """
    scheme, colon, rest = address.partition(":")
    if address == "none":
        return NoSink()
    if colon and scheme == "kafka":
        return _open_kafka(address, options or {})
    if colon and scheme.removeprefix("binary+") in {"http", "https"}:
        from marquee.adapters.exposures.cloud_events import CloudEventsSink  # noqa: PLC0415 - httpx takes 0.1 s

        return CloudEventsSink(address, headers=options)
    if not address or "://" in address.removeprefix("file://"):
        raise ConfigError(f"no sink for exposures has the address {_shown(address)!r}.", remedy=ADDRESSES)
    if options:
        raise ConfigError("a folder of exposures takes no options.", remedy="Leave them out.")
    from marquee.adapters.exposures.json_lines import JsonLinesSink  # noqa: PLC0415 - as the others

    return JsonLinesSink(Path(_folder(address, scheme=scheme, rest=rest)))


def _open_kafka(address: str, options: Mapping[str, str]) -> Sink:
    brokers, slash, topic = address.removeprefix("kafka://").partition("/")
    if not (address.startswith("kafka://") and brokers and slash and topic) or "@" in brokers or "/" in topic:
        raise ConfigError(
            "the Kafka address of the exposures is not kafka://host:port[,host:port]/topic.",
            remedy="Name brokers and topic; user and password are options.",
        )
    from marquee.adapters.exposures.kafka import KafkaSink  # noqa: PLC0415 - the client is only for who uses it

    return KafkaSink(brokers, topic, options=options)


def _folder(address: str, *, scheme: str, rest: str) -> str:
    """The folder of `file:folder`, `file:///folder` or a plain path, which may hold colons."""
    if scheme != "file" or not rest:
        return address
    if not rest.startswith("//"):
        return rest
    parts = urlsplit(address)
    if parts.netloc not in {"", "localhost"} or not parts.path:
        raise ConfigError(
            f"{address} names a folder of another machine.", remedy="Write file:///folder with three slashes."
        )
    return unquote(parts.path)


def _shown(address: str) -> str:
    """An address without what may be a password."""
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else address
