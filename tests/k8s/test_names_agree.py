"""Roles, repositories and accounts have one name each: in places, policies, workflows, scripts, the guide."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import yaml

from k8s.checks.core_schema import core_findings
from k8s.checks.finding import at, name_of
from k8s.checks.rendering import ROOT as K8S
from marquee.adapters.aws_policies import Place, policies

ROOT = K8S.parent
MADE = policies(
    Place.of(
        account="444455556666", region="eu-central-1", bucket="films", prefix="marquee", github="me/marquee",
        oidc="oidc.example.org/id/A", namespace="marquee", cluster="marquee", kubeflow="kubeflow",
        project="marquee", repository="marquee",
    )
)  # fmt: skip
ROLES = {name.removesuffix("-policy.json") for name in MADE if name.endswith("-policy.json")}
REPOSITORIES = {"marquee/monitoring", "marquee/pipeline", "marquee/serving"}
PLACES = ("staging", "production")
ROLE_ARN = "eks.amazonaws.com/role-arn"
PREDICTOR = "app.kubernetes.io/component!=predictor"


def text_of(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def loops(text: str, variable: str) -> list[set[str]]:
    """What each `for VARIABLE in …` of a shell text goes over."""
    return [set(words.split()) for words in re.findall(rf"for {variable} in ([\w ]+); do", text)]


def roles_of_accounts(objects: Iterable[Any]) -> dict[str, str]:
    """The role of each ServiceAccount that has one."""
    return {
        f"{at(one, 'metadata', 'namespace')}:{at(one, 'metadata', 'name')}": arn
        for one in objects
        if one["kind"] == "ServiceAccount"
        and (arn := at(one, "metadata", "annotations", ROLE_ARN)) is not None
    }


def trusted() -> Iterator[tuple[str, str]]:
    """Who may take which role, of the cluster's accounts."""
    for role in sorted(ROLES):
        for statement in MADE[f"{role}-trust.json"]["Statement"]:
            for key, subjects in statement["Condition"]["StringEquals"].items():
                if key.endswith(":sub"):
                    for subject in [subjects] if isinstance(subjects, str) else subjects:
                        yield subject.removeprefix("system:serviceaccount:"), role


def kubeflow() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text_of("pipelines", "kubeflow.yaml")))


@pytest.mark.parametrize("place", PLACES)
def test_accounts_with_a_role_are_those_that_its_trust_names(rendered, place: str):
    given = {
        account: arn.rpartition("/")[2].removeprefix("marquee-")
        for account, arn in roles_of_accounts(rendered(f"overlays/{place}")).items()
    }
    of_kubeflow = re.findall(
        r"kubectl -n (\w+) annotate --overwrite serviceaccount ([\w-]+) \\\n"
        rf' +"{re.escape(ROLE_ARN)}=arn:aws:iam::\$ACCOUNT:role/marquee-(\w+)"',
        text_of("docs", "deploy.md"),
    )

    assert len(of_kubeflow) == 1
    given |= {f"{namespace}:{account}": role for namespace, account, role in of_kubeflow}
    assert given == dict(trusted())


def test_accounts_of_kubeflow_are_the_ones_that_workflows_and_guide_name():
    accounts = {one["metadata"]["name"] for one in kubeflow() if one["kind"] == "ServiceAccount"}
    named = re.findall(
        r"MARQUEE_SERVICE_ACCOUNT[:=] ?([\w-]+)",
        text_of("docs", "deploy.md") + text_of(".github", "workflows", "drift.yaml"),
    )

    assert len(named) == 2
    assert set(named) == accounts


def test_groups_of_kubeflow_are_the_ones_of_the_access_entry():
    groups = {
        subject["name"]
        for one in kubeflow()
        if one["kind"] == "RoleBinding"
        for subject in one["subjects"]
        if subject["kind"] == "Group"
    }

    assert set(re.findall(r"--kubernetes-groups ([\w-]+)", text_of("docs", "deploy.md"))) == groups


@pytest.mark.parametrize("one", kubeflow(), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_objects_of_kubeflow_are_valid_and_in_its_namespace(one: dict[str, Any]):
    assert [str(each) for each in core_findings(one)] == []
    assert one["metadata"]["namespace"] == "kubeflow", name_of(one)
    assert "*" not in json.dumps(one)


def test_guide_makes_and_undoes_every_role():
    guide = text_of("docs", "deploy.md")

    assert loops(guide, "role") == [ROLES, ROLES]
    assert loops(text_of("k8s", "aws", "README.md"), "role") == [ROLES]
    assert set(re.findall(r"^\| `(\w+)` \|", text_of("k8s", "aws", "README.md"), re.MULTILINE)) == ROLES


def test_workflows_take_roles_that_are_made():
    by_guide = dict(
        re.findall(
            r'gh variable set (AWS_\w+_ROLE) --body "arn:aws:iam::\$ACCOUNT:role/marquee-(\w+)"',
            text_of("docs", "deploy.md"),
        )
    )
    workflows = "".join(path.read_text(encoding="utf-8") for path in (ROOT / ".github").rglob("*.yaml"))

    assert set(re.findall(r"role-to-assume: \$\{\{ vars\.(\w+) \}\}", workflows)) == set(by_guide)
    assert set(by_guide.values()) == ROLES - {role for _, role in trusted()}


def test_repositories_are_the_same_where_they_are_made_filled_pulled_and_allowed():
    guide, push = text_of("docs", "deploy.md"), text_of(".ci", "push_images.sh")
    (pushing,) = (one for one in MADE["ci-policy.json"]["Statement"] if "ecr:PutImage" in one["Action"])
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", text_of("Dockerfile"), re.MULTILINE))
    (prefix,) = re.findall(r'gh variable set ECR --body "\S+\.amazonaws\.com/(\w+)"', guide)

    found = [{f"{prefix}/{name}" for name in names} for names in loops(guide, "name") + loops(push, "name")]
    assert found == [REPOSITORIES] * 3
    assert {arn.partition("repository/")[2] for arn in pushing["Resource"]} == REPOSITORIES
    assert {name.partition("/")[2] for name in REPOSITORIES} <= stages


@pytest.mark.parametrize("place", PLACES)
def test_images_of_a_place_are_those_repositories_under_the_names_that_the_release_writes(place: str):
    images = yaml.safe_load(text_of("k8s", "overlays", place, "kustomization.yaml"))["images"]
    written = re.findall(r'(marquee-\w+)="\$(\w+)"', text_of(".github", "workflows", "release.yaml"))

    assert {each["newName"].partition("/")[2] for each in images} == REPOSITORIES
    assert {each["name"]: each["newName"].rpartition("/")[2] for each in images} == {
        name: variable.lower() for name, variable in written
    }


def test_account_of_a_place_is_one_in_roles_and_images(rendered):
    for place in PLACES:
        images = yaml.safe_load(text_of("k8s", "overlays", place, "kustomization.yaml"))["images"]
        of_roles = {arn.split(":")[4] for arn in roles_of_accounts(rendered(f"overlays/{place}")).values()}

        assert {each["newName"].partition(".")[0] for each in images} == of_roles
        assert len(of_roles) == 1


APPLYING = ("docs/deploy.md", "k8s/README.md", ".ci/e2e.sh")


@pytest.mark.parametrize("file", APPLYING)
def test_whoever_applies_a_place_leaves_the_predictor_to_marquee_deploy(file: str):
    text = re.sub(r"\\\n\s*", "", text_of(file))
    applied = re.findall(r"^.*kubectl .*apply (.*-k .*)$", text, re.MULTILINE)

    assert applied
    assert all("--server-side" in each and f"--selector '{PREDICTOR}'" in each for each in applied), applied


def test_nobody_else_applies_a_place():
    files = {
        str(path.relative_to(ROOT))
        for folder in (".ci", ".github", "docs", "k8s")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in {".md", ".sh", ".yaml"}
        if re.search(r"apply [^\n]*-k ", path.read_text(encoding="utf-8"))
    }

    assert files == set(APPLYING)


def test_release_tells_who_merges_to_apply_by_the_same_two_steps():
    (body,) = re.findall(r'--body "(.*?)"\n', text_of(".github", "workflows", "release.yaml"), re.DOTALL)

    assert f"--server-side with --selector '{PREDICTOR}'" in body
    assert "marquee deploy apply" in body


def test_selector_leaves_out_the_predictors_and_nothing_else(rendered):
    key, _, value = PREDICTOR.partition("!=")
    for place in ("overlays/local", "overlays/staging", "overlays/production", "tests/ab"):
        left_out = {one["kind"] for one in rendered(place) if at(one, "metadata", "labels", key) == value}
        kept = {one["kind"] for one in rendered(place) if at(one, "metadata", "labels", key) != value}

        assert left_out == {"InferenceService"}, place
        assert "InferenceService" not in kept, place
        assert {"ConfigMap", "NetworkPolicy", "ServiceAccount"} <= kept
