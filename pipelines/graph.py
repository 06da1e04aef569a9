"""A compiled pipeline's graph as a Mermaid flowchart, read from its YAML: the picture in a README."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from pipelines.compile import compile_pipeline

_INDENT: Final = "    "
_CONDITIONS: Final = {"passed": "if the gate passed", "retrain": "if drift asks for a training"}
"""Titles of the graphs' branches."""


def mermaid(name: str) -> str:
    """The flowchart of one pipeline of `PIPELINES`."""
    with tempfile.TemporaryDirectory() as place:
        path = compile_pipeline(name, Path(place) / "pipeline.yaml")
        spec = next(iter(yaml.safe_load_all(path.read_text(encoding="utf-8"))))
    lines = ["flowchart TD", *_dag(spec, spec["root"]["dag"], depth=1)]
    return "\n".join(lines)


def _dag(spec: Mapping[str, Any], dag: Mapping[str, Any], *, depth: int) -> Iterator[str]:
    """Nodes and arrows of a graph; a nested one is a box of its own."""
    pad = _INDENT * depth
    for name, task in sorted(dag["tasks"].items()):
        component = spec["components"][task["componentRef"]["name"]]
        if "dag" not in component:
            yield f"{pad}{name}[{name}]"
        else:
            yield f'{pad}subgraph {name}["{_title(name, task)}"]'
            yield from _dag(spec, component["dag"], depth=depth + 1)
            yield f"{pad}end"
    for name, task in sorted(dag["tasks"].items()):
        for before in sorted(_before(task, dag["tasks"])):
            arrow = (
                "-. always .->" if "triggerPolicy" in task and "strategy" in task["triggerPolicy"] else "-->"
            )
            yield f"{pad}{before} {arrow} {name}"


def _before(task: Mapping[str, Any], tasks: Mapping[str, Any]) -> set[str]:
    """The tasks of the same graph that one waits for, without those that another of them waits for."""
    direct = _awaited(task, tasks)
    return direct - {old for each in direct for old in _ancestors(each, tasks)}


def _ancestors(name: str, tasks: Mapping[str, Any]) -> set[str]:
    direct = _awaited(tasks[name], tasks)
    return direct.union(*(_ancestors(each, tasks) for each in direct))


def _awaited(task: Mapping[str, Any], tasks: Mapping[str, Any]) -> set[str]:
    return {each for each in task.get("dependentTasks", []) if each in tasks}


def _title(name: str, task: Mapping[str, Any]) -> str:
    if "condition" in task.get("triggerPolicy", {}):
        return _CONDITIONS[task["taskInfo"]["name"]]
    return "with an exit handler" if name.startswith("exit-handler") else name
