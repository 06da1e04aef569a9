"""Which rankers a search may try: a YAML file of ranges and choices, typed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import optuna
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from marquee.data.yaml_text import parse_yaml
from marquee.errors import ConfigError
from marquee.ranking.lightgbm import LightGbmConfig
from marquee.ranking.rankers import Booster, RankerConfig
from marquee.ranking.xgboost import XgBoostConfig

PRESETS: Final = Path(__file__).with_name("spaces")
"""Search spaces that come with the product, each a file `NAME.yaml`."""
BOOSTER: Final = "booster"
Scale = Literal["linear", "log"]
Point = dict[str, int | float | str]
"""One trial's parameters by name: `booster`, then `lightgbm.num_leaves` and the like."""


class IntRange(BaseModel):
    """Whole numbers from `min` to `max`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["int"]
    min: int
    max: int
    step: int = Field(default=1, ge=1)
    scale: Scale = "linear"

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        _check_range(self.min, self.max, self.scale)
        if self.scale == "log" and self.step != 1:
            raise ValueError("a logarithmic scale takes no step")
        return self

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> int:
        """Ask the trial for a value."""
        return trial.suggest_int(name, self.min, self.max, step=self.step, log=self.scale == "log")

    def nearest(self, value: float) -> int:
        """The allowed value that is nearest to any other."""
        steps = round((min(max(value, self.min), self.max) - self.min) / self.step)
        return min(self.min + steps * self.step, self.max)

    @property
    def ends(self) -> tuple[int, int]:
        """The lowest and the highest value."""
        return self.min, self.max


class FloatRange(BaseModel):
    """Numbers from `min` to `max`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["float"]
    min: float
    max: float
    scale: Scale = "linear"

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        _check_range(self.min, self.max, self.scale)
        return self

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> float:
        """Ask the trial for a value."""
        return trial.suggest_float(name, self.min, self.max, log=self.scale == "log")

    def nearest(self, value: float) -> float:
        """The allowed value that is nearest to any other."""
        return min(max(float(value), self.min), self.max)

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        return self.min, self.max


class Choice(BaseModel):
    """One of a few numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["choice"]
    values: Annotated[tuple[int | float, ...], Field(min_length=1)]

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> int | float:
        """Ask the trial for a value."""
        value: int | float = trial.suggest_categorical(name, self.values)
        return value

    def nearest(self, value: float) -> int | float:
        """The allowed value that is nearest to any other."""
        return min(self.values, key=lambda allowed: abs(allowed - value))

    @property
    def ends(self) -> tuple[int | float, ...]:
        """All values."""
        return self.values


Dimension = Annotated[IntRange | FloatRange | Choice, Field(discriminator="type")]


class SearchSpace(BaseModel):
    """The boosters that may be chosen, and what may vary of each; other knobs stay as configured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    boosters: Annotated[tuple[Booster, ...], Field(min_length=1)]
    lightgbm: Mapping[str, Dimension] = {}
    xgboost: Mapping[str, Dimension] = {}

    @model_validator(mode="after")
    def _fits_the_boosters(self) -> Self:
        for booster, knobs in (("lightgbm", LightGbmConfig), ("xgboost", XgBoostConfig)):
            for name, dimension in self.of(booster).items():
                if name not in knobs.model_fields:
                    raise ValueError(f"{booster}.{name} is none of {sorted(knobs.model_fields)}")
                for end in dimension.ends:
                    _check_value(knobs, f"{booster}.{name}", end)
        return self

    @classmethod
    def read(cls, name: str) -> Self:
        """A preset by its name, or a file by its path.

        Raises:
            ConfigError: there is no such preset or file, or a key or value in it does not fit.
        """
        path = PRESETS / f"{name}.yaml"
        path = path if path.is_file() else Path(name)
        try:
            values = parse_yaml(path.read_text(encoding="utf-8"), origin=str(path))
            return cls.model_validate(values)
        except (OSError, UnicodeDecodeError) as error:
            presets = ", ".join(sorted(preset.stem for preset in PRESETS.glob("*.yaml")))
            raise ConfigError(
                f"{name} is no search space: {error}.", remedy=f"Name a file, or one of {presets}."
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "(top level)"
            raise ConfigError(
                f"{path}: {key} = {first['input']!r}: {first['msg']}.",
                remedy="Compare it with the presets in marquee/ranking/spaces.",
            ) from error

    def of(self, booster: str) -> Mapping[str, Dimension]:
        """What may vary of one booster, by knob."""
        return self.lightgbm if booster == "lightgbm" else self.xgboost

    def suggest(self, trial: optuna.trial.BaseTrial, start: RankerConfig) -> RankerConfig:
        """The ranker that a trial is to try; what the space does not name is as in `start`."""
        booster = trial.suggest_categorical(BOOSTER, self.boosters)
        values = {
            name: dimension.suggest(trial, f"{booster}.{name}")
            for name, dimension in self.of(booster).items()
        }
        return with_knobs(start, booster, values)

    def points_near(self, start: RankerConfig) -> list[Point]:
        """The configured ranker as near as the space allows, once per booster, the chosen one first."""
        ordered = sorted(self.boosters, key=lambda booster: booster != start.booster)
        return [{BOOSTER: booster, **self._nearest(start, booster)} for booster in ordered]

    def _nearest(self, start: RankerConfig, booster: Booster) -> Point:
        knobs = getattr(start, booster).model_dump()
        return {
            f"{booster}.{name}": dimension.ends[-1] if knobs[name] is None else dimension.nearest(knobs[name])
            for name, dimension in self.of(booster).items()
        }


def with_knobs(start: RankerConfig, booster: str, values: Mapping[str, object]) -> RankerConfig:
    """A ranker's configuration with another booster and other knobs of it."""
    dumped = start.model_dump()
    return RankerConfig.model_validate({**dumped, "booster": booster, booster: {**dumped[booster], **values}})


def ranker_at(point: Mapping[str, object], start: RankerConfig) -> RankerConfig:
    """The ranker of a point."""
    booster = str(point[BOOSTER])
    values = {name.removeprefix(f"{booster}."): value for name, value in point.items() if name != BOOSTER}
    return with_knobs(start, booster, values)


def _check_range(low: float, high: float, scale: Scale) -> None:
    if not low < high:
        raise ValueError(f"min = {low} is not below max = {high}")
    if scale == "log" and low <= 0:
        raise ValueError(f"min = {low} has no logarithm")


def _check_value(knobs: type[LightGbmConfig] | type[XgBoostConfig], name: str, value: float) -> None:
    try:
        knobs.model_validate({name.partition(".")[2]: value})
    except ValidationError as error:
        raise ValueError(f"{name} = {value}: {error.errors()[0]['msg']}") from error
