"""The policies of k8s/aws: what they are made of, and what they let a role do in moto's AWS."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from marquee.adapters.aws_policies import TEMPLATES, Place, policies, write_policies
from marquee.errors import ConfigError

NAMES = {
    "account": "123456789012",
    "region": "eu-central-1",
    "bucket": "films-of-ours",
    "prefix": "marquee",
    "github": "somebody/marquee",
    "oidc": "oidc.eks.eu-central-1.amazonaws.com/id/ABC123",
    "namespace": "marquee",
    "cluster": "films",
    "kubeflow": "kubeflow",
    "project": "marquee",
    "repository": "marquee",
}
PLACE = Place.of(**NAMES)
MADE = policies(PLACE)
ROLES = {"ci", "deployer", "pipeline", "release", "serving"}
WITHOUT_RESOURCE = {"ecr:GetAuthorizationToken"}
"""Actions that AWS gives for all resources or not at all."""


BUCKET = NAMES["bucket"]
ACCOUNT = r"system:serviceaccount:(marquee:marquee-[a-z]+|kubeflow:marquee-pipeline)"
BUNDLE_FILE = "marquee/models/bundles/ml-100k/1/bundle/0/manifest.json"


def statements() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, policy in MADE.items():
        for statement in policy["Statement"]:
            yield name, statement


def test_each_role_has_a_policy_and_who_may_take_it():
    assert set(MADE) == {f"{role}-{kind}.json" for role in ROLES for kind in ("policy", "trust")}


def test_no_action_and_no_resource_is_a_wildcard_but_where_aws_demands_it():
    for name, statement in statements():
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else actions
        assert statement["Effect"] == "Allow"
        assert not [action for action in actions if "*" in action], name
        if name.endswith("policy.json") and set(actions) != WITHOUT_RESOURCE:
            for resource in statement["Resource"]:
                service, rest = resource.split(":", 3)[2], resource.split(":", 5)[5]
                assert rest.split("*")[0].count("/") + rest.count(".") >= (service != "s3"), resource
                assert "*" not in rest[: len("films-of-ours")], resource


def test_listing_of_the_bucket_is_held_to_our_prefixes():
    listing = [statement for _, statement in statements() if statement["Action"] == ["s3:ListBucket"]]

    assert len(listing) == 3
    for statement in listing:
        asked = statement["Condition"]["StringLike"]["s3:prefix"]
        assert all(prefix.startswith("marquee/") and prefix.endswith("/*") for prefix in asked)


def test_nobody_may_delete_a_bundle():
    for name, statement in statements():
        if "s3:DeleteObject" in statement["Action"]:
            assert not any("/models/" in resource for resource in statement["Resource"]), name


def test_roles_are_for_one_repositorys_main_and_tags_and_for_single_service_accounts():
    for name, statement in statements():
        if not name.endswith("trust.json"):
            continue
        conditions = statement["Condition"]
        subjects = [
            subject
            for test in conditions.values()
            for key, value in test.items()
            if key.endswith(":sub")
            for subject in ([value] if isinstance(value, str) else value)
        ]
        audience = [value for key, value in conditions["StringEquals"].items() if key.endswith(":aud")]
        assert audience == ["sts.amazonaws.com"], name
        if name in {"ci-trust.json", "release-trust.json"}:
            assert subjects == [
                "repo:somebody/marquee:ref:refs/heads/main",
                "repo:somebody/marquee:ref:refs/tags/v*",
            ]
        else:
            assert subjects
            assert all(re.fullmatch(ACCOUNT, subject) for subject in subjects), name


def test_written_policies_are_json_and_hold_no_placeholder(tmp_path: Path):
    files = write_policies(PLACE, tmp_path / "out")

    assert sorted(file.name for file in files) == sorted(MADE)
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert json.loads(text) == MADE[file.name]
        assert "${" not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [("bucket", "*"), ("account", "*"), ("github", "somebody/*"), ("namespace", "*"), ("prefix", "a/*"),
     ("project", "*"), ("oidc", "https://host"), ("account", "1234"), ("repository", "*"),
     ("cluster", "*"), ("kubeflow", "*")],
)  # fmt: skip
def test_name_that_would_widen_a_policy_is_refused(name: str, value: str):
    with pytest.raises(ConfigError, match=f"--{name}"):
        Place.of(**{**NAMES, name: value})


@pytest.mark.parametrize("text", ["{", '{"a": "${unknown}"}'])
def test_template_that_is_torn_or_asks_for_more_is_refused(tmp_path: Path, text: str):
    (tmp_path / "ci-policy.json").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=r"ci-policy\.json can't be filled in"):
        policies(PLACE, tmp_path)
    with pytest.raises(ConfigError, match="holds no policy"):
        policies(PLACE, tmp_path / "empty")
    assert TEMPLATES.is_dir()


@pytest.fixture(scope="module")
def allowed():
    """Asks whether a role may do something with S3; all that is asked for is there."""
    moto = pytest.importorskip("moto", reason="moto is not installed")
    import boto3
    from botocore.exceptions import ClientError
    from moto.core import set_initial_no_auth_action_count

    enforced = set_initial_no_auth_action_count(0)
    with moto.mock_aws():
        s3, iam = (boto3.client(service, **key_of("root")) for service in ("s3", "iam"))
        where = {"LocationConstraint": "eu-central-1"}
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        for key in (BUNDLE_FILE, "marquee/features/f", "else/secret"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"{}")
        clients = {role: boto3.client("s3", **assumed(iam, role)) for role in sorted(ROLES)}

        def ask(role: str, action: str, key: str) -> bool:
            values = {"Prefix": key} if action == "list_objects_v2" else {"Key": key}
            values |= {"Body": b"{}"} if action == "put_object" else {}
            call = getattr(clients[role], action)
            try:
                enforced(lambda: call(Bucket=BUCKET, **values))()
            except ClientError as error:
                if error.response["Error"]["Code"] != "AccessDenied":
                    raise
                return False
            return True

        yield ask


@pytest.mark.filterwarnings("default")  # moto's own
@pytest.mark.parametrize(
    ("role", "action", "key", "may"),
    [
        ("serving", "get_object", BUNDLE_FILE, True),
        ("serving", "list_objects_v2", "marquee/models/bundles/", True),
        ("serving", "put_object", BUNDLE_FILE, False),
        ("serving", "delete_object", BUNDLE_FILE, False),
        ("serving", "get_object", "else/secret", False),
        ("pipeline", "put_object", BUNDLE_FILE, True),
        ("pipeline", "delete_object", "marquee/features/f", True),
        ("pipeline", "delete_object", BUNDLE_FILE, False),
        ("pipeline", "put_object", "else/x", False),
        ("deployer", "get_object", BUNDLE_FILE, True),
        ("deployer", "put_object", "marquee/models/canary/marquee/state.json", True),
        ("deployer", "put_object", BUNDLE_FILE, False),
        ("deployer", "delete_object", BUNDLE_FILE, False),
        ("ci", "get_object", BUNDLE_FILE, False),
        ("ci", "list_objects_v2", "marquee/", False),
        ("release", "get_object", BUNDLE_FILE, False),
    ],
)
def test_role_with_its_own_keys_in_s3(allowed, role: str, action: str, key: str, may: bool):
    assert allowed(role, action, key) is may


ARN = "arn:aws:dynamodb:eu-central-1:123456789012:table/"
ECR = "arn:aws:ecr:eu-central-1:123456789012:repository/"
EKS = "arn:aws:eks:eu-central-1:123456789012:cluster/"


@pytest.mark.parametrize(
    ("role", "action", "resource", "may"),
    [
        ("serving", "dynamodb:BatchGetItem", f"{ARN}marquee.user_activity", True),
        ("serving", "dynamodb:PutItem", f"{ARN}marquee.user_activity", False),
        ("serving", "dynamodb:GetItem", f"{ARN}other.table", False),
        ("pipeline", "dynamodb:PutItem", f"{ARN}marquee.user_activity", True),
        ("pipeline", "dynamodb:PutItem", f"{ARN}other.table", False),
        ("pipeline", "dynamodb:DeleteTable", f"{ARN}marquee.user_activity", False),
        ("deployer", "dynamodb:GetItem", f"{ARN}marquee.user_activity", False),
        ("ci", "ecr:GetAuthorizationToken", "*", True),
        ("ci", "ecr:PutImage", f"{ECR}marquee/serving", True),
        ("ci", "ecr:PutImage", f"{ECR}marquee/pipeline", True),
        ("ci", "ecr:PutImage", f"{ECR}marquee/monitoring", True),
        ("ci", "ecr:PutImage", f"{ECR}marquee/serving2", False),
        ("ci", "eks:DescribeCluster", f"{EKS}films", False),
        ("release", "eks:DescribeCluster", f"{EKS}films", True),
        ("release", "eks:DescribeCluster", f"{EKS}films2", False),
        ("release", "eks:UpdateClusterConfig", f"{EKS}films", False),
        ("release", "ecr:PutImage", f"{ECR}marquee/serving", False),
        ("ci", "ecr:DeleteRepository", f"{ECR}marquee/serving", False),
        ("serving", "ecr:PutImage", f"{ECR}marquee/serving", False),
        ("pipeline", "iam:PassRole", "arn:aws:iam::123456789012:role/any", False),
    ],
)
def test_role_by_motos_reading_of_its_policy(role: str, action: str, resource: str, may: bool):
    """For the services of which moto's server asks for all resources at once."""
    access = pytest.importorskip("moto.iam.access_control", reason="moto is not installed")
    policy = access.IAMPolicy(json.dumps(MADE[f"{role}-policy.json"]))

    found = policy.is_action_permitted(action, resource=resource)
    assert (found == access.PermissionResult.PERMITTED) is may


def key_of(name: str) -> dict[str, str]:
    return {
        "aws_access_key_id": name,
        "aws_secret_access_key": name,
        "region_name": "eu-central-1",
    }


def assumed(iam: Any, role: str) -> dict[str, str]:
    """The keys of a role that has its policy."""
    import boto3

    anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(
        RoleName=role, PolicyName=role, PolicyDocument=json.dumps(MADE[f"{role}-policy.json"])
    )
    keys = boto3.client("sts", **key_of("root")).assume_role(RoleArn=made, RoleSessionName="test")[
        "Credentials"
    ]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
        "region_name": "eu-central-1",
    }
