"""What `rollback` means for what is there; decided once, so that asking again never goes back twice."""

from typing import Literal, NamedTuple

from marquee.adapters.deployment import DeploymentConflictError, DeploymentError
from marquee.adapters.kubernetes.arms import Manifest, canary_of, stable_of
from marquee.adapters.kubernetes.wishes import dropped, left_of, previous_of, returned


class Way(NamedTuple):
    """The way back."""

    kind: Literal["drop", "return", "done"]
    bundle: str
    """The canary to drop, the bundle to return to, or the one that was left already."""


def way_back(live: Manifest, to: str | None = None) -> Way:
    """The way back from what is there: drop the canary, else return to what was stable before.

    Args:
        live: what is there.
        to: bundle id that is to be stable; without a canary and without it, what was stable before, unless
            the last thing done was a rollback.

    Raises:
        DeploymentError: there is nowhere to go back to, or `to` is not what dropping the canary gives.
    """
    stable, canary, previous = stable_of(live), canary_of(live), previous_of(live)
    if canary is not None:
        if to not in {None, stable.bundle_id}:
            raise DeploymentError(
                f"canary {canary[0].bundle_id} is under way beside bundle {stable.bundle_id}.",
                remedy=f"Roll back first, without --to; then again with --to {to}.",
            )
        return Way("drop", canary[0].bundle_id)
    if stable.bundle_id == to:
        return Way("done", to)
    if to is None and (left := left_of(live)):
        return Way("done", left)
    if previous is None:
        raise DeploymentError(
            f"there is no canary, and nothing is known to be served before bundle {stable.bundle_id}.",
            remedy="Have another one served: `marquee deploy apply`.",
        )
    return Way("return", to or previous.bundle_id)


def gone(live: Manifest, way: Way) -> Manifest:
    """The manifest after that way; the same one where it was gone already.

    Raises:
        DeploymentConflictError: somebody else put another canary there meanwhile.
        DeploymentError: as `returned`.
    """
    if way.kind == "done":
        return live
    if way.kind == "return":
        return returned(live, way.bundle)
    canary = canary_of(live)
    if canary is not None and canary[0].bundle_id != way.bundle:
        raise DeploymentConflictError(
            f"canary {canary[0].bundle_id} took the place of {way.bundle} meanwhile.",
            remedy="Look at its status, decide again.",
        )
    return dropped(live)
