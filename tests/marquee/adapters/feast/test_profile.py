"""A profile says at once what is wrong with it: the key, the value and what to do."""

import sys
from pathlib import Path

import pytest

from marquee.adapters.feast import Profile
from marquee.errors import ConfigError, FeatureStoreError
from tests.marquee.adapters.feast.place import REPO, door

CLUSTER = {
    "FEAST_PROJECT": "marquee",
    "FEAST_REGISTRY_URL": "sqlite:///registry.db",
    "MARQUEE_STATE_URL": "s3://bucket/state",
    "REDIS_ADDRESS": "redis:6379",
    "AWS_REGION": "eu-central-1",
    "SPARK_MASTER": "local[2]",
    "MARQUEE_STATE": "state",
}
LOCAL = (REPO / "profiles" / "local.yaml").read_text()


def changed(tmp_path: Path, old: str, new: str) -> str:
    """A profile like local, with something replaced."""
    assert old in LOCAL
    path = tmp_path / "changed.yaml"
    path.write_text(LOCAL.replace(old, new, 1))
    return str(path)


def test_profile_with_an_unset_variable_names_all_of_them():
    with pytest.raises(
        ConfigError, match="FEAST_PROJECT, FEAST_REGISTRY_URL, MARQUEE_STATE_URL, REDIS_ADDRESS"
    ):
        door(Path(), "cluster")


def test_unknown_profile_lists_those_that_there_are():
    with pytest.raises(ConfigError, match="aws, cluster, local, spark"):
        door(Path(), "moon")


def test_profile_of_a_store_that_is_not_installed_says_so(tmp_path: Path):
    with pytest.raises(ConfigError, match="not installed"):
        door(tmp_path, changed(tmp_path, "type: sqlite", "type: cassandra"))


@pytest.mark.parametrize(
    ("old", "new", "seen", "meant"),
    [
        ("online_store:", "online_stor:", "online_stor = {'type'", "online_store"),
        (
            "cache_ttl_seconds",
            "cache_ttl_second",
            "registry.cache_ttl_second = 0",
            "registry.cache_ttl_seconds",
        ),
        ("provider:", "sparkle: 7\nprovider:", "sparkle = 7", None),
    ],
)
def test_key_that_nothing_reads_is_refused_with_the_likely_one(
    tmp_path: Path, old: str, new: str, seen: str, meant: str | None
):
    with pytest.raises(ConfigError, match="nothing reads") as refusal:
        door(tmp_path, changed(tmp_path, old, new))

    assert seen in refusal.value.problem
    assert refusal.value.remedy == (f"Did you mean {meant}?" if meant else "Remove it.")


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ("online.db", 'online.db", "pth": "x', "pth"),
        ("AsofOfflineStore}", "AsofOfflineStore, chunk_rows: none}", "chunk_rows = 'none'"),
        ("project: marquee", "project: 7", "project = 7"),
    ],
)
def test_value_that_does_not_fit_is_named_with_its_key(tmp_path: Path, old: str, new: str, seen: str):
    with pytest.raises(ConfigError, match="does not fit") as refusal:
        door(tmp_path, changed(tmp_path, old, new))

    assert seen in refusal.value.problem


def test_engine_that_loses_label_rows_is_refused(tmp_path: Path):
    engine = "type: marquee.adapters.feast_offline.AsofOfflineStore"

    with pytest.raises(ConfigError, match="silently drops label rows"):
        door(tmp_path, changed(tmp_path, engine, "type: dask"))


@pytest.mark.parametrize("text", ["", "- a list", "project: [", "project: marquee"])
def test_file_that_is_no_profile_is_refused(tmp_path: Path, text: str):
    (tmp_path / "odd.yaml").write_text(text)

    with pytest.raises(ConfigError, match=r"has no state_root|is no YAML"):
        door(tmp_path, str(tmp_path / "odd.yaml"))


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("sqlite:////nowhere/at/all/registry.db", FeatureStoreError, "can't be opened"),
        ("nonsense", FeatureStoreError, "Could not parse SQLAlchemy URL"),
        ("firebird://host/registry", FeatureStoreError, "firebird"),
    ],
)
def test_registry_in_a_database_that_does_not_answer_is_one_clear_error(
    address: str, error: type, words: str
):
    with pytest.raises(error, match=words):
        _ = door(Path(), "cluster", **{**CLUSTER, "FEAST_REGISTRY_URL": address}).views


def test_registry_whose_driver_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(ConfigError, match="psycopg"):
        _ = door(Path(), "cluster", **{**CLUSTER, "FEAST_REGISTRY_URL": "postgresql+psycopg://host/r"}).views


def test_cluster_profile_reads_its_places_from_the_environment():
    profile = Profile.of("cluster", repo=REPO, environment=CLUSTER)

    assert (profile.state_root, profile.registry_file) == ("s3://bucket/state", None)
    assert profile.config.online_store.connection_string.startswith("redis:6379,")
    assert profile.config.registry.path == "sqlite:///registry.db"
    assert profile.source_path("user_activity") == "s3://bucket/state/user_activity"


def test_endpoint_of_another_s3_reaches_every_source(tmp_path: Path):
    with_endpoint = door(
        tmp_path, changed(tmp_path, "provider:", "state_endpoint: http://store:9000\nprovider:")
    )

    for made, endpoint in ((with_endpoint, "http://store:9000"), (door(tmp_path), "")):
        sources = [each for each in made.declarations(REPO).sources.values() if hasattr(each, "file_options")]
        assert [each.s3_endpoint_override for each in sources] == [endpoint] * 5


def test_registry_file_of_the_local_profile_is_a_path():
    assert Profile.of("local", repo=REPO, environment=CLUSTER).registry_file == Path("state/registry.db")
