"""Kustomize: found, and run on every overlay and every combination that must render."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from marquee.errors import ConfigError, MarqueeError

ROOT: Final = Path(__file__).parents[1]
"""The folder k8s/."""
COMMANDS: Final = (("kustomize", "build"), ("kubectl", "kustomize"))
_BUILT: Final = Path("build") / "tools" / "kustomize"
"""Where .ci/kustomize.py puts its own."""


class RenderError(MarqueeError):
    """Kustomize refuses a folder."""


def kustomize() -> tuple[str, ...] | None:
    """The command that renders: kustomize, or kubectl, which has it inside; None where there is neither."""
    for program, word in COMMANDS:
        if found := shutil.which(program):
            return found, word
    built = ROOT.parent / _BUILT
    return (str(built), "build") if built.is_file() else None


def places() -> Iterator[Path]:
    """Every folder that must render: the base, the overlays and the combinations of traits."""
    yield ROOT / "base"
    for room in ("overlays", "tests"):
        for file in sorted((ROOT / room).glob("*/kustomization.yaml")):
            if "kind: Component" not in file.read_text(encoding="utf-8"):
                yield file.parent


def render(folder: Path, command: tuple[str, ...] | None = None) -> str:
    """A folder as one stream of YAML.

    Raises:
        ConfigError: there is no kustomize.
        RenderError: it refuses the folder.
    """
    command = command or kustomize()
    if command is None:
        raise ConfigError(
            "neither kustomize nor kubectl is here.", remedy="Install one: `python .ci/kustomize.py` does."
        )
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)  # noqa: S603 - our own folders
    if done.returncode:
        raise RenderError(
            f"{folder.name} does not render: {done.stderr.strip()}.", remedy="Mend its kustomization."
        )
    return done.stdout


def render_all(out: Path) -> list[Path]:
    """Render every place to `<out>/<room>-<name>.yaml`; the files.

    Raises:
        MarqueeError: as `render`.
    """
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.yaml"):
        old.unlink()
    written = []
    for folder in places():
        name = folder.name if folder.parent == ROOT else f"{folder.parent.name}-{folder.name}"
        file = out / f"{name}.yaml"
        file.write_text(render(folder), encoding="utf-8")
        written.append(file)
    return written
