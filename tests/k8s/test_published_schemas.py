"""Our models of others' custom resources against the operators' own schemas, which npm has."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8s.checks.custom import custom_findings, is_custom
from k8s.checks.finding import name_of
from k8s.checks.rendering import ROOT, places
from tests.k8s.mutations import other_types

PACKAGES = ("gateway-api@2.0.0", "prometheus-operator@6.0.0", "external-secrets@2.0.0")
SCRIPT = Path(__file__).with_name("published.mjs")

pytestmark = pytest.mark.services


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[dict[str, Any]]], list[str]]:
    """What the published schemas say of objects."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("neither npm nor node is here")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    wanted = [f"@kubernetes-models/{package}" for package in PACKAGES]
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    subprocess.run([npm, "install", *options, *wanted], cwd=folder, check=True, capture_output=True)
    shutil.copy(SCRIPT, folder)

    def judge(objects: list[dict[str, Any]]) -> list[str]:
        command = [node, str(folder / SCRIPT.name)]
        done = subprocess.run(
            command, input=json.dumps(objects), capture_output=True, text=True, check=True, cwd=folder
        )
        said: list[str] = json.loads(done.stdout)
        return said

    return judge


@pytest.fixture(scope="session")
def customs(rendered) -> list[dict[str, Any]]:
    """One of each custom resource that any place has."""
    found = [one for folder in places() for one in rendered(str(folder.relative_to(ROOT))) if is_custom(one)]
    return list({name_of(one): one for one in found}.values())


def test_custom_resources_are_what_their_operators_take(published, customs):
    said = dict(zip(map(name_of, customs), published(customs), strict=True))

    assert {name: problem for name, problem in said.items() if problem} == {}
    assert {name.partition("/")[0] for name in said} == {
        "ExternalSecret", "HTTPRoute", "PodMonitor", "PrometheusRule",
    }  # fmt: skip


def test_what_the_operators_refuse_our_models_refuse_too(published, customs):
    small = [one for one in customs if one["kind"] != "PrometheusRule"]
    mutated = [
        mutation.mutated
        for mutation in other_types(small)
        if all(isinstance(mutation.mutated[key], str) for key in ("apiVersion", "kind"))
    ]

    refused = [one for one, problem in zip(mutated, published(mutated), strict=True) if problem]

    assert [name_of(one) for one in refused if not list(custom_findings(one))] == []
    assert len(refused) > len(mutated) / 2
