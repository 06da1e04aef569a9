import json
import shutil
from pathlib import Path

import pytest

from tests.small_run import Place, Shell, run_here


@pytest.fixture
def copied(trained: Place, tmp_path: Path) -> Place:
    """The trained place's latest run, to be damaged."""
    place = Place(tmp_path)
    shutil.copytree(trained.latest, place.runs / "run")
    (place.runs / "latest").symlink_to("run")
    return place


def files_of(bundle: Path) -> list[str]:
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    return sorted(manifest["files"])


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_inspect_json_is_the_manifest(shell: Shell, trained: Place):
    manifest = trained.latest / "bundle" / "manifest.json"

    assert shell("bundle", "inspect", "--json").json == json.loads(manifest.read_text(encoding="utf-8"))


def test_inspect_for_people_shows_data_routes_and_each_file(shell: Shell, trained: Place):
    shown = shell("bundle", "inspect").out

    assert trained.bundle_id() in shown
    assert "als, popular" in shown
    for name in files_of(trained.latest / "bundle"):
        assert name in shown


def test_verify_json_counts_the_files(shell: Shell, trained: Place):
    answer = shell("bundle", "verify", "--json").json

    assert answer.keys() == {"path", "bundle_id", "files", "verified"}
    assert answer["verified"] is True
    assert answer["files"] == len(files_of(trained.latest / "bundle"))


@pytest.mark.parametrize("command", [["bundle", "verify"], ["recommend"], ["similar", "m001"]], ids=" ".join)
def test_flipped_byte_in_each_file_is_refused_by_its_name(copied: Place, command: list[str]):
    for name in files_of(copied.latest / "bundle"):
        file = copied.latest / "bundle" / name
        whole = file.read_bytes()
        flip_a_byte(file)

        run_here(*command, at=copied).require_error(name, "tampered")

        file.write_bytes(whole)
    assert run_here(*command, at=copied).code == 0


@pytest.mark.parametrize(
    "command", [["bundle", "inspect"], ["bundle", "verify"], ["recommend"]], ids=" ".join
)
def test_flipped_byte_in_the_manifest_is_refused_by_its_name(copied: Place, command: list[str]):
    flip_a_byte(copied.latest / "bundle" / "manifest.json")

    run_here(*command, at=copied).require_error("manifest.json")


def test_torn_bundle_is_refused_by_the_missing_file(copied: Place):
    name = files_of(copied.latest / "bundle")[0]
    (copied.latest / "bundle" / name).unlink()

    for command in (["bundle", "verify"], ["recommend"]):
        run_here(*command, at=copied).require_error(name)


def test_shortened_file_is_refused_by_its_name(copied: Place):
    name = files_of(copied.latest / "bundle")[-1]
    file = copied.latest / "bundle" / name
    file.write_bytes(file.read_bytes()[:-1])

    run_here("recommend", at=copied).require_error(name)


def test_verify_of_a_strange_file_names_it(copied: Place):
    (copied.latest / "bundle" / "stowaway.npy").write_bytes(b"?")

    run_here("bundle", "verify", at=copied).require_error("stowaway.npy")


def test_bundle_of_another_schema_version_is_refused(copied: Place):
    manifest = copied.latest / "bundle" / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace('"schema_version": 1', '"schema_version": 99'), encoding="utf-8")

    run_here("recommend", at=copied).require_error("99")


def test_bundle_at_a_folder_without_one_names_the_folder(copied: Place):
    run_here("bundle", "verify", copied.root, at=copied).require_error(str(copied.root))
