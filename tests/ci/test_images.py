"""The images: nobody misses what is left out, and the real ones serve as anybody on a read-only root."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.serving.conftest import serving
from tests.small_run import Place, process_environment

ROOT = Path(__file__).parents[2]
CI = ROOT / ".ci"
UNUSED = {path.stem: path for path in (CI / "unused").glob("*.txt")}
BLOCKER = """
import os, sys

class Absent:
    names = frozenset(os.environ["ABSENT"].split())
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
"""A `sitecustomize` under which packages cannot be imported, as if an image lacked them."""
STEPS = """
import importlib, pathlib
import pipelines.compile
for room in ("components", "marquee/steps"):
    for path in sorted(pathlib.Path(ROOT, room).rglob("*.py")):
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
for module in ("lightgbm", "mlflow", "optuna", "implicit", "feast.feature_store", "boto3", "evidently"):
    importlib.import_module(module)
"""


def listed(name: str) -> list[str]:
    """The distributions of a list of .ci/unused."""
    lines = UNUSED[name].read_text(encoding="utf-8").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def modules_of(distributions: list[str]) -> list[str]:
    """The top-level modules that they, and nothing else, bring."""
    wanted = set(distributions)
    return [
        module
        for module, owners in packages_distributions().items()
        if {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} <= wanted
    ]


@pytest.fixture
def without(tmp_path: Path) -> dict[str, str]:
    """An environment in which ABSENT names modules that cannot be imported."""
    folder = tmp_path / "blocker"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCKER, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def slim(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CI / "slim_image.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_server_without_what_its_image_leaves_out_answers_in_full(
    trained: Place, tmp_path: Path, without: dict[str, str]
):
    absent = modules_of([*listed("everywhere"), *listed("serving")])
    environment = {**without, "ABSENT": " ".join(absent)}

    with serving(trained, tmp_path, environment=environment) as server:
        reply = server.predict(
            {"user_id": "u000", "explain": True}, {"surface": "similar", "item_id": "m003"}, {"n": 3}
        )

    assert {"mlflow", "optuna", "mypy", "dask", "PIL"} <= set(absent)
    assert reply.status == 200, reply.body
    assert [each["degraded"] for each in reply.json["predictions"]] == [False, False, False]
    assert all(each["items"] for each in reply.json["predictions"])


def test_blocker_hides_a_package_that_the_server_needs(
    trained: Place, tmp_path: Path, without: dict[str, str]
):
    environment = {**without, "ABSENT": "lightgbm"}

    with (
        pytest.raises(AssertionError, match="No module named 'lightgbm'"),
        serving(trained, tmp_path, environment=environment),
    ):
        pass


def test_steps_without_what_their_image_leaves_out_can_be_imported(trained: Place, without: dict[str, str]):
    environment = {**without, "ABSENT": " ".join(modules_of(listed("everywhere")))}

    done = subprocess.run(
        [sys.executable, "-c", f"ROOT = {str(ROOT)!r}\n{STEPS}"],
        env=process_environment(trained, environment),
        cwd=trained.root,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "locks"), [("everywhere", ["pipeline", "serving"]), ("serving", ["serving"])]
)
def test_what_an_image_leaves_out_is_in_its_lock_and_listed_once(name: str, locks: list[str]):
    names = listed(name)
    texts = [(ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8") for lock in locks]

    assert names == sorted(set(names))
    assert [each for each in names for text in texts if f"\n{each}==" not in text] == []
    assert not set(listed("everywhere")) & set(listed("serving"))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two distributions: one that a list names, and one with tests, a header and a stub."""
    folder = tmp_path / "site-packages"
    files = {
        "gone": ["gone/__init__.py", "gone/__pycache__/__init__.cpython-311.pyc", "gone/data/table.csv"],
        "kept": [
            "kept/__init__.py", "kept/tests/__init__.py", "kept/part/tests/test_it.py", "kept/include/it.h",
            "kept/it.pyi", "kept/tests.py", "feast/ui/page.js", "feast/__init__.py",
        ],
    }  # fmt: skip
    for name, paths in files.items():
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        recorded = [*paths, f"{info.name}/METADATA", f"{info.name}/RECORD"]
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in recorded))
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text("content")
    return folder


def test_slimming_removes_listed_distributions_and_idle_files_alone(site: Path, tmp_path: Path):
    listing = tmp_path / "list.txt"
    listing.write_text("# what goes\ngone  # nobody calls it\n")

    done = slim(site, listing)

    assert done.returncode == 0, done.stderr
    assert sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()) == [
        "feast/__init__.py",
        "kept-1.0.dist-info/METADATA",
        "kept-1.0.dist-info/RECORD",
        "kept/__init__.py",
        "kept/tests.py",
    ]
    assert not (site / "gone").exists()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [("absent  # of old", "has no absent"), ("gone", "a distribution needs a reason")],
)
def test_slimming_by_a_list_that_does_not_fit_stops_and_removes_nothing(
    site: Path, tmp_path: Path, line: str, complaint: str
):
    listing = tmp_path / "list.txt"
    listing.write_text(f"{line}\n")
    before = sorted(site.rglob("*"))

    done = slim(site, listing)

    assert done.returncode == 1
    assert complaint in done.stderr
    assert sorted(site.rglob("*")) == before


def test_lock_difference_is_what_the_other_locks_do_not_have(tmp_path: Path):
    for name, text in {
        "first": "# stamp\nboth==1.0 \\\n    --hash=sha256:aa\nextra==2.0 \\\n    --hash=sha256:bb\n",
        "second": "both[more]==1.0 \\\n    --hash=sha256:aa\nboth==1.0 \\\n    --hash=sha256:aa\n",
    }.items():
        (tmp_path / name).write_text(text)

    command = [sys.executable, str(CI / "lock_difference.py"), "first", "second"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout == "extra==2.0 \\\n    --hash=sha256:bb\n"


def copied_from_context() -> Iterator[str]:
    """What the Dockerfile takes from the repository."""
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--from="):
            yield from words[1:-1]


def test_docker_is_sent_what_the_dockerfile_copies_and_no_more():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = set(copied_from_context())

    assert next(line for line in lines if not line.startswith("#")) == "*"
    assert [path for path in copied if not {path, str(Path(path).parent)} & allowed] == []
    assert [path for path in allowed if not any(f"{each}/".startswith(f"{path}/") for each in copied)] == []
    assert all((ROOT / path).exists() for path in copied)


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)  # noqa: S607 - wherever it is


@pytest.mark.services
def test_real_images_pass_their_smoke_test(trained: Place):
    if shutil.which("docker") is None or docker("version").returncode:
        pytest.skip("no Docker engine answers")
    images = ("marquee-serving:dev", "marquee-python:dev", "marquee-monitoring-python:dev")
    if docker("image", "inspect", *images).returncode:
        pytest.skip("no Docker engine answers with our images: make image builds them")

    command = [
        sys.executable,
        str(CI / "image_smoke.py"),
        "--bundle",
        str(trained.latest / "bundle"),
        "--items",
        "0",  # without a store nobody's age limit is known, and none of these movies is for everybody
        "--json",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["serving"]["unanswered"] == 0
