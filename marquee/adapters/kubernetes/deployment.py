"""A deployment that is an InferenceService in Standard mode: two predictors behind one Gateway.

Each change is decided on what was just read and written with that version only; a conflict or a lost answer
leads to another look, never to a blind repetition. One `replace` is one whole step, so whoever dies between
two of them leaves a state with a name, from which the same command goes on.
"""

from collections.abc import Callable
from typing import Final, Self

from marquee.adapters.deployment import (
    CanaryNotReadyError,
    DeploymentConflictError,
    DeploymentError,
    DeploymentStatus,
    DeploymentUnavailableError,
)
from marquee.adapters.kubernetes.address import Address
from marquee.adapters.kubernetes.api import ClusterApi, ClusterConfig
from marquee.adapters.kubernetes.arms import Arm, Manifest, canary_of, stable_of
from marquee.adapters.kubernetes.readiness import (
    Standing,
    canary_standing,
    condition_troubles,
    pod_troubles,
    split_standing,
    stable_standing,
)
from marquee.adapters.kubernetes.rollback import Way, gone, way_back
from marquee.adapters.kubernetes.shelf import Shelf
from marquee.adapters.kubernetes.wishes import applied, previous_of, promoted, with_canary
from marquee.errors import BundleError

_APPLY: Final = "Make it: `marquee deploy apply BUNDLE --manifest FILE`."


class InferenceServiceDeployment:
    """As `Deployment`, on an InferenceService. To be closed, or used in a `with` block."""

    def __init__(self, api: ClusterApi, shelf: Shelf) -> None:
        self.api = api
        self.shelf = shelf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()

    def read(self) -> Manifest:
        """The object with its status.

        Raises:
            DeploymentUnavailableError: no answer in time.
            DeploymentError: there is none, or no permission.
        """
        live = self.api.get()
        if live is None:
            raise DeploymentError(f"there is no InferenceService {self.api.address}.", remedy=_APPLY)
        return live

    def status(self) -> DeploymentStatus:
        """As `Deployment`."""
        return self._status(self.read())

    def apply(self, arm: Arm, *, base: Manifest | None = None) -> Manifest:
        """Have the stable arm serve a bundle; make the InferenceService where there is none.

        Args:
            arm: as `Shelf.fetch` gave it.
            base: the manifest of all but the bundle; what is there by default.

        Raises:
            DeploymentError: a canary is under way, the manifest is of something else, or as `Deployment`.
        """
        if base is not None:
            self._require_own(base)
        return self._change(lambda live: applied(live, arm, base=base))

    def set_canary(self, bundle: str, percent: int, *, expect: str) -> DeploymentStatus:
        """As `Deployment`; a bundle that is new here is fetched and verified first.

        Raises:
            BundleError: it is torn or tampered with.
            ObjectStoreError: it is not in the store.
        """
        live = self.read()
        found, stable = canary_of(live), stable_of(live)
        if found is not None and found[0].bundle_id == bundle:
            return self._status(self.give(found[0], percent, expect=expect))
        if percent and bundle != stable.bundle_id:
            raise _not_ready(bundle)
        arm = stable if bundle == stable.bundle_id else self.shelf.fetch(bundle, near=stable.storage_uri)
        return self._status(self.give(arm, percent, expect=expect))  # which refuses the stable one

    def give(self, arm: Arm, percent: int, *, expect: str | None = None) -> Manifest:
        """The same for a bundle that was fetched.

        Raises:
            CanaryNotReadyError: it is to get requests, and is not ready.
            DeploymentError: as `Deployment`.
        """

        def wish(live: Manifest) -> Manifest:
            wished = with_canary(live, arm, percent)
            if percent and wished is not live:
                _require_ready(live, arm.bundle_id)
            return wished

        return self._change(wish, expect=expect)

    def promote(self, bundle: str, *, expect: str | None = None) -> DeploymentStatus:
        """As `Deployment`."""

        def wish(live: Manifest) -> Manifest:
            wished = promoted(live, bundle)
            if wished is not live:
                _require_ready(live, bundle)
            return wished

        return self._status(self._change(wish, expect=expect))

    def drop_canary(self, *, expect: str) -> DeploymentStatus:
        """As `Deployment`."""
        canary = canary_of(self.read())
        way = Way("done", "") if canary is None else Way("drop", canary[0].bundle_id)
        return self._status(self._change(lambda live: gone(live, way), expect=expect))

    def roll_back(self, to: str | None = None) -> Way:
        """Drop the canary, else return to the bundle before, whose files are verified first.

        Raises:
            BundleError: the bundle before is torn or tampered with by now.
            DeploymentError: there is nowhere to go back to, or as `Deployment`.
        """
        live = self.read()
        way, previous = way_back(live, to), previous_of(live)
        if way.kind == "return" and previous is not None:
            found = self.shelf.fetch(previous.storage_uri)
            if found.bundle_id != previous.bundle_id:
                raise BundleError(
                    f"{previous.storage_uri} holds bundle {found.bundle_id}, not {previous.bundle_id}.",
                    remedy="Serve another one: `marquee deploy apply`.",
                )
        self._change(lambda live: gone(live, way))
        return way

    def stable_uri(self) -> str:
        """Where the stable arm's bundle lies."""
        return stable_of(self.read()).storage_uri

    def served_before(self) -> str | None:
        """Bundle id that a rollback without a canary would return to, None where none is known."""
        previous = previous_of(self.read())
        return None if previous is None else previous.bundle_id

    def stable_standing(self) -> Standing:
        """How far the stable arm has come."""
        return self._stable_standing(self.read())

    def canary_standing(self) -> Standing:
        """How far the canary has come."""
        return canary_standing(self.read())

    def split_standing(self) -> Standing:
        """Whether the canary gets its share."""
        return split_standing(self.read())

    def troubles(self) -> list[str]:
        """What keeps pods from serving, and which conditions are not met; a line each."""
        try:
            live = self.api.get()
        except DeploymentError as error:
            return [error.problem]
        return pod_troubles(self.api.pods()) + ([] if live is None else condition_troubles(live))

    def _change(self, wish: Callable[..., Manifest], *, expect: str | None = None) -> Manifest:
        """Write what a wish makes of what is there, or find it fulfilled.

        Raises:
            DeploymentConflictError: `expect` is not what is there, or somebody was faster each time.
            DeploymentUnavailableError: no answer, each time.
            DeploymentError: as the wish, or the cluster refuses for good.
        """
        last, attempt = self.api.config.attempts, 0
        while True:
            live = self.api.get()
            wished = wish(live)
            if wished is live or wished == live:
                return wished
            self._require_expected(live, expect)
            attempt += 1
            try:
                return self.api.create(wished) if live is None else self.api.replace(wished)
            except (DeploymentConflictError, DeploymentUnavailableError):
                if attempt >= last and not self._holds(wish):
                    raise
                self.api.pause_before(attempt)

    def _holds(self, wish: Callable[..., Manifest]) -> bool:
        """Whether a change was made though its answer was lost."""
        live = self.api.get()
        return live is not None and wish(live) is live

    def _require_expected(self, live: Manifest | None, expect: str | None) -> None:
        if live is not None and live["metadata"].get("deletionTimestamp"):
            raise DeploymentError(f"{self.api.address} is being deleted.", remedy="Wait, then make it anew.")
        if expect is not None and (live is None or _version(live) != expect):
            raise DeploymentConflictError(
                "the deployment was changed by somebody else meanwhile.",
                remedy="Look at its status, decide again.",
            )

    def _require_own(self, base: Manifest) -> None:
        named = (base["metadata"].get("namespace", self.api.address.namespace), base["metadata"].get("name"))
        if named != (self.api.address.namespace, self.api.address.name):
            raise DeploymentError(
                f"the manifest is of {'/'.join(map(str, named))}, not of {self.api.address}.",
                remedy="Give the InferenceService that the address names.",
            )

    def _status(self, live: Manifest) -> DeploymentStatus:
        canary = canary_of(live)
        return DeploymentStatus(
            stable=stable_of(live).bundle_id,
            canary=None if canary is None else canary[0].bundle_id,
            percent=0 if canary is None else canary[1],
            is_stable_ready=self._stable_standing(live).is_ready,
            is_canary_ready=canary_standing(live).is_ready,
            version=_version(live),
            generation=int(live["metadata"].get("generation", 0)),
        )

    def _stable_standing(self, live: Manifest) -> Standing:
        return stable_standing(live, self.api.deployment_of(live["spec"]["predictor"].get("name")))


def open_deployment(
    address: str, shelf: Shelf, settings: ClusterConfig | None = None
) -> InferenceServiceDeployment:
    """The InferenceService at `k8s://namespace/name`; nothing is read yet.

    Raises:
        ConfigError: it is no such address, or there is no way to a cluster.
    """
    return InferenceServiceDeployment(ClusterApi.at(Address.of(address), settings), shelf)


def _version(live: Manifest) -> str:
    """Of the specification: the resourceVersion also changes with each word of the controller's."""
    return f"{live['metadata'].get('uid', '')}:{live['metadata'].get('generation', 0)}"


def _require_ready(live: Manifest, bundle: str) -> None:
    found = canary_of(live)
    if found is None or found[0].bundle_id != bundle or not canary_standing(live).is_ready:
        raise _not_ready(bundle)


def _not_ready(bundle: str) -> CanaryNotReadyError:
    return CanaryNotReadyError(f"canary {bundle} is not ready.", remedy="Wait until it answers.")
