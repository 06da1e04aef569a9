"""From a manifest and a wish to the manifest that fulfils it: pure, and the same one where it does already.

Each is decided on what was read last, and written with that version only. So whoever loses a race reads
again and decides again, and a wish whose answer was lost can be asked for again.
"""

from collections.abc import Mapping
from copy import deepcopy
from math import ceil
from typing import Any, Final

from marquee.adapters.deployment import CanaryNotReadyError, DeploymentError
from marquee.adapters.kubernetes.arms import (
    BASE_KEY,
    BUNDLE_KEY,
    CONTAINER,
    JOURNAL,
    LEFT_KEY,
    MODE_KEY,
    PREVIOUS_KEY,
    RUN_KEY,
    STORAGE_URI,
    Arm,
    Manifest,
    annotations_of,
    base_hash,
    canary_of,
    container_of,
    is_standard,
    stable_of,
)

_MERGED: Final = frozenset({"annotations", "labels"})
"""What a canary adds to the stable arm; all else of its predictor stands instead of the stable arm's."""


def applied(live: Manifest | None, arm: Arm, *, base: Manifest | None) -> Manifest:
    """The stable arm serves a bundle, as a rolling update of the same pods.

    Args:
        live: what is there, None for nothing.
        arm: what is to be served.
        base: the manifest of all the rest; the one that is there by default.

    Raises:
        DeploymentError: a canary is under way, there is nothing to begin with, or the mode would change.
    """
    template = base or live
    if template is None:
        raise DeploymentError(
            "there is no such InferenceService yet.", remedy="Give the manifest to begin with: --manifest."
        )
    if base is not None and base["spec"].get("canary"):
        raise DeploymentError(
            "the manifest to apply has a canary.", remedy="Leave it out, and use `marquee deploy canary`."
        )
    if live is not None:
        _require_no_canary(live, arm)
    made = _served(_clean(template), arm)
    if base is not None:
        _annotate(made, {BASE_KEY: base_hash(base)})
    if live is None:
        return made
    _require_mode(live, made)
    _carry_over(live, made)
    return live if _covers(live, made) else made


def with_canary(live: Manifest, arm: Arm, percent: int) -> Manifest:
    """A bundle has this share of the requests, in place of another canary.

    Raises:
        DeploymentError: the share is none, the bundle is the stable one, or the mode knows no canaries.
    """
    if not 0 <= percent <= 100:
        raise DeploymentError(f"{percent} % is no share.", remedy="Give 0 to 100.")
    _require_standard(live)
    stable = stable_of(live)
    if arm.bundle_id == stable.bundle_id:
        raise DeploymentError(f"bundle {arm.bundle_id} is the stable one.", remedy="Give another as canary.")
    if share_of(live, arm) == percent:
        return live
    arm = arm if arm.image else arm.with_image(stable.image)
    made = deepcopy(live)
    predictor = made["spec"]["predictor"]
    made["spec"]["canary"] = [
        {
            "trafficPercent": percent,
            "predictor": {
                "name": _free_name(arm, predictor.get("name")),
                "minReplicas": _replicas(int(predictor.get("minReplicas") or 1), percent),
                "annotations": {**(predictor.get("annotations") or {}), **_own_annotations(arm)},
                "containers": _containers(predictor, arm),
            },
        }
    ]
    _annotate(made, {LEFT_KEY: None})
    return made


def promoted(live: Manifest, bundle: str) -> Manifest:
    """The canary is the stable arm; what was stable is what rollback returns to.

    Raises:
        CanaryNotReadyError: it is not the canary.
    """
    stable, found = stable_of(live), canary_of(live)
    if stable.bundle_id == bundle and found is None:
        return live
    if found is None or found[0].bundle_id != bundle:
        there = "there is no canary" if found is None else f"the canary is {found[0].bundle_id}"
        raise CanaryNotReadyError(
            f"bundle {bundle} can't be promoted: {there}.", remedy="Give it a share first: canary."
        )
    made = deepcopy(live)
    (entry,) = made["spec"].pop("canary")
    _take_over(made["spec"]["predictor"], entry["predictor"])
    _annotate(made, {**_names(found[0]), PREVIOUS_KEY: stable.as_json(), LEFT_KEY: None})
    return made


def dropped(live: Manifest) -> Manifest:
    """All requests go to the stable arm, whose pods stay as they are, and there is no canary."""
    if not live["spec"].get("canary"):
        return live
    made = deepcopy(live)
    (entry, *_) = made["spec"].pop("canary")
    left = (entry["predictor"].get("annotations") or {}).get(BUNDLE_KEY)
    if left and LEFT_KEY in (made["spec"]["predictor"].get("annotations") or {}):
        _annotate(made, {LEFT_KEY: left})
    return made


def returned(live: Manifest, bundle: str) -> Manifest:
    """The stable arm serves what it served before, as a rolling update.

    Raises:
        DeploymentError: a canary is under way, or it served something else before.
    """
    stable, previous = stable_of(live), previous_of(live)
    if stable.bundle_id == bundle and canary_of(live) is None:
        return live
    if previous is None or previous.bundle_id != bundle:
        there = "nothing" if previous is None else f"bundle {previous.bundle_id}"
        raise DeploymentError(
            f"it can't return to bundle {bundle}: {there} was served before.",
            remedy="Have it served by `marquee deploy apply`.",
        )
    _require_no_canary(live, previous)
    made = _served(deepcopy(live), previous)
    _annotate(made, {PREVIOUS_KEY: None, LEFT_KEY: stable.bundle_id})
    return made


def share_of(live: Manifest, arm: Arm) -> int | None:
    """The share of just this canary, None where it is not there."""
    found = canary_of(live)
    wanted = arm if arm.image else arm.with_image(stable_of(live).image)
    return found[1] if found is not None and found[0] == wanted else None


def previous_of(live: Manifest) -> Arm | None:
    """What was stable before, None where that is not known."""
    text = annotations_of(live).get(PREVIOUS_KEY)
    return Arm.from_json(text) if text else None


def left_of(live: Manifest) -> str | None:
    """The bundle that the last rollback left; None where something else was done since."""
    return annotations_of(live).get(LEFT_KEY)


def _served(made: Manifest, arm: Arm) -> Manifest:
    """The same manifest, its stable arm serving a bundle; changes the one it gets."""
    predictor = made["spec"]["predictor"]
    arm = arm if arm.image else arm.with_image(container_of(predictor).get("image"))
    predictor["containers"] = _containers(predictor, arm)
    predictor["annotations"] = {**(predictor.get("annotations") or {}), **_own_annotations(arm)}
    _annotate(made, _names(arm))
    return made


def _containers(predictor: Mapping[str, Any], arm: Arm) -> list[dict[str, Any]]:
    """All containers of a predictor, the one that serves with the arm's bundle and image."""
    container_of(predictor)
    made: list[dict[str, Any]] = deepcopy(predictor["containers"])
    for container in made:
        if container["name"] != CONTAINER:
            continue
        env = [each for each in container.get("env") or [] if each.get("name") != STORAGE_URI]
        container["env"] = [{"name": STORAGE_URI, "value": arm.storage_uri}, *env]
        if arm.image:
            container["image"] = arm.image
    return made


def _own_annotations(arm: Arm) -> dict[str, str]:
    return {**_names(arm), **dict.fromkeys(JOURNAL, "")}


def _names(arm: Arm) -> dict[str, str]:
    return {BUNDLE_KEY: arm.bundle_id, RUN_KEY: arm.run_id}


def _annotate(made: Manifest, notes: Mapping[str, str | None]) -> None:
    """Set annotations of the object; None removes."""
    kept = {**annotations_of(made), **notes}
    made["metadata"]["annotations"] = {key: value for key, value in kept.items() if value is not None}


def _take_over(predictor: dict[str, Any], canary: Mapping[str, Any]) -> None:
    """Put a canary's content into the stable predictor, whose scaling stays, as KServe merges the two.

    Where the stable one has a name, it gets the canary's: the canary's pods go on as they are, and its
    Service has another name. Without one the Service keeps its name, and the pods are rolled.
    """
    kept = {"minReplicas"} if predictor.get("name") else {"minReplicas", "name"}
    for key, value in canary.items():
        if key in _MERGED:
            predictor[key] = {**(predictor.get(key) or {}), **value}
        elif key not in kept:
            predictor[key] = value


def _free_name(arm: Arm, taken: str | None) -> str:
    """Of a canary. After a rollback the stable arm may still have the name of the bundle that it left."""
    return arm.name if arm.name != taken else f"{arm.name}x"


def _replicas(stable: int, percent: int) -> int:
    """A canary's fixed number of pods: its share of the stable arm's minimum; more is not allowed."""
    return min(max(1, ceil(stable * percent / 100)), max(1, stable))


def _carry_over(live: Manifest, made: Manifest) -> None:
    """Give a manifest what only the live object knows; changes the former."""
    notes = {**annotations_of(live), **annotations_of(made)}
    was = _arm_or_none(live)
    if was is not None and was != stable_of(made):
        notes[PREVIOUS_KEY] = was.as_json()
        notes.pop(LEFT_KEY, None)
    labels = {**(live["metadata"].get("labels") or {}), **(made["metadata"].get("labels") or {})}
    made["metadata"] = {**live["metadata"], "annotations": notes, **({"labels": labels} if labels else {})}
    # Another name is another Deployment, and the old one is deleted at once: no pod would serve.
    predictor, name = made["spec"]["predictor"], live["spec"]["predictor"].get("name")
    predictor.pop("name", None)
    if name is not None:
        predictor["name"] = name


def _arm_or_none(live: Manifest) -> Arm | None:
    """The stable arm, None where it names no bundle, as one that was made by other hands."""
    try:
        return stable_of(live)
    except DeploymentError:
        return None


def _covers(live: object, wished: object) -> bool:
    """Whether all that is wished holds; what the server filled in by itself does not count."""
    if isinstance(wished, Mapping) and isinstance(live, Mapping):
        return all(key in live and _covers(live[key], value) for key, value in wished.items())
    if isinstance(wished, list) and isinstance(live, list):
        return len(live) == len(wished) and all(map(_covers, live, wished))
    return live == wished


def _clean(template: Manifest) -> Manifest:
    """A copy without what belongs to the server."""
    made = deepcopy(template)
    made.pop("status", None)
    for key in ("resourceVersion", "uid", "generation", "creationTimestamp", "managedFields"):
        made["metadata"].pop(key, None)
    return made


def _require_no_canary(live: Manifest, arm: Arm) -> None:
    if live["spec"].get("canary"):
        raise DeploymentError(
            f"a canary is under way, so the stable arm does not change to bundle {arm.bundle_id}.",
            remedy="Promote it, or roll it back, first.",
        )


def _require_mode(live: Manifest, made: Manifest) -> None:
    was, will = (annotations_of(each).get(MODE_KEY) for each in (live, made))
    if was != will:
        raise DeploymentError(
            f"{MODE_KEY} is {was}, and can't become {will}: KServe lets no mode change.",
            remedy="Keep it in the manifest, or delete the InferenceService first.",
        )


def _require_standard(live: Manifest) -> None:
    if not is_standard(live):
        mode = annotations_of(live).get(MODE_KEY, "unset")
        raise DeploymentError(
            f"{MODE_KEY} is {mode}, and only Standard has the canaries driven here.",
            remedy="Set it to Standard, or give shares by canaryTrafficPercent yourself.",
        )
