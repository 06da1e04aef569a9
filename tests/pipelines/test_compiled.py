"""What the compiled pipelines promise whoever runs them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from components._image import IMAGE
from tests.pipelines.compiled import (
    NAMES,
    dags,
    documents,
    executors,
    golden,
    spec,
    steps,
    tasks,
    wants_update,
)

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]

UNCACHED = {
    "training": {"evaluate-model", "register-model", "materialize-features", "roll-out-model", "notify"},
    "batch": {"ingest-interactions", "score-lists", "notify"},
    "materialization": {"ingest-interactions", "materialize-features", "notify"},
    "monitoring": {"ingest-interactions", "detect-drift", "trigger-training", "notify"},
}
"""Steps that look at what may change while their inputs don't, or that change it."""

over_all = pytest.mark.parametrize("name", NAMES)


@over_all
def test_compiled_pipeline_is_as_it_was(name: str):
    path = GOLDEN / f"{name}.yaml"
    now = golden(name)

    if wants_update():
        path.parent.mkdir(exist_ok=True)
        path.write_text(now, encoding="utf-8")

    assert now == path.read_text(encoding="utf-8"), "UPDATE_GOLDEN=1 pytest … writes it anew"


@over_all
def test_compiled_pipeline_parses_as_a_pipeline_spec(name: str):
    parsed = json_format.ParseDict(spec(name), pipeline_spec_pb2.PipelineSpec())

    assert parsed.pipeline_info.name == f"marquee-{name}"
    assert set(parsed.root.dag.tasks) == set(spec(name)["root"]["dag"]["tasks"])


@over_all
def test_compiled_pipeline_has_a_platform_document_that_names_known_executors_only(name: str):
    graph, platform = documents(name)

    named = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    assert set(named) == set(graph["deploymentSpec"]["executors"])


def test_compiled_pipelines_are_the_same_bytes_whatever_the_hash_seed(tmp_path: Path):
    written = []
    for seed in ("1", "2"):
        place = tmp_path / seed
        subprocess.run(
            [sys.executable, "-m", "pipelines", "compile", "--out", str(place)],
            env={**os.environ, "PYTHONHASHSEED": seed}, cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
        written.append({path.name: path.read_bytes() for path in place.iterdir()})

    assert sorted(written[0]) == [f"{name}.yaml" for name in NAMES]
    assert written[0] == written[1]


@over_all
def test_every_executor_has_the_one_image(name: str):
    assert {each["image"] for each in executors(spec(name)).values()} == {IMAGE}


@over_all
def test_no_step_installs_anything(name: str):
    for step, container in executors(spec(name)).items():
        command = " ".join([*container["command"], *container.get("args", [])])
        assert "pip install" not in command, step
        assert "apt-get" not in command, step


@over_all
def test_every_executor_has_requests_below_limits(name: str):
    for step, container in executors(spec(name)).items():
        resources = container["resources"]
        cpu, cpu_limit = (_cpus(resources[key]) for key in ("resourceCpuRequest", "resourceCpuLimit"))
        memory, limit = (_bytes(resources[key]) for key in ("resourceMemoryRequest", "resourceMemoryLimit"))
        assert 0 < cpu <= cpu_limit, step
        assert 0 < memory <= limit, step


def _cpus(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def _bytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([MG]i)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"Mi": 2**20, "Gi": 2**30}[unit]


@over_all
def test_every_executor_has_a_deadline_and_the_settings_of_the_place(name: str):
    named = documents(name)[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    for step, given in named.items():
        assert int(given["activeDeadlineSeconds"]) >= 600, step
        (secret,) = given["secretAsEnv"]
        variables = {pair["envVar"] for pair in secret["keyToEnv"]}
        assert {"MARQUEE_MODELS", "MARQUEE_NOTIFY_URL", "MLFLOW_TRACKING_URI"} <= variables, step
        assert secret["optional"], step


@over_all
def test_caching_is_on_but_for_steps_that_see_or_change_the_world(name: str):
    uncached = {
        key
        for key, task in steps(spec(name)).items()
        if not task.get("cachingOptions", {}).get("enableCache")
    }

    assert uncached == UNCACHED[name]


@over_all
def test_steps_are_tried_again_on_a_cluster_but_the_notification(name: str):
    plain = steps(spec(name))

    retried = {key: task.get("retryPolicy", {}).get("maxRetryCount", 0) for key, task in plain.items()}

    assert retried == {key: 0 if key == "notify" else 2 for key in plain}


@over_all
def test_local_pipeline_differs_by_its_retries_only(name: str):
    cluster, local = json.loads(json.dumps(documents(name))), documents(name, retries=0)

    for dag in dags(cluster[0]):
        for task in dag["tasks"].values():
            task.pop("retryPolicy", None)

    assert cluster == local


@over_all
def test_no_condition_reads_a_named_output(name: str):
    """kfp's local runner takes such a condition for False without a word: kubeflow/pipelines#13313."""
    for dag in dags(spec(name)):
        for step, task in dag["tasks"].items():
            condition = task.get("triggerPolicy", {}).get("condition", "")
            for channel in re.findall(r"pipelinechannel--([\w-]+)", condition):
                producers = [key for key in dag["tasks"] if channel.startswith(f"{key}-")]
                assert not producers or channel.endswith("-Output"), (step, channel)


def test_gate_is_one_plain_bool_on_which_what_registers_depends():
    graph = spec("training")
    output = graph["components"]["comp-gate-model"]["outputDefinitions"]["parameters"]["Output"]
    (box,) = [task for task in tasks(graph).values() if "condition" in task.get("triggerPolicy", {})]
    inside = graph["components"][box["componentRef"]["name"]]["dag"]["tasks"]

    condition = box["triggerPolicy"]["condition"]

    assert output["parameterType"] == "BOOLEAN"
    assert condition == "inputs.parameter_values['pipelinechannel--gate-model-Output'] == true"
    assert set(inside) == {"register-model", "materialize-features", "roll-out-model"}


@over_all
def test_notification_runs_whatever_happened_and_last(name: str):
    outer = spec(name)["root"]["dag"]["tasks"]

    assert set(outer) == {"exit-handler-1", "notify"}
    assert outer["notify"]["dependentTasks"] == ["exit-handler-1"]
    assert outer["notify"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert outer["notify"]["inputs"]["parameters"]["status"]["taskFinalStatus"] == {
        "producerTask": "exit-handler-1"
    }


@over_all
def test_every_component_and_each_of_its_inputs_is_described(name: str):
    for component, each in spec(name)["components"].items():
        if "executorLabel" not in each:
            continue
        inputs = each.get("inputDefinitions", {})
        for kind in ("parameters", "artifacts"):
            for key, given in inputs.get(kind, {}).items():
                if given.get("parameterType") == "TASK_FINAL_STATUS":
                    continue  # Kubeflow fills it in
                assert given.get("description"), (component, key)


@over_all
def test_every_parameter_of_a_pipeline_is_described_and_has_a_default(name: str):
    for key, given in spec(name)["root"]["inputDefinitions"]["parameters"].items():
        assert given.get("description"), key
        assert "defaultValue" in given, key


@over_all
def test_no_two_steps_are_of_one_component(name: str):
    """kfp would call the second `…-2`, and nobody would know which is meant."""
    for step, task in steps(spec(name)).items():
        assert not re.search(r"-[2-9]$", step), step
        assert task["componentRef"]["name"] == f"comp-{step}"
