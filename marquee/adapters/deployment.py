"""What a rollout asks of the place that serves: who has which share of the requests, and to change it.

A `Deployment` is a cluster's InferenceService, or a document that a gateway follows
(`marquee.adapters.deployment_document`); `CanaryMetrics` is what says how both arms fare.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from marquee.errors import MarqueeError
from marquee.monitoring.canary_counts import Arms


class DeploymentError(MarqueeError):
    """A deployment that can't be read or changed."""


class DeploymentUnavailableError(DeploymentError):
    """No answer, or the server's own fault; a change may have been made: look, then ask again."""


class DeploymentConflictError(DeploymentError):
    """Somebody else changed it since it was read; nothing was changed now."""


class CanaryNotReadyError(DeploymentError):
    """A canary that can't take what it is to take; nothing was changed."""


class MetricsUnavailableError(MarqueeError):
    """A metrics store that can't be reached, refuses, or answers what it should not."""


@dataclass(frozen=True)
class DeploymentStatus:
    """What the cluster has, as it was seen in one read."""

    stable: str
    """Bundle id of the arm that gets what the canary does not."""
    canary: str | None
    """Bundle id of the other, None where there is none."""
    percent: int
    """Of the requests, for the canary; 0 without one."""
    is_stable_ready: bool
    is_canary_ready: bool
    """Of the content that `version` has: not true of pods of an older one."""
    version: str
    """The resourceVersion, for `expect`; any change makes another one."""
    generation: int = 0
    """Of the specification."""


class Deployment(Protocol):
    """Two arms and a weight. Whoever changes them says in `expect` which version the change is meant for.

    Each change is idempotent: where the deployment is already as asked, nothing happens, whatever `expect`
    is, so that one whose answer was lost can be asked for again. Each returns what then holds and raises

    - DeploymentConflictError: the version is another one by now;
    - DeploymentUnavailableError: no answer in time, or a fault of the server: the change may have been made;
    - DeploymentError: it refuses for good (no such deployment, no permission, no such bundle).
    """

    def status(self) -> DeploymentStatus:
        """What holds now.

        Raises:
            DeploymentUnavailableError: no answer in time, or a fault of the server.
            DeploymentError: there is no such deployment, or no permission.
        """

    def set_canary(self, bundle: str, percent: int, *, expect: str) -> DeploymentStatus:
        """Have a canary of this bundle with this share, in place of another canary.

        With 0 % it is started and gets nothing; only a canary that is ready gets more.

        Args:
            bundle: its id.
            percent: 0 to 100.
            expect: the version that was read.

        Raises:
            CanaryNotReadyError: it is to get requests, and is not ready.
        """

    def promote(self, bundle: str, *, expect: str) -> DeploymentStatus:
        """Make the canary the stable arm, with all requests, and have no canary.

        Args:
            bundle: the canary's id; the stable arm's where it was promoted already.
            expect: the version that was read.

        Raises:
            CanaryNotReadyError: it is not ready, or it is not the canary.
        """

    def drop_canary(self, *, expect: str) -> DeploymentStatus:
        """Give all requests to the stable arm, and have no canary."""


class CanaryMetrics(Protocol):
    """How two bundles fared in the same minutes."""

    def read(self, champion: str, canary: str, *, since: datetime, until: datetime) -> Arms | None:
        """Counts of both; None where one of them, or a series of it, is missing.

        An arm that is known and had no request counts nothing, and is not missing.

        Args:
            champion: its bundle id.
            canary: its bundle id.
            since: with a zone.
            until: with a zone.

        Raises:
            MetricsUnavailableError: the store does not answer as it should, or not in time.
        """


class NoMetrics:
    """For steps that need none; as `CanaryMetrics` of a store that can't be reached."""

    def read(self, champion: str, canary: str, *, since: datetime, until: datetime) -> Arms | None:
        """As `CanaryMetrics`.

        Raises:
            MetricsUnavailableError: always.
        """
        raise MetricsUnavailableError("no metrics store is given.", remedy="Give one: --prometheus URL.")


class Crown(Protocol):
    """What else has to know who the champion is, such as the registry."""

    def __call__(self, bundle_id: str, *, instead_of: str) -> str:
        """Make it known, again without harm; returns what became of it, in words.

        Raises:
            MarqueeError: it could not be done now; it is asked for again at the next check.
        """
