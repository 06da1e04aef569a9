"""Where an InferenceService is: `k8s://namespace/name`, in kubectl's own context or in another one."""

import re
from typing import Final, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from marquee.errors import ConfigError

SCHEME: Final = "k8s://"
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LONGEST_NAME: Final = 37
"""A canary's Service is called {name}-{15 letters}-predictor, and a Service's name has 63 letters at most."""


class Address(NamedTuple):
    """Of an InferenceService."""

    namespace: str
    name: str
    context: str | None = None
    """Of the kubeconfig; its current one by default."""

    @classmethod
    def of(cls, text: str) -> Self:
        """From `k8s://namespace/name`, or `k8s://namespace/name?context=production`.

        Raises:
            ConfigError: it is no such address.
        """
        parts = urlsplit(text)
        asked = parse_qs(parts.query, keep_blank_values=True)
        name = parts.path.removeprefix("/")
        fits = f"{parts.scheme}://" == SCHEME and not parts.fragment and set(asked) <= {"context"}
        if not (fits and _NAMESPACE.fullmatch(parts.netloc) and _NAME.fullmatch(name)):
            raise ConfigError(
                f"{text!r} is no address of an InferenceService.",
                remedy="Give k8s://namespace/name, with ?context=… for another context than kubectl's own.",
            )
        if len(name) > LONGEST_NAME:
            raise ConfigError(
                f"{name} has {len(name)} letters: the names of its canaries would be too long.",
                remedy=f"Call the InferenceService by {LONGEST_NAME} letters at most.",
            )
        return cls(parts.netloc, name, asked.get("context", [None])[0])

    def __str__(self) -> str:
        return f"{SCHEME}{self.namespace}/{self.name}"
