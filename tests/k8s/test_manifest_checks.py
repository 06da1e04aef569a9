"""The checks themselves: what they read, where they agree with published tools, and without kustomize."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from k8s.checks import rendering
from k8s.checks.__main__ import as_they_stand, main
from k8s.checks.core_schema import VERSION, core_findings, is_core
from k8s.checks.documents import read_documents, whole_objects
from k8s.checks.finding import at, dotted, leaves
from k8s.checks.judge import object_findings
from k8s.checks.kserve_schema import kserve_findings
from k8s.checks.rendering import ROOT
from k8s.checks.values import FORMS, quantity
from marquee.errors import ConfigError


def graph(**changes: Any) -> dict[str, Any]:
    root: dict[str, Any] = {
        "routerType": "Splitter",
        "steps": [{"serviceName": "a", "weight": 30}, {"serviceName": "b", "weight": 70}],
    }
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "InferenceGraph",
        "metadata": {"name": "marquee"},
        "spec": {"nodes": {"root": {**root, **changes}}},
    }


def said(manifest: dict[str, Any]) -> str:
    return "\n".join(map(str, object_findings(manifest)))


def test_documents_with_a_key_twice_are_refused_with_its_line():
    with pytest.raises(ConfigError, match=r"'name' stands here twice[\s\S]*line 3"):
        read_documents("metadata:\n  name: a\n  name: b\n", where="x.yaml")


def test_documents_with_merge_keys_are_read_and_empty_ones_left_out():
    found = read_documents("a: &a {x: 1}\nb: {<<: *a, y: 2}\n---\n---\n", where="x.yaml")

    assert found == [{"a": {"x": 1}, "b": {"x": 1, "y": 2}}]


@pytest.mark.parametrize("text", ["- 1\n", "a: [\n", "just words\n"])
def test_documents_that_are_no_objects_are_refused(text: str):
    with pytest.raises(ConfigError, match=r"x\.yaml"):
        read_documents(text, where="x.yaml")


def test_whole_objects_leave_out_patches_and_kustomizations():
    names = {file.name for file, _ in whole_objects(ROOT)}

    assert {"inference-service.yaml", "cron-job.yaml", "http-route.yaml"} <= names
    assert not {"kustomization.yaml", "canary.yaml", "roles.yaml", "small.yaml", "place.env"} & names


@pytest.mark.parametrize(
    ("text", "amount"),
    [("250m", "0.25"), ("1", "1"), ("2Gi", str(2 * 2**30)), ("1.5k", "1500"), ("1M", "1000000"), (4, "4")],
)
def test_quantity_is_its_amount(text: object, amount: str):
    assert quantity(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "-1", "2gi", "2 Gi", "1e", "Gi", "2GiB", None, True])
def test_quantity_that_kubernetes_does_not_know_is_none(text: object):
    assert quantity(text) is None


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("containerPort", 65_535, 65_536),
        ("port", "http1", "no_name"),
        ("maxUnavailable", "25%", "101%"),
        ("schedule", "*/15 * * * *", "*/15 * * * * *"),
        ("schedule", "30 4 * * 1-5", "61 4 * * *"),
        ("timeZone", "Etc/UTC", "UTC+1"),
        ("cidr", "10.0.0.0/8", "10.0.0.1/8"),
        ("trafficPercent", 100, 101),
        ("periodSeconds", 1, 0),
        ("mountPath", "/data", "data"),
        ("subPath", "data", "../data"),
        ("storage", "20Gi", "20GiB"),
    ],
)
def test_value_in_and_out_of_its_range(field: str, good: object, bad: object):
    assert FORMS[field](good)
    assert not FORMS[field](bad)


def test_core_schema_agrees_with_the_package_that_ships_it(rendered):
    core = [one for one in rendered("overlays/production") if is_core(one)]
    for one in core:
        kubernetes_validate.validate(one, VERSION, strict=True)
        assert list(core_findings(one)) == []
        wrong = {**one, "spek": {}}
        with pytest.raises(kubernetes_validate.ValidationError, match="spek"):
            kubernetes_validate.validate(wrong, VERSION, strict=True)
        assert "spek" in "".join(map(str, core_findings(wrong)))
    assert len(core) >= 15


def test_kserve_schema_names_the_path_and_the_nearest_field():
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "m"},
        "spec": {
            "predictor": {
                "minReplica": 1,
                "containers": [{"name": "kserve-container", "ports": [{"containerPort": "8080"}]}],
            }
        },
    }

    found = [str(one) for one in kserve_findings(service)]

    assert found == [
        "InferenceService/m: spec.predictor.minReplica: unknown field; did you mean minReplicas?",
        "InferenceService/m: spec.predictor.containers[0].ports[0].containerPort: '8080' is no int",
    ]


def test_graph_that_fits_has_no_finding():
    assert said(graph()) == ""


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"steps": [{"serviceName": "a", "weight": 30}]}, "100 together"),
        ({"routerType": "Switch"}, '"@this"'),
        ({"routerType": "Router"}, "no router"),
        ({"routerType": "Sequence", "steps": [{"serviceName": "a", "nodeName": "b"}]}, "one target"),
    ],
)
def test_graph_that_the_webhook_refuses_is_found(changes: dict[str, Any], problem: str):
    assert problem in said(graph(**changes))


def test_object_of_an_unknown_kind_is_a_finding():
    made = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"}}

    assert "no schema for keda.sh/v1alpha1 ScaledObject" in said(made)


def test_leaves_and_paths_are_those_of_the_object():
    tree = {"a": [{"b": 1}]}

    assert [dotted(path) for path, _ in leaves(tree)] == ["", "a", "a[0]", "a[0].b"]
    assert at(tree, "a", 0, "b") == 1
    assert at(tree, "a", 1, "b") is None


def test_render_of_a_broken_folder_says_which_and_why(tmp_path: Path, rendered):
    (tmp_path / "kustomization.yaml").write_text("resources: [missing.yaml]\n")

    with pytest.raises(rendering.RenderError, match=rf"{tmp_path.name} does not render[\s\S]*missing\.yaml"):
        rendering.render(tmp_path)


@pytest.fixture
def no_kustomize(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(rendering, "_BUILT", tmp_path / "none")


@pytest.mark.usefixtures("no_kustomize")
def test_checks_without_kustomize_judge_what_stands_there_and_say_what_they_skip(tmp_path: Path, capsys):
    code = main(["--out", str(tmp_path / "out")])

    said = capsys.readouterr()
    assert code == 0
    assert "Nothing was rendered" in said.err
    assert said.out.startswith("manifests: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_kustomize")
def test_render_without_kustomize_is_an_error_with_a_remedy(tmp_path: Path, capsys):
    code = main(["--render-only", "--out", str(tmp_path / "out")])

    assert code != 0
    assert "remedy: Install one" in capsys.readouterr().err


def test_checks_say_what_is_wrong_with_an_object_as_it_stands(tmp_path: Path):
    account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: open}\n"
    (tmp_path / "account.yaml").write_text(account)

    found = [(file.name, str(one)) for file, one in as_they_stand(tmp_path)]

    assert found == [
        (
            "account.yaml",
            "ServiceAccount/open: automountServiceAccountToken: is not false: every pod would get a token",
        )
    ]
