"""What experiments run, on whom and with which variants: a YAML file that people write, checked."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from marquee.data.yaml_text import read_yaml
from marquee.errors import ConfigError
from marquee.schema import Surface

Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]
"""Short and printable: it becomes a metric's label, a header and part of a log's columns."""


class Variant(BaseModel):
    """One arm of an experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    """Part of the hash: under another name it is another variant, with other people."""
    weight: float = Field(default=1.0, ge=1e-6, le=1e6)
    """Its share is this by the sum of all weights."""
    bundle: Name | None = None
    """The bundle slot that answers; the default slot where none is named."""


class Experiment(BaseModel):
    """Variants, and whom they are tried on.

    Of a layer's users, who are laid out evenly from 0 to 1, it takes those from `first` to
    `first + traffic`: experiments of one layer never share a user, those of different layers do, and
    independently.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    variants: tuple[Variant, ...] = Field(min_length=2)
    """The order says nothing."""
    salt: str = Field(default="", max_length=200)
    """Draws the variants; empty: the name. A new one deals everybody anew."""
    layer: Name = "model"
    first: float = Field(default=0.0, ge=0, lt=1)
    """Where its users begin in the layer."""
    traffic: float = Field(default=1.0, gt=0, le=1)
    """The share of the layer's users. Raised, it keeps all who were in, in their variants."""
    surfaces: tuple[Surface, ...] = Field(default=("home",), min_length=1)
    """Where it applies."""
    is_on: bool = True
    """The kill switch: off, nobody is in it, and its range of the layer stays reserved."""

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if (name := _twice(variant.name for variant in self.variants)) is not None:
            raise ValueError(f"variants: {name!r} stands there twice")
        if (surface := _twice(self.surfaces)) is not None:
            raise ValueError(f"surfaces: {surface!r} stands there twice")
        if self.end > 1:
            raise ValueError(f"first = {self.first} and traffic = {self.traffic} end at {self.end}, above 1")
        return self

    @property
    def end(self) -> float:
        """Where its users end in the layer, itself outside.

        Added as the decimals that were written: 0.1 + 0.2 is where an experiment with `first: 0.3` begins.
        """
        return float(Decimal(str(self.first)) + Decimal(str(self.traffic)))

    @property
    def effective_salt(self) -> str:
        """What draws the variants."""
        return self.salt or self.name

    @property
    def shares(self) -> dict[str, float]:
        """The probability of each variant given that a user is in the experiment; they add up to 1."""
        total = sum(variant.weight for variant in self.variants)
        return {variant.name: variant.weight / total for variant in self.variants}


class ExperimentsConfig(BaseModel):
    """All experiments. Equal ones assign equally, in each process and on each machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiments: tuple[Experiment, ...] = ()
    """Those of one layer may not overlap, and only one layer may name bundles."""
    is_on: bool = True
    """The kill switch of them all."""

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if (name := _twice(each.name for each in self.experiments)) is not None:
            raise ValueError(f"experiments: the name {name!r} stands there twice")
        if (salt := _twice(each.effective_salt for each in self.experiments)) is not None:
            raise ValueError(f"experiments: two draw by the salt {salt!r}, so they would not be independent")
        for layer in dict.fromkeys(each.layer for each in self.experiments):
            _check_ranges(layer, [each for each in self.experiments if each.layer == layer])
        if len(naming := self._layers_with_bundles()) > 1:
            raise ValueError(f"layers {naming} all name bundles: one list comes from one bundle, so one may")
        return self

    def _layers_with_bundles(self) -> list[str]:
        layers = (
            each.layer
            for each in self.experiments
            if any(variant.bundle is not None for variant in each.variants)
        )
        return list(dict.fromkeys(layers))

    @property
    def bundles(self) -> tuple[str, ...]:
        """The bundle slots that must be loaded beside the default one, each once, as first named."""
        named = (variant.bundle for each in self.experiments for variant in each.variants)
        return tuple(dict.fromkeys(name for name in named if name is not None))


def read_experiments(path: Path, *, option: str = "--config") -> ExperimentsConfig:
    """The experiments of a YAML file; an empty file holds none.

    Args:
        path: of the file.
        option: by which it was named; stands in the remedy.

    Raises:
        ConfigError: the file can't be read or is no YAML mapping, or a key or value does not fit; the
            message names file, key and value.
    """
    values = read_yaml(path, option=option)
    try:
        return ExperimentsConfig.model_validate({} if values is None else values)
    except ValidationError as error:
        raise ConfigError(
            f"{path}: {_fault(error)}.",
            remedy="Mend it; `marquee experiment check FILE` says whether it is right.",
        ) from error


def shown(value: object) -> str:
    """A value as it stands in an error: at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _fault(error: ValidationError) -> str:
    """The first fault: key, value seen, and what is wrong with it."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "value_error":  # of several keys, which it names; the value would be all of them
        return f"{key}: {first['ctx']['error']}" if key else str(first["ctx"]["error"])
    if first["type"] == "missing":  # the value would be all that is there
        return f"{key} is missing"
    if first["type"] == "invalid_key":
        return f"the key {shown(first['input'])} is no text; YAML reads on, off, yes and no as truths"
    return f"{key or '(top level)'} = {shown(first['input'])}: {first['msg']}"


def _check_ranges(layer: str, experiments: list[Experiment]) -> None:
    for left, right in pairwise(sorted(experiments, key=lambda each: each.first)):
        if left.end > right.first:
            raise ValueError(
                f"layer {layer!r}: {left.name!r} takes {left.first} to {left.end} and {right.name!r}"
                f" {right.first} to {right.end}: they overlap"
            )


def _twice(names: Iterator[str] | tuple[str, ...]) -> str | None:
    """The first name that occurs a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
