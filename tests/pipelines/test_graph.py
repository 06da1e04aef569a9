import re
from functools import cache

import pytest

from pipelines import graph
from tests.pipelines.compiled import NAMES, spec, steps, tasks


@cache
def mermaid(name: str) -> str:
    """The picture, drawn once: compiling takes a second."""
    return graph.mermaid(name)


@pytest.mark.parametrize("name", NAMES)
def test_graph_has_a_node_for_each_step_once_and_a_box_for_each_nested_graph(name: str):
    lines = mermaid(name).splitlines()
    boxes = set(tasks(spec(name))) - set(steps(spec(name)))

    nodes = [found[1] for line in lines if (found := re.fullmatch(r" *([\w-]+)\[\1\]", line))]
    subgraphs = [found[1] for line in lines if (found := re.match(r" *subgraph ([\w-]+)\[", line))]

    assert lines[0] == "flowchart TD"
    assert sorted(nodes) == sorted(steps(spec(name)))
    assert sorted(subgraphs) == sorted(boxes)
    assert sum(line.strip() == "end" for line in lines) == len(boxes)


@pytest.mark.parametrize("name", NAMES)
def test_graph_s_arrows_lead_between_what_it_shows(name: str):
    ends = re.findall(r"^ *([\w-]+) (?:-->|-\. always \.->) ([\w-]+)$", mermaid(name), re.MULTILINE)

    assert ends
    assert {end for pair in ends for end in pair} <= set(tasks(spec(name)))
    assert len(ends) == len(set(ends))


def test_graph_of_training_shows_the_order_the_gate_and_the_exit_handler():
    lines = [line.strip() for line in mermaid("training").splitlines()]

    assert "validate-data --> build-features" in lines
    assert "evaluate-model --> gate-model" in lines
    assert "register-model --> materialize-features" in lines
    assert "materialize-features --> roll-out-model" in lines
    assert "exit-handler-1 -. always .-> notify" in lines
    assert any('"if the gate passed"' in line for line in lines)


def test_graph_leaves_out_arrows_that_others_imply():
    lines = [line.strip() for line in mermaid("training").splitlines()]

    assert "ingest-interactions --> build-features" not in lines
    assert "register-model --> roll-out-model" not in lines


def test_graph_is_the_same_each_time():
    assert graph.mermaid("materialization") == mermaid("materialization")
