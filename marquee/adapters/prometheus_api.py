"""Prometheus' HTTP API: what an expression was worth, at one moment or over a window."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from marquee.adapters.deployment import MetricsUnavailableError
from marquee.errors import ConfigError

_MAX_ANSWER_BYTES: Final = 32 * 2**20


class PrometheusConfig(BaseModel):
    """Which Prometheus, and which of its series."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    """http(s) address, with a path where there is one: http://prometheus:9090."""
    labels: dict[str, str] = {}
    """Labels that all series of this deployment have, such as namespace."""
    token_file: Path | None = None
    """Holds a bearer token; read for each request."""
    timeout_s: float = Field(default=5, gt=0, le=60)
    """Of each request."""
    points: int = Field(default=60, ge=2, le=1_000)
    """Samples of a window; a restart between two of them hides what was counted in between."""
    min_step_s: float = Field(default=5, gt=0, le=300)
    """Samples are not closer than that: about the interval of the scrapes."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("is no http(s) address")
        return url.rstrip("/")

    @classmethod
    def of(cls, url: str, labels: Mapping[str, str] | None = None, **values: Any) -> Self:  # noqa: ANN401 - other fields
        """From what a user gave.

        Raises:
            ConfigError: a value does not fit.
        """
        try:
            return cls(url=url, labels=dict(labels or {}), **values)
        except ValidationError as error:
            raise ConfigError(
                f"{url!r} with labels {dict(labels or {})} is no Prometheus: {error.errors()[0]['msg']}.",
                remedy="Give an address such as http://localhost:9090.",
            ) from error

    @field_validator("labels")
    @classmethod
    def _are_names(cls, labels: dict[str, str]) -> dict[str, str]:
        if bad := [name for name in labels if not name.isidentifier() or not name.isascii()]:
            raise ValueError(f"{bad[0]!r} is no name of a label")
        return labels


@dataclass(frozen=True)
class Series:
    """One series over a window: UTC seconds and values of the samples that there are."""

    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]


class PrometheusApi:
    """Asks one Prometheus."""

    def __init__(self, config: PrometheusConfig) -> None:
        self.config = config

    def range(self, expression: str, *, since: datetime, until: datetime) -> Sequence[Series]:
        """What an expression was worth at even steps, the ends included (`/api/v1/query_range`).

        Raises:
            MetricsUnavailableError: as `read`.
        """
        seconds = (until - since).total_seconds()
        step = max(self.config.min_step_s, seconds / self.config.points)
        # Steps count from the start: it is moved so that the last one falls on the end.
        start = until.timestamp() - int(seconds / step + 1e-9) * step
        asked = {"query": expression, "start": start, "end": until.timestamp(), "step": step}
        return self._ask("query_range", asked, "matrix")

    def instant(self, expression: str, *, at: datetime) -> Sequence[Series]:
        """What an expression was worth at one moment (`/api/v1/query`).

        Raises:
            MetricsUnavailableError: as `read`.
        """
        return self._ask("query", {"query": expression, "time": at.timestamp()}, "vector")

    def selector(self, metric: str, **labels: str) -> str:
        """The series of one metric of this deployment that have these labels; a pattern begins with ~."""
        pairs = {**self.config.labels, **labels}
        matchers = (
            f"{name}=~{json.dumps(text[1:])}" if text.startswith("~") else f"{name}={json.dumps(text)}"
            for name, text in pairs.items()
        )
        return f"{metric}{{{','.join(matchers)}}}"

    def _ask(self, what: str, asked: Mapping[str, object], kind: str) -> Sequence[Series]:
        values = {**asked, "timeout": f"{self.config.timeout_s:g}s"}
        body = self._post(f"{self.config.url}/api/v1/{what}", urlencode(values).encode())
        try:
            answer = json.loads(body)
            if answer["status"] != "success" or answer["data"]["resultType"] != kind:
                raise _strange(self.config.url, str(answer.get("error") or answer.get("status")))
            return tuple(_series(each, kind) for each in answer["data"]["result"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _strange(self.config.url, "is not in the format of its API") from error

    def _post(self, url: str, content: bytes) -> bytes:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        try:
            if self.config.token_file is not None:
                token = self.config.token_file.read_text(encoding="utf-8").strip()
                headers["Authorization"] = f"Bearer {token}"
            request = urllib.request.Request(url, content, headers, method="POST")  # noqa: S310 - scheme checked
            with urllib.request.urlopen(request, timeout=self.config.timeout_s) as answer:  # noqa: S310
                body: bytes = answer.read(_MAX_ANSWER_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                words = _words_of(error.read(4_096))
            raise _strange(self.config.url, f"{error.code} {words}") from error
        except (http.client.HTTPException, OSError, ValueError) as error:
            raise MetricsUnavailableError(
                f"Prometheus at {self.config.url} does not answer: {error}.",
                remedy="Check the address and that it runs.",
            ) from error
        if len(body) > _MAX_ANSWER_BYTES:
            raise _strange(self.config.url, f"has more than {_MAX_ANSWER_BYTES // 2**20} MB")
        return body


def _series(found: Mapping[str, Any], kind: str) -> Series:
    samples = found["values"] if kind == "matrix" else [found["value"]]
    pairs = list(_numbers(samples))
    return Series(dict(found["metric"]), tuple(time for time, _ in pairs), tuple(value for _, value in pairs))


def _numbers(samples: Sequence[Sequence[Any]]) -> Iterator[tuple[float, float]]:
    for time, text in samples:
        value = float(text)
        if isfinite(value):  # a NaN is how Prometheus marks what is not there
            yield float(time), value


def _words_of(content: bytes) -> str:
    try:
        return str(json.loads(content).get("error", ""))[:300]
    except (ValueError, AttributeError):
        return ""


def _strange(url: str, words: str) -> MetricsUnavailableError:
    return MetricsUnavailableError(
        f"the answer of Prometheus at {url}: {words.strip()}.", remedy="Check the address and its log."
    )
