"""Which variants a user is in: one pure function, for serving and for the analysis of its logs.

Two hashes decide, both of 53 bits. The layer's says where a user stands in the layer, and so in which
experiment, if any. The experiment's own, salted by its salt, draws the variant. So

- raising an experiment's traffic keeps all who were in it, in their variants;
- no change of one experiment changes anybody's variant in another;
- raising one variant's weight, or adding a variant, moves users only into it, and exactly as many as its
  share grows by; lowering or removing one moves only its own users.

An experiment's variant is the first arrival of a race: each variant v arrives after -ln(u_v) / weight_v,
with u_v uniform in (0, 1] from the hash of salt, variant and user, so it wins with probability
weight_v / sum of weights.

Source: Schindelhauer and Schomaker (2005), Weighted Distributed Hash Tables, logarithmic method; known as
weighted rendezvous hashing. Layers: Tang et al. (2010), Overlapping Experiment Infrastructure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import log
from types import MappingProxyType
from typing import Final, NamedTuple

from marquee.errors import RequestError
from marquee.experiments.config import Experiment, ExperimentsConfig, shown
from marquee.schema import SURFACES

BUCKETS: Final = 10_000
"""Into how many parts `Assignment.bucket` cuts a layer: for logs; the decision is finer."""
NO_OVERRIDES: Final[Mapping[str, str]] = MappingProxyType({})

_BITS: Final = 53
_UNIT: Final = 2.0**-_BITS


class Assignment(NamedTuple):
    """A user's variant in one experiment."""

    experiment: str
    variant: str
    bundle: str | None
    """The bundle slot that answers; None is the default slot."""
    propensity: float
    """The probability in (0, 1] of this variant given that a user is in the experiment."""
    bucket: int
    """The user's place in the layer, 0 to 9,999."""
    is_override: bool
    """Asked for, not drawn: the analysis leaves it out."""


@dataclass(frozen=True, slots=True)
class _Arm:
    name: str
    bundle: str | None
    share: float
    prefix: bytes


@dataclass(frozen=True, slots=True)
class _Trial:
    """An experiment, ready to be hashed into."""

    name: str
    layer: str
    first: float
    end: float
    surfaces: frozenset[str]
    is_on: bool
    arms: Mapping[str, _Arm]


@dataclass(frozen=True, slots=True)
class _Layer:
    name: str
    prefix: bytes
    trials: tuple[_Trial, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    layers: Mapping[str, tuple[_Layer, ...]]
    """By surface: the layers that have an experiment there, with those that are on."""
    trials: Mapping[str, _Trial]
    """All by name, also those that are off."""


def assign(
    user_id: str,
    config: ExperimentsConfig,
    *,
    surface: str = "home",
    overrides: Mapping[str, str] = NO_OVERRIDES,
) -> tuple[Assignment, ...]:
    """The variants that a user is in: at most one experiment a layer, layers as first named.

    It depends on nothing but its arguments. At most one of the assignments names a bundle.

    Args:
        user_id: any text; equal text, equal variants.
        config: what runs.
        surface: where the list is asked for.
        overrides: variant by experiment, for tests by people. One takes the place of what its layer would
            have given. It has no effect on a surface where the experiment does not apply, and none while
            a kill switch is thrown.

    Raises:
        RequestError: an unknown surface, an override that names an unknown experiment or variant, or two
            of them in one layer.
    """
    plan = _plan(config)
    if (layers := plan.layers.get(surface)) is None:
        raise RequestError(
            f"surface = {shown(surface)} is unknown.", remedy=f"Use one of: {', '.join(SURFACES)}."
        )
    forced = _forced(plan, overrides) if overrides else {}
    person = user_id.encode("utf-8", "surrogatepass")  # JSON can hold half a surrogate pair
    assigned = []
    for layer in layers:
        place = _draw(layer.prefix, person) * _UNIT
        trial, arm = forced.get(layer.name, (None, None))
        is_override = trial is not None and surface in trial.surfaces
        if not is_override:
            trial, arm = _chosen(layer, place, person)
        if trial is not None and arm is not None:
            bucket = int(place * BUCKETS)
            assigned.append(Assignment(trial.name, arm.name, arm.bundle, arm.share, bucket, is_override))
    return tuple(assigned)


def _chosen(layer: _Layer, place: float, person: bytes) -> tuple[_Trial, _Arm] | tuple[None, None]:
    """The experiment in whose range a user stands, and the variant drawn there."""
    for trial in layer.trials:
        if trial.first <= place < trial.end:
            return trial, min(trial.arms.values(), key=lambda arm: _arrival(arm, person))
    return None, None


def _arrival(arm: _Arm, person: bytes) -> float:
    """When a variant arrives in the race for a user: exponential, at the rate of its share."""
    return -log((_draw(arm.prefix, person) + 1) * _UNIT) / arm.share


def _draw(prefix: bytes, person: bytes) -> int:
    """A number of 53 bits, all that a float can hold evenly."""
    digest = blake2b(prefix + person, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - _BITS)


def _forced(plan: _Plan, overrides: Mapping[str, str]) -> dict[str, tuple[_Trial, _Arm]]:
    """What the overrides ask for, by layer."""
    forced: dict[str, tuple[_Trial, _Arm]] = {}
    for experiment, variant in overrides.items():
        asked = f"The override {shown(experiment)} = {shown(variant)}"
        if (trial := plan.trials.get(experiment)) is None:
            known = f"Use one of: {', '.join(plan.trials)}." if plan.trials else "There are none: drop it."
            raise RequestError(f"{asked} names an unknown experiment.", remedy=known)
        if (arm := trial.arms.get(variant)) is None:
            raise RequestError(
                f"{asked} names an unknown variant.", remedy=f"Use one of: {', '.join(trial.arms)}."
            )
        if not trial.is_on:
            continue
        if trial.layer in forced:
            other = forced[trial.layer][0].name
            raise RequestError(
                f"{asked} is in the layer {trial.layer!r}, as the override of {other!r} is.",
                remedy="Keep one of them: a user is in one experiment a layer.",
            )
        forced[trial.layer] = (trial, arm)
    return forced


@lru_cache(maxsize=16)  # by value, not kept on the config: a copy with a thrown switch would carry it along
def _plan(config: ExperimentsConfig) -> _Plan:
    trials = {each.name: _trial(each, is_on=config.is_on and each.is_on) for each in config.experiments}
    return _Plan({surface: _layers(trials, surface) for surface in SURFACES}, trials)


def _trial(experiment: Experiment, *, is_on: bool) -> _Trial:
    salt, shares = experiment.effective_salt, experiment.shares
    arms = {
        each.name: _Arm(each.name, each.bundle, shares[each.name], _prefix("variant", salt, each.name))
        for each in experiment.variants
    }
    surfaces = frozenset(experiment.surfaces)
    return _Trial(experiment.name, experiment.layer, experiment.first, experiment.end, surfaces, is_on, arms)


def _layers(trials: Mapping[str, _Trial], surface: str) -> tuple[_Layer, ...]:
    by_layer: dict[str, list[_Trial]] = {}
    for trial in trials.values():
        if trial.is_on and surface in trial.surfaces:
            by_layer.setdefault(trial.layer, []).append(trial)
    return tuple(_Layer(name, _prefix("layer", name), tuple(those)) for name, those in by_layer.items())


def _prefix(*parts: str) -> bytes:
    """What stands before the user in a hash: lengths first, so that ("ab", "c") is not ("a", "bc")."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
