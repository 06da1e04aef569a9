"""The values of one pipeline run, from a YAML file that holds only what differs from the defaults."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marquee.config import TrainingConfig
from marquee.data.datasets.catalogue import dataset_names
from marquee.data.yaml_text import fault_of, read_yaml
from marquee.errors import ConfigError

MAX_PARAMETER_BYTES: Final = 100_000
"""A step gets its parameters on a command line, which holds 128 KiB."""


class TuningValues(BaseModel):
    """The search for the ranker's knobs within a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    space: str = "default"
    """What may vary: `default`, `brief`, or a file."""
    seconds: float = Field(default=0.0, ge=0)
    """Budget of time; 0 for no search."""
    trials: int = Field(default=100, ge=1)
    """Budget of trials."""


class RunValues(BaseModel):
    """What a pipeline run is to do.

    Example:
        A file of pipelines/configs::

            dataset: ml-100k
            training: {seed: 11, routes: {ease: {regularization: 250}}}
            tuning: {seconds: 100}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = "ml-100k"
    """A name of the catalogue."""
    source: str = ""
    """Folder, zip or URL instead of the publisher's; empty for the publisher's."""
    training: TrainingConfig = TrainingConfig()
    """All knobs of the training."""
    tuning: TuningValues = TuningValues()
    """The search before it."""

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read and check a file.

        Raises:
            ConfigError: it is missing or no YAML mapping, or a key or value does not fit; the message
                names file, key and value.
        """
        return cls.from_values(read_yaml(path, option="--values") or {}, where=str(path))

    @classmethod
    def from_values(cls, values: Any, *, where: str) -> Self:  # noqa: ANN401 - unchecked until here
        """Check plain values; `where` names their origin in errors.

        Raises:
            ConfigError: a key or value does not fit.
        """
        remedy = "pipelines/configs/ has examples; `marquee train --show-config` prints the keys of training."
        try:
            found = cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(fault_of(error, where=where), remedy=remedy) from error
        known = [info.name for info in dataset_names()]
        if found.dataset not in known:
            raise ConfigError(
                f"{where}: dataset = {found.dataset!r} is none of {', '.join(known)}.", remedy=remedy
            )
        return found

    def parameters(self, *, run_id: str, reason: str) -> dict[str, Any]:
        """The training pipeline's parameters.

        Raises:
            ConfigError: the configuration is longer than a command line may be.
        """
        config = json.dumps(self.training.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
        if len(config.encode()) > MAX_PARAMETER_BYTES:
            raise ConfigError(
                f"training: {len(config.encode()):,} bytes are more than a step can be given.",
                remedy=f"Keep it below {MAX_PARAMETER_BYTES:,} bytes.",
            )
        return {
            **self.data_parameters(),
            "config": config,
            "tuning_space": self.tuning.space,
            "tuning_seconds": self.tuning.seconds,
            "tuning_trials": self.tuning.trials,
            "run_id": run_id,
            "reason": reason,
        }

    def data_parameters(self) -> dict[str, str]:
        """The parameters that say which data."""
        return {"dataset": self.dataset, "source": self.source, "fingerprint": fingerprint(self.source)}


def fingerprint(source: str) -> str:
    """Changes where a file or a folder's files changed, by name, size and time; empty for other sources."""
    place = Path(source) if source else None
    if place is None or not place.exists():
        return ""
    files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    seen = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]
