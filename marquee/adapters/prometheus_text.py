"""What jobs leave for Prometheus: a file that node_exporter's textfile collector reads, or a push.

A job has ended when Prometheus comes by. A file belongs to one job: two files may hold the same gauge with
other labels, but not the same labels twice.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client import Gauge as Written
from prometheus_client.exposition import generate_latest, push_to_gateway

from marquee.data.storage import storage_errors, write_atomically
from marquee.errors import ConfigError
from marquee.monitoring.gauges import GAUGES, Reading

SUFFIX: Final = ".prom"
"""Of the only files that the collector reads."""
_KNOWN: Final = frozenset(GAUGES)


def publish(readings: Iterable[Reading], to: str, *, job: str) -> None:
    """Leave readings in a file, which is replaced whole, or push them to a Pushgateway.

    Either way nothing of the same job's last time is left: a variant that is gone disappears.

    Args:
        readings: of `GAUGES`; of equal labels the last counts.
        to: a file that ends on .prom, or the http(s) address of a Pushgateway.
        job: by which a Pushgateway tells jobs apart, its grouping key.

    Raises:
        ConfigError: the file has another ending or can't be written; the gateway can't be reached or refuses.
    """
    registry = _registry(readings)
    if urlsplit(to).scheme in {"http", "https"}:
        _push(registry, to, job)
        return
    path = Path(to)
    if path.suffix != SUFFIX:
        raise ConfigError(
            f"--metrics = {to} does not end on {SUFFIX}: the textfile collector would pass it by.",
            remedy=f"Name a file such as {job}{SUFFIX}, or a Pushgateway's http://… address.",
        )
    with storage_errors(path, what="the file of metrics", error=ConfigError):
        write_atomically(path, generate_latest(registry))


def as_text(readings: Iterable[Reading]) -> str:
    """Readings as such a file holds them, for whoever keeps it elsewhere.

    Args:
        readings: of `GAUGES`; of equal labels the last counts.
    """
    return generate_latest(_registry(readings)).decode("utf-8")


def _registry(readings: Iterable[Reading]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    written: dict[str, Written] = {}
    for each in readings:
        gauge = each.gauge
        if gauge not in _KNOWN:
            raise ValueError(f"{gauge.name} is not among GAUGES: no dashboard would know it")
        if gauge.name not in written:
            written[gauge.name] = Written(gauge.name, gauge.help, gauge.labels, registry=registry)
        family = written[gauge.name]
        (family.labels(*each.labels) if gauge.labels else family).set(each.value)
    return registry


def _push(registry: CollectorRegistry, address: str, job: str) -> None:
    try:
        push_to_gateway(address, job=job, registry=registry, timeout=10)
    except OSError as error:
        host = urlsplit(address).hostname
        raise ConfigError(
            f"the Pushgateway at {host} did not take the metrics: {error}.",
            remedy="Look at its address and log; what the job decided is kept.",
        ) from error
