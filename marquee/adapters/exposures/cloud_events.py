"""Exposures as CloudEvents over HTTP: batches, or one at a time for receivers that take no batch.

Knative's brokers are such receivers. A batch that is sent again because its answer was lost holds the
same ids, so that receivers can drop what they have.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import httpx

from marquee.adapters.exposures.events import BATCH_CONTENT_TYPE, event, headers
from marquee.adapters.exposures.sink import ExposureLine
from marquee.errors import ConfigError, ExposureSinkError

TIMEOUT_S: Final = 5.0
WRITE_S: Final = 30.0
MAX_BODY_BYTES: Final = 512 * 2**10
"""Receivers often take one MiB."""
_MAX_ANSWER_BYTES: Final = 64 * 2**10
_TRY_AGAIN: Final = frozenset({408, 425, 429})


class _Post(NamedTuple):
    n_lines: int
    headers: dict[str, str]
    body: bytes


class CloudEventsSink:
    """Posts in the calling thread, each within a time; one attempt, repeating is for the caller.

    Args:
        address: `http(s)://…` for batches, `binary+http(s)://…` for single events.
        headers: sent along, such as `Authorization`.
        timeout_s: for connecting, and for each pause while sending and waiting.
        write_s: after this long no further request of one `write` begins.

    Raises:
        ConfigError: the address or a header can't be sent.
    """

    def __init__(
        self,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        write_s: float = WRITE_S,
    ) -> None:
        self._is_binary = address.startswith("binary+")
        url = _url(address.removeprefix("binary+"))
        self.name = f"CloudEvents to {url.host}"
        self._url = url.copy_with(username=None, password=None)
        self._timeout_s, self._write_s = timeout_s, write_s
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells the address of each request at INFO
        try:
            self._client = httpx.Client(
                auth=(url.username, url.password) if url.userinfo else None,
                headers=dict(_checked(headers or {})),
                timeout=timeout_s,
            )
        except (
            httpx.InvalidURL,
            ValueError,
            OSError,
        ) as err:  # what the environment says of proxies and trust
            raise ConfigError(
                f"no HTTP client can be made: {err}.", remedy="Check HTTP_PROXY and SSL_CERT_FILE."
            ) from err

    def write(self, lines: Sequence[ExposureLine]) -> None:
        """Post all lines.

        Raises:
            ExposureSinkError: the receiver is out of reach, slow, or refuses.
        """
        deadline = time.monotonic() + self._write_s
        taken = 0
        for post in _single(lines) if self._is_binary else _batches(lines):
            if time.monotonic() > deadline:
                raise self._error(f"took more than {self._write_s:g} s", taken=taken, may_retry=True)
            try:
                status = self._status(post)
            except httpx.HTTPError as err:
                problem = f"is out of reach: {str(err) or type(err).__name__}"
                raise self._error(problem, taken=taken, may_retry=True) from err
            if not httpx.codes.is_success(status):
                may_retry = status in _TRY_AGAIN or httpx.codes.is_server_error(status)
                raise self._error(f"answered {status}", taken=taken, may_retry=may_retry)
            taken += post.n_lines

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _status(self, post: _Post) -> int:
        """Send one request; its answer is read so far that the connection can be used again."""
        ends_at = time.monotonic() + self._timeout_s
        with self._client.stream("POST", self._url, content=post.body, headers=post.headers) as response:
            with suppress(httpx.HTTPError):  # it has answered: what follows is of no interest
                for _ in response.iter_raw():
                    if response.num_bytes_downloaded > _MAX_ANSWER_BYTES or time.monotonic() > ends_at:
                        break
            return response.status_code

    def _error(self, problem: str, *, taken: int, may_retry: bool) -> ExposureSinkError:
        return ExposureSinkError(
            f"{self._url.host} {problem}.",
            remedy="Check the address, that the receiver runs, and what it says of these events.",
            taken=taken,
            may_retry=may_retry,
        )


def _single(lines: Sequence[ExposureLine]) -> Iterator[_Post]:
    for line in lines:
        yield _Post(1, headers(line), line.content.rstrip())


def _batches(lines: Sequence[ExposureLine]) -> Iterator[_Post]:
    """Batches of bounded size, each of one event at least."""
    events: list[bytes] = []
    size = 0
    for line in lines:
        encoded = event(line)
        if events and size + len(encoded) > MAX_BODY_BYTES:
            yield _batch(events)
            events, size = [], 0
        events.append(encoded)
        size += len(encoded) + 1
    if events:
        yield _batch(events)


def _batch(events: list[bytes]) -> _Post:
    return _Post(len(events), {"content-type": BATCH_CONTENT_TYPE}, b"[" + b",".join(events) + b"]")


def _url(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError(
            "the address of the exposures' receiver can't be read.", remedy="Give http(s)://host[:port]/path."
        )
    return url


def _checked(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Headers that HTTP can carry; a value may be a secret and is not repeated."""
    for name, value in given.items():
        is_token = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        if not is_token or not value.isascii() or not value.isprintable():
            raise ConfigError(f"HTTP can't carry the header {name!r}.", remedy="Give printable ASCII.")
        yield name, value
