"""An exposure as a CloudEvent: the attributes around the record.

Source: CloudEvents 1.0.2, "JSON Event Format" (§3 and the batch format of §4), "HTTP Protocol Binding"
(§3.1.3.2, how header values are escaped) and "Kafka Protocol Binding" (§3.2, binary mode).
"""

import json
from datetime import UTC, datetime, timedelta
from string import ascii_letters, digits, punctuation
from typing import Final
from urllib.parse import quote

from marquee.adapters.exposures.sink import ExposureLine
from marquee.monitoring.exposure import EVENT_TYPE

SOURCE: Final = "/marquee/exposures"
"""With the id, which is the request's, it names an event: receivers drop a second one of both."""
CONTENT_TYPE: Final = "application/json"
BATCH_CONTENT_TYPE: Final = "application/cloudevents-batch+json"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNESCAPED: Final = "".join(set(ascii_letters + digits + punctuation) - set('"%'))


def attributes(line: ExposureLine) -> dict[str, str]:
    """The attributes of one event but its content type; no time where the year has five digits."""
    named = {"specversion": "1.0", "id": line.request_id, "source": SOURCE, "type": EVENT_TYPE}
    try:
        return named | {"time": (_EPOCH + timedelta(microseconds=line.time_us)).isoformat()}
    except OverflowError:
        return named


def headers(line: ExposureLine) -> dict[str, str]:
    """Of a single event over HTTP: binary mode, the record itself is the body."""
    escaped = {f"ce-{name}": quote(value, safe=_UNESCAPED) for name, value in attributes(line).items()}
    return escaped | {"content-type": CONTENT_TYPE}


def kafka_headers(line: ExposureLine) -> list[tuple[str, str | bytes | None]]:
    """Of a message: binary mode, the record itself is the value."""
    named = attributes(line).items()
    return [*((f"ce_{name}", value.encode()) for name, value in named), ("content-type", CONTENT_TYPE)]


def event(line: ExposureLine) -> bytes:
    """One element of a batch; the record goes in as it is, without being encoded again."""
    envelope = attributes(line) | {"datacontenttype": CONTENT_TYPE}
    return (
        json.dumps(envelope, ensure_ascii=False).encode()[:-1] + b', "data": ' + line.content.rstrip() + b"}"
    )
