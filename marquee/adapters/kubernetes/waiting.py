"""Waits for the cluster, says how it comes on, and when it does not, says why."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from marquee.adapters.deployment import DeploymentError, DeploymentUnavailableError
from marquee.adapters.kubernetes.readiness import Standing
from marquee.errors import ConfigError


class NotReadyInTimeError(DeploymentError):
    """The cluster did not come as far as it was to come; what was written stays as it is."""

    exit_code = 1


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how often to look."""

    timeout_s: float = 600
    every_s: float = 2
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s <= 86_400 or not 0 < self.every_s <= 600:
            raise ConfigError(
                f"--timeout {self.timeout_s:g} with looks every {self.every_s:g} seconds is out of range.",
                remedy="Give more than 0, and 86400 seconds at most.",
            )


def wait_until(
    look: Callable[[], Standing],
    *,
    patience: Patience,
    tell: Callable[[str], None],
    troubles: Callable[[], list[str]],
    left: str,
) -> None:
    """Look until it is ready.

    Args:
        look: what there is now.
        patience: how long, and how often.
        tell: hears each new state in words.
        troubles: asked for when time is over: what keeps it.
        left: what then holds, and how to undo it; the error's remedy.

    Raises:
        NotReadyInTimeError: time is over.
        DeploymentError: the cluster refuses to show it.
    """
    end, said = patience.clock() + patience.timeout_s, ""
    while True:
        try:
            standing = look()
        except DeploymentUnavailableError as error:  # a restart of the API server is no fault of the bundle's
            standing = Standing(False, error.problem)
        if standing.words != said:
            tell(standing.words)
            said = standing.words
        if standing.is_ready:
            return
        if patience.clock() >= end:
            break
        patience.sleep(patience.every_s)
    found = "; ".join([said, *troubles()][:6])
    raise NotReadyInTimeError(f"not ready after {patience.timeout_s:g} s: {found}.", remedy=left)
