"""The configuration of a run, read or shown; apart from what trains, which takes longer to import."""

from pathlib import Path

import yaml

from marquee.cli.render import OUT, print_json
from marquee.config import TrainingConfig


def show_configuration(path: Path | None, *, seed: int | None, as_json: bool) -> None:
    """Print the complete configuration that a run would use."""
    values = load_config(path, seed).model_dump(mode="json")
    if as_json:
        print_json(values)
    else:
        OUT.print(yaml.safe_dump(values, sort_keys=False), end="", markup=False)


def load_config(path: Path | None, seed: int | None = None) -> TrainingConfig:
    """The configuration of a file, or the default one, with another seed where one is given."""
    config = TrainingConfig.from_file(path) if path else TrainingConfig()
    return (
        config
        if seed is None
        else TrainingConfig.from_values({**config.model_dump(), "seed": seed}, where="--seed")
    )
