"""The pipelines as CI uploads them."""

import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components._image import IMAGE
from pipelines.compile import PIPELINES, compile_pipeline

NAMES = sorted(PIPELINES)


@cache
def documents(name: str, *, retries: int | None = None) -> list[Any]:
    """The YAML documents of a compiled pipeline: its graph, and what is of Kubernetes."""
    with tempfile.TemporaryDirectory() as place:
        path = compile_pipeline(name, Path(place) / "pipeline.yaml", retries=retries)
        return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def spec(name: str) -> dict[str, Any]:
    """The graph."""
    return documents(name)[0]


def golden(name: str) -> str:
    """All documents without what differs between releases of kfp and images."""
    plain = [{key: value for key, value in each.items() if key != "sdkVersion"} for each in documents(name)]
    text = yaml.safe_dump_all(plain, sort_keys=True, width=100, allow_unicode=True)
    return text.replace(IMAGE, "IMAGE")


def dags(graph: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The graph's own tasks and those of every box in it."""
    yield graph["root"]["dag"]
    yield from (each["dag"] for each in graph["components"].values() if "dag" in each)


def tasks(graph: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every task of every graph, boxes among them, by name."""
    return {name: task for dag in dags(graph) for name, task in dag["tasks"].items()}


def steps(graph: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`tasks` that execute something: no boxes."""
    named = graph["components"]
    return {
        name: task for name, task in tasks(graph).items() if "dag" not in named[task["componentRef"]["name"]]
    }


def executors(graph: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Containers by the name of the component that they execute."""
    found = graph["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): each["container"] for name, each in found.items()}


def wants_update() -> bool:
    """Whether the golden files are to be written anew."""
    return os.environ.get("UPDATE_GOLDEN") == "1"
