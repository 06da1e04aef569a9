"""Compile the lock files from pyproject.toml, or check that they are still in step with it.

All environments are resolved once, together, into `requirements/constraints.txt`; each lock is the
part of that resolution which its environment needs, with hashes and without an index address. So a
version is the same wherever it is installed, and any set of extras installs together.

What can't be resolved together with them is an environment apart (`[tool.marquee.environments]`): its
lock has a resolution and a stamp of its own, and shares only the versions that it asks to share.

Run as `make lock` (add UPGRADE=1 for newest versions) and, inside `make check`, as `… locks.py check`.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

PYPROJECT = Path("pyproject.toml")
FOLDER = Path("requirements")
CONSTRAINTS = FOLDER / "constraints.txt"
STAMP = "# compiled by `make lock` from the dependencies with sha256 "
STAMP_APART = "# compiled by `make lock`, apart from the others, from the requirements with sha256 "
FORM = ("--generate-hashes", "--annotation-style", "line", "--no-strip-extras")
PIN = re.compile(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s\\;]+)", re.MULTILINE)


def declared() -> dict[str, Any]:
    """What pyproject.toml asks for: the part of it that decides the locks."""
    content = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    project = content["project"]
    return {
        "build": content["build-system"]["requires"],
        "python": project["requires-python"],
        "core": project["dependencies"],
        "extras": project.get("optional-dependencies", {}),
    }


def declared_apart() -> dict[str, dict[str, Any]]:
    """The environments apart by name: what each requires, and what it shares with the others."""
    content = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    environments = content.get("tool", {}).get("marquee", {}).get("environments", {})
    python = content["project"]["requires-python"]
    return {name: {"python": python, **declaration} for name, declaration in environments.items()}


def fingerprint(declaration: dict[str, Any]) -> str:
    """The sha256 of a declaration; neither comments nor layout change it."""
    return hashlib.sha256(json.dumps(declaration, sort_keys=True).encode()).hexdigest()


def lock_names(declaration: dict[str, Any]) -> list[str]:
    """One lock for the build tools, one for the core, one for each extra."""
    return ["build", "core", *sorted(declaration["extras"])]


def check_lock(
    path: Path, *, stamp: str, constraints: set[tuple[str, ...]], shared: list[str] | None = None
) -> list[str]:
    """The complaints about one lock file, none if it is in step.

    Args:
        path: the lock.
        stamp: the line that it begins with when it is in step.
        constraints: names and versions that it has to keep to.
        shared: the only packages for which it has to; all by default.
    """
    if not path.is_file():
        return [f"{path} is missing"]
    text = path.read_text(encoding="utf-8")
    complaints = []
    if not text.startswith(stamp):
        complaints.append(f"{path} was not compiled from the dependencies that pyproject.toml names now")
    if "://" in text or "--index-url" in text:
        complaints.append(f"{path} holds an address")
    for block in re.split(r"\n(?=\S)", text):
        pin = PIN.match(block)
        if pin and path != CONSTRAINTS and "--hash=sha256:" not in block:
            complaints.append(f"{path}: {pin[1]} has no hash")
        is_shared = pin and (shared is None or pin[1] in shared)
        if pin and is_shared and pin.groups() not in constraints:
            complaints.append(f"{path}: {pin[1]} {pin[2]} differs from {CONSTRAINTS}")
    return complaints


def check() -> list[str]:
    """The complaints about all lock files, none if they are in step."""
    declaration = declared()
    stamp = f"{STAMP}{fingerprint(declaration)}\n"
    text = CONSTRAINTS.read_text(encoding="utf-8") if CONSTRAINTS.is_file() else ""
    constraints = {pin.groups() for pin in PIN.finditer(text)}
    paths = [CONSTRAINTS, *(FOLDER / f"{name}.txt" for name in lock_names(declaration))]
    complaints = [line for path in paths for line in check_lock(path, stamp=stamp, constraints=constraints)]
    for name, apart in declared_apart().items():
        stamp, shared = f"{STAMP_APART}{fingerprint(apart)}\n", apart["same-as-ours"]
        complaints += check_lock(FOLDER / f"{name}.txt", stamp=stamp, constraints=constraints, shared=shared)
    return complaints


def uv_compile(source: str, output: Path, *options: str) -> None:
    """Resolve `source` for every platform and Python that the project supports into `output`."""
    environment = dict(os.environ)
    if "PIP_INDEX_URL" in environment:  # uv has its own name for the user's mirror
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    uv = Path(sys.executable).with_name("uv")
    flags = ["--quiet", "--universal", "--python-version", "3.11", "--no-header", "--no-emit-index-url"]
    command = [str(uv), "pip", "compile", *flags, *options, source, "--output-file", str(output)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def compile_all(*, upgrade: bool) -> None:
    """Resolve once, then write each environment's part of it."""
    declaration = declared()
    build = Path("build/lock/build.in")
    build.parent.mkdir(parents=True, exist_ok=True)
    build.write_text("\n".join(declaration["build"]) + "\n", encoding="utf-8")
    together = ["--all-extras", "--no-annotate", str(build), *(["--upgrade"] if upgrade else [])]
    print(f"resolving all environments together into {CONSTRAINTS}")
    uv_compile(str(PYPROJECT), CONSTRAINTS, *together)
    for name in lock_names(declaration):
        print(f"writing {FOLDER / name}.txt")
        source = str(build) if name == "build" else str(PYPROJECT)
        extra = [] if name in ("build", "core") else ["--extra", name]
        pins = ["--constraints", str(CONSTRAINTS), "--upgrade"]  # upgrade: as far as the constraints say
        uv_compile(source, FOLDER / f"{name}.txt", *pins, *FORM, *extra)
        pin_without_extras(FOLDER / f"{name}.txt")
    stamp = f"{STAMP}{fingerprint(declaration)}\n"
    for path in (CONSTRAINTS, *(FOLDER / f"{name}.txt" for name in lock_names(declaration))):
        path.write_text(stamp + path.read_text(encoding="utf-8"), encoding="utf-8")
    compile_apart(upgrade=upgrade)


def pin_without_extras(lock: Path) -> None:
    """Give each `name[extra]==…` of a lock a twin `name==…`.

    With hashes required, older pips (Python 3.11 brings one) take neither for the other: what asks for
    `pandas[parquet]` fails without the first line, and what asks for `pandas` without the second.
    """
    entries = re.split(r"^(?=\S)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    twins = [re.sub(r"^([a-z0-9._-]+)\[[^\]]*\]==", r"\1==", entry) for entry in entries]
    pinned = [twin + entry if twin != entry else entry for twin, entry in zip(twins, entries, strict=True)]
    lock.write_text("".join(pinned), encoding="utf-8")


def compile_apart(*, upgrade: bool) -> None:
    """Resolve each environment apart, with the versions that it shares."""
    ours = dict(PIN.findall(CONSTRAINTS.read_text(encoding="utf-8")))
    for name, apart in declared_apart().items():
        output = FOLDER / f"{name}.txt"
        print(f"resolving {output} apart")
        source = Path(f"build/lock/{name}.in")
        source.parent.mkdir(parents=True, exist_ok=True)
        shared = [f"{package}=={ours[package]}" for package in apart["same-as-ours"]]
        source.write_text("\n".join([*apart["requires"], *shared]) + "\n", encoding="utf-8")
        uv_compile(str(source), output, *FORM, *(["--upgrade"] if upgrade else []))
        pin_without_extras(output)
        stamp = f"{STAMP_APART}{fingerprint(apart)}\n"
        output.write_text(stamp + output.read_text(encoding="utf-8"), encoding="utf-8")


def main() -> int:
    """Run the command line; the exit code is 1 when a lock is out of step."""
    parser = argparse.ArgumentParser(description="Compile or check the lock files.")
    parser.add_argument("action", choices=["compile", "check"])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    arguments = parser.parse_args()
    if arguments.action == "compile":
        compile_all(upgrade=arguments.upgrade)
        return 0
    complaints = check()
    for line in complaints:
        print(f"{line}. Run `make lock` and commit what it writes.", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
