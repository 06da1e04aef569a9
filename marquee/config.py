"""Composes the configs that the rooms own.

A run's values come from a YAML file that holds only what differs from the defaults:

    seed: 11
    routes:
      ease: {regularization: 250}
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import ConfigDict, ValidationError, model_validator

from marquee.candidates.routes import RoutesConfig
from marquee.candidates.similar_index import SimilarConfig
from marquee.candidates.union import UnionConfig
from marquee.data.datasets.fetch import DatasetConfig
from marquee.data.splits import TemporalConfig
from marquee.data.yaml_text import fault_of, read_yaml
from marquee.errors import ConfigError
from marquee.evaluation.evaluate import EvaluationConfig
from marquee.evaluation.gate import GateConfig
from marquee.features.assemble import FeaturesConfig
from marquee.monitoring.drift_config import DriftConfig
from marquee.monitoring.quality import QualityConfig
from marquee.policy.rules import PolicyConfig
from marquee.ranking.rankers import RankerConfig
from marquee.ranking.ratings_learn import RatingsConfig
from marquee.ranking.training_set import TrainingSetConfig
from marquee.seeded import Seeded

_WATCHING: Final = {"quality", "drift"}
_NOT_OF_THE_MODEL: Final = {"dataset", "temporal", "evaluation", "gate", *_WATCHING}
HEADLINE_K: Final = 10
"""The cut of the one number that a run is known by."""


class TrainingConfig(Seeded):
    """All knobs of a training run. Equal config, seed and snapshot give an equal bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: DatasetConfig = DatasetConfig()
    """Choices about the data set, such as the size of the synthetic one."""
    quality: QualityConfig = QualityConfig()
    """From where on the data are too bad to be learned from."""
    temporal: TemporalConfig = TemporalConfig()
    """The split that the model is measured on."""
    routes: RoutesConfig = RoutesConfig()
    """First stage."""
    union: UnionConfig = UnionConfig()
    """How many candidates the first stage hands on."""
    similar: SimilarConfig = SimilarConfig()
    """How similar items are found."""
    features: FeaturesConfig = FeaturesConfig()
    """What the ranker reads of the feature store."""
    training_set: TrainingSetConfig = TrainingSetConfig()
    """What the ranker learns from."""
    ranker: RankerConfig = RankerConfig()
    """Second stage."""
    ratings: RatingsConfig = RatingsConfig()
    """The prediction of stars."""
    policy: PolicyConfig = PolicyConfig()
    """Between scoring and the list."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """What is measured."""
    gate: GateConfig = GateConfig()
    """What the challenger must show."""
    drift: DriftConfig = DriftConfig()
    """From where on the world has moved away from what the model learned."""

    @model_validator(mode="after")
    def _is_finite(self) -> Self:
        for key, value in _numbers(self.model_dump()):
            if not math.isfinite(value):  # no fit survives it, and JSON can't hold it
                raise ValueError(f"{key} = {value} is not finite")
        return self

    @model_validator(mode="after")
    def _measures_what_the_gate_asks(self) -> Self:
        wanted = {HEADLINE_K, *(cut.k for cut in self.gate.cuts)}
        if missing := sorted(wanted - set(self.evaluation.ks)):
            raise ValueError(
                f"evaluation.ks = {self.evaluation.ks} lacks {missing}, which headline or gate need"
            )
        return self

    @property
    def recipe(self) -> dict[str, Any]:
        """The knobs that make the model, without those that measure and judge it."""
        return self.model_dump(mode="json", exclude=_NOT_OF_THE_MODEL)

    @property
    def as_trained(self) -> dict[str, Any]:
        """What a bundle keeps of the configuration: all but what watches feeds and lists."""
        return self.model_dump(mode="json", exclude=_WATCHING)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the differences from the defaults.

        Raises:
            ConfigError: the file is missing or no YAML mapping, or a key or value does not fit; the
                message names file, key and value.
        """
        return cls.from_values(read_yaml(path, option="--config") or {}, where=str(path))

    @classmethod
    def from_values(cls, values: Any, *, where: str) -> Self:  # noqa: ANN401 - unchecked until here
        """Validate plain values; `where` names their origin in errors.

        Raises:
            ConfigError: a key or value does not fit.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(
                fault_of(error, where=where),
                remedy="`marquee train --show-config` prints every key with its default.",
            ) from error


def _numbers(values: object, key: str = "") -> Iterator[tuple[str, float]]:
    """The fractional numbers of nested plain values, with their dotted keys."""
    if isinstance(values, float):
        yield key, values
    elif isinstance(values, Mapping):
        for name, value in values.items():
            yield from _numbers(value, f"{key}.{name}".lstrip("."))
    elif isinstance(values, list | tuple):
        for number, value in enumerate(values):
            yield from _numbers(value, f"{key}.{number}")
