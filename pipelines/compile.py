"""Graphs to YAML, the same bytes each time."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from kfp import compiler

from marquee.errors import ConfigError
from pipelines import batch, materialization, monitoring, training

PIPELINES: Final[Mapping[str, Callable[..., Any]]] = {
    "training": training.training_pipeline,
    "batch": batch.batch_pipeline,
    "materialization": materialization.materialization_pipeline,
    "monitoring": monitoring.monitoring_pipeline,
}
"""Makers of the graphs by name; each takes `retries`."""


def require_pipeline(name: str) -> None:
    """Look whether there is such a pipeline.

    Raises:
        ConfigError: there is not.
    """
    if name not in PIPELINES:
        known = ", ".join(PIPELINES)
        raise ConfigError(f"pipeline = {name!r} is none of {known}.", remedy="Name one of these.")


def compile_pipeline(name: str, path: Path, *, retries: int | None = None) -> Path:
    """Write one pipeline's YAML and return its path.

    Raises:
        ConfigError: there is no pipeline of this name.
    """
    require_pipeline(name)
    made = PIPELINES[name]() if retries is None else PIPELINES[name](retries=retries)
    path.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(made, str(path))
    return path
