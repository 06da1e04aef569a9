"""Every overlay and combination of traits renders, passes all checks, and runs what our programs know."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from k8s.checks.finding import at, list_at, name_of
from k8s.checks.judge import findings
from k8s.checks.pods import pods_of
from k8s.checks.rendering import ROOT, places
from marquee.adapters.feast.profile import Profile
from marquee.cli import app

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
        ("features", "export"), ("features", "materialize"), ("monitor", "drift"),
    }  # fmt: skip


def test_server_takes_every_argument_of_its_container(rendered):
    from serving.__main__ import arguments_of, require_taken

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
        pod.where
        for one in rendered("overlays/production")
        for pod in pods_of(one)
        for _, container in pod.containers()
        for mount in list_at(container, "volumeMounts")
        if mount["name"] == "data" and mount.get("subPath") == "data" and not mount.get("readOnly")
    }

    assert writers == {"CronJob/marquee-materialization"}


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
