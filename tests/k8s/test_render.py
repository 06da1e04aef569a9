"""Every overlay and combination of traits renders, passes all checks, and runs what our programs know."""

import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml

from k8s.checks.finding import at, list_at, name_of
from k8s.checks.judge import findings
from k8s.checks.pods import pods_of
from k8s.checks.rendering import ROOT, places
from marquee.adapters.feast.profile import Profile
from marquee.adapters.kubernetes.arms import Arm
from marquee.adapters.kubernetes.wishes import applied, promoted, with_canary
from marquee.candidates.surge_board import BOARD
from marquee.cli import app
from marquee.settings import Settings

PLACES = [str(folder.relative_to(ROOT)) for folder in places()]
OVERLAYS = [place for place in PLACES if place.startswith("overlays/")]
COMPONENTS = sorted(file.parent.name for file in (ROOT / "components").glob("*/kustomization.yaml"))


def by_name(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name_of(one): one for one in objects}


def used_by(folder: Path) -> set[str]:
    """The components of a place, and of the places that it is made of."""
    content = yaml.safe_load((folder / "kustomization.yaml").read_text())
    own = {Path(one).name for one in content.get("components", []) if "components/" in one}
    below = (folder / one for one in content.get("resources", []) if (folder / one).is_dir())
    return own.union(*map(used_by, below)) if "resources" in content else own


@pytest.mark.parametrize("place", PLACES)
def test_place_renders_and_every_check_has_nothing_to_say(rendered, place: str):
    found = findings(rendered(place), is_final=place != "base", by_digest=place == "overlays/production")

    assert [str(one) for one in found] == []


def test_overlays_are_the_three_places():
    assert OVERLAYS == ["overlays/local", "overlays/production", "overlays/staging"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_component_is_rendered_by_some_combination_and_explained(component: str):
    assert any(component in used_by(ROOT / place) for place in PLACES)
    assert (ROOT / "components" / component / "README.md").is_file()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tests/autoscaling-canary", "tests/canary-autoscaling"),
        ("tests/redis-object-store", "tests/object-store-redis"),
        ("tests/monitoring-canary-loop", "tests/canary-loop-monitoring"),
        ("tests/tracing-canary", "tests/canary-tracing"),
    ],
)
def test_traits_in_another_order_make_the_same_objects(rendered, one: str, other: str):
    assert by_name(rendered(one)) == by_name(rendered(other))


@pytest.mark.parametrize("place", OVERLAYS)
def test_overlay_is_made_of_the_base_and_never_of_an_overlay(place: str):
    content = yaml.safe_load((ROOT / place / "kustomization.yaml").read_text())

    assert content["resources"] == ["../../base"]
    assert len((ROOT / place / "kustomization.yaml").read_text().splitlines()) <= 40


def test_containers_run_commands_that_marquee_has_with_options_that_it_takes(rendered):
    calls = {
        tuple(map(str, container["args"]))
        for place in PLACES
        for one in rendered(place)
        for pod in pods_of(one)
        for _, container in pod.containers()
        if container.get("command") == ["marquee"]
    }

    for words in calls:
        command: Any = typer.main.get_command(app.app)
        rest = list(words)
        while hasattr(command, "commands"):
            assert rest[0] in command.commands, f"marquee {shlex.join(words)}"
            command = command.commands[rest.pop(0)]
        with command.make_context(command.name, rest):  # an unknown option raises here
            pass
    assert {words[:2] for words in calls} >= {
        ("canary", "run"), ("data", "fetch"), ("features", "apply"), ("features", "build"),
        ("features", "export"), ("features", "materialize"), ("monitor", "drift"), ("monitor", "trending"),
    }  # fmt: skip


def test_server_takes_every_argument_of_its_container(rendered):
    from serving.program import arguments_of, require_taken

    servers = {
        (tuple(map(str, container["args"])), at(container, "ports", 0, "containerPort"))
        for place in PLACES
        for one in rendered(place)
        for pod in pods_of(one)
        if pod.is_predictor
        for _, container in pod.containers()
    }

    for words, port in servers:
        arguments = arguments_of(words)
        require_taken(arguments)
        assert (arguments.model_name, arguments.http_port) == ("marquee", port)
    assert servers


def test_redis_profile_is_one_that_the_feature_store_takes(rendered, k8s_folder: Path):
    objects = rendered("overlays/local")
    place = next(one["data"] for one in objects if name_of(one).startswith("ConfigMap/marquee-place"))
    profile = next(one["data"] for one in objects if name_of(one).startswith("ConfigMap/marquee-profile"))
    file = k8s_folder / "components" / "redis" / "profile" / "redis.yaml"

    made = Profile.of(
        str(file),
        repo=k8s_folder.parent / "feature_repo",
        environment={**place, "MARQUEE_STATE_URL": "state/current"},
    )

    assert profile["redis.yaml"] == file.read_text()
    assert place["MARQUEE_PROFILE"].endswith("/redis.yaml")
    assert str(made.registry_file) == place["FEAST_REGISTRY_URL"]
    assert made.config.online_store.connection_string.startswith(place["REDIS_ADDRESS"])


def test_readers_of_the_volume_cannot_write_what_one_job_writes(rendered):
    writers = {
        (pod.where, mount["subPath"])
        for one in rendered("overlays/production")
        for pod in pods_of(one)
        for _, container in pod.containers()
        for mount in list_at(container, "volumeMounts")
        if mount["name"] == "data" and mount["subPath"].startswith("data") and not mount.get("readOnly")
    }

    assert writers == {
        ("CronJob/marquee-materialization", "data"),
        ("CronJob/marquee-trending", "data/features"),  # its board, and neither warehouse nor registry
    }


def test_board_of_surges_goes_where_servers_look_and_the_job_may_write(rendered):
    objects = rendered("overlays/production")
    place = next(one["data"] for one in objects if name_of(one).startswith("ConfigMap/marquee-place"))
    board = Settings.from_environment(place).item_matrix(place["DATASET"]) / BOARD
    job, service = (
        by_name(objects)[name] for name in ("CronJob/marquee-trending", "InferenceService/marquee")
    )

    def behind(one: dict[str, Any], path: Path) -> tuple[Path, bool]:
        """Where on the volume a path of the container lies, and whether it may be written there."""
        ((_, container),) = [each for pod in pods_of(one) for each in pod.containers()]
        mounts = [each for each in container["volumeMounts"] if path.is_relative_to(each["mountPath"])]
        nearest = max(mounts, key=lambda each: len(each["mountPath"]))
        return nearest["subPath"] / path.relative_to(nearest["mountPath"]), not nearest.get("readOnly")

    assert behind(job, board) == (Path("data/features/ml-100k/item_matrix") / BOARD, True)
    assert behind(service, board) == (Path("data/features/ml-100k/item_matrix") / BOARD, False)
    assert behind(job, Path(place["MARQUEE_DATA"]) / "warehouse")[1] is False


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("overlays/local", ""),
        ("overlays/production", "http://pushgateway.monitoring.svc:9091"),
        ("tests/monitoring-canary-loop", "http://pushgateway.monitoring.svc:9091"),
    ],
)
def test_jobs_leave_their_gauges_where_the_place_says(rendered, place: str, address: str):
    objects = rendered(place)
    variables = next(one["data"] for one in objects if name_of(one).startswith("ConfigMap/marquee-place"))
    leaving = {
        pod.where
        for one in objects
        for pod in pods_of(one)
        for _, container in pod.containers()
        if "--metrics=$(METRICS)" in container.get("args", [])
    }

    assert variables["METRICS"] == address
    assert leaving == {"CronJob/marquee-drift", "CronJob/marquee-canary-loop"} | (
        {"CronJob/marquee-online-metrics"} if address else set()
    )


@pytest.mark.parametrize("place", [place for place in PLACES if "tracing" in used_by(ROOT / place)])
def test_every_server_of_a_traced_place_may_reach_the_collector_that_it_is_told(rendered, place: str):
    objects = rendered(place)
    variables = next(one["data"] for one in objects if name_of(one).startswith("ConfigMap/marquee-place"))
    collector = urlsplit(variables["OTEL_EXPORTER_OTLP_ENDPOINT"])
    policy = by_name(objects)["NetworkPolicy/recommender-to-collector"]["spec"]
    (door,) = policy["egress"]
    servers = [pod for one in objects for pod in pods_of(one) if pod.is_predictor]

    assert str(collector.hostname).split(".")[1:] == [
        door["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
        "svc",
    ]
    assert [each["port"] for each in door["ports"]] == [collector.port]
    assert len(servers) == 1 + bool({"ab", "canary"} & used_by(ROOT / place))
    for server in servers:
        assert server.labels.items() >= policy["podSelector"]["matchLabels"].items()
        (container,) = [found for _, found in server.containers() if found["name"] == "kserve-container"]
        assert [each["configMapRef"]["name"] for each in container["envFrom"]] == [
            next(one["metadata"]["name"] for one in objects if one.get("data") is variables)
        ]


@pytest.mark.parametrize("place", OVERLAYS)
def test_place_without_the_trait_is_not_traced(rendered, place: str):
    variables = {key for one in rendered(place) if one["kind"] == "ConfigMap" for key in one["data"]}

    assert ("tracing" in used_by(ROOT / place)) == any(key.startswith("OTEL_") for key in variables)


@pytest.mark.parametrize("place", PLACES)
def test_predictor_has_a_name_but_in_places_whose_service_must_keep_its(rendered, place: str):
    keeps_service = bool({"ab", "knative"} & used_by(ROOT / place))
    predictors = [one["spec"]["predictor"] for one in rendered(place) if one["kind"] == "InferenceService"]

    assert predictors
    assert {each.get("name") for each in predictors} == {None if keeps_service else "v1"}


@pytest.mark.parametrize(("place", "keeps_pods"), [("overlays/production", True), ("tests/ab", False)])
def test_promotion_keeps_the_canarys_pods_but_where_a_route_names_the_service(
    rendered, place: str, keeps_pods: bool
):
    base = next(one for one in rendered(place) if name_of(one).startswith("InferenceService/marquee"))
    first, second = (
        Arm(bundle_id=letter * 16, run_id="run", storage_uri=f"s3://films/bundles/{letter}/")
        for letter in "ab"
    )
    live = with_canary(applied(None, first, base=base), second, 50)
    canary = live["spec"]["canary"][0]["predictor"]

    after = promoted(live, second.bundle_id)["spec"]["predictor"]

    assert after["containers"] == canary["containers"]
    assert (after.get("name") == canary["name"]) is keeps_pods
    assert ("name" in base["spec"]["predictor"]) is keeps_pods


def test_only_the_canary_loop_has_a_token_of_the_api(rendered):
    holders = {
        pod.where
        for place in PLACES
        for one in rendered(place)
        for pod in pods_of(one)
        if pod.spec["automountServiceAccountToken"]
    }

    assert holders == {"CronJob/marquee-canary-loop"}


def test_place_variables_are_a_new_configmap_when_they_change(rendered):
    names = {
        place: next(name for name in by_name(rendered(place)) if name.startswith("ConfigMap/marquee-place"))
        for place in OVERLAYS
    }

    assert len(set(names.values())) == len(OVERLAYS)
