"""`python -m k8s.checks`: render everything and judge it; `--render-only` stops after the first half."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from k8s.checks import rendering
from k8s.checks.documents import read_documents, whole_objects
from k8s.checks.finding import Finding
from k8s.checks.judge import findings, object_findings
from marquee.errors import MarqueeError

SKIPPED = """\
Nothing was rendered: neither kustomize nor kubectl is here. Checked were the objects as they stand in k8s/,
not the overlays. `python .ci/kustomize.py` installs kustomize where Go is.
"""


def main(words: Sequence[str]) -> int:
    """Judge; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m k8s.checks", description=__doc__)
    parser.add_argument("--render-only", action="store_true", help="write build/render and judge nothing")
    parser.add_argument("--out", type=Path, default=Path("build/render"), help="where rendered places go")
    arguments = parser.parse_args(list(words))
    try:
        if arguments.render_only:
            files = rendering.render_all(arguments.out)
            sys.stdout.write(f"{len(files)} places rendered to {arguments.out}\n")
            return 0
        return _judge(arguments.out)
    except MarqueeError as error:
        sys.stderr.write(f"error: {error.problem}\nremedy: {error.remedy}\n")
        return error.exit_code


def _judge(out: Path) -> int:
    found = [(str(file), one) for file, one in as_they_stand(rendering.ROOT)]
    said = f"{len(whole_objects(rendering.ROOT))} objects as they stand"
    if rendering.kustomize() is None:
        sys.stderr.write(SKIPPED)
    else:
        files = rendering.render_all(out)
        for file in files:
            found += [(file.name, one) for one in judged(file)]
        said += f", {len(files)} rendered places"
    for place, one in found:
        sys.stderr.write(f"{place}: {one}\n")
    sys.stdout.write(f"manifests: {said}: {len(found)} findings\n")
    return 1 if found else 0


def as_they_stand(folder: Path) -> Iterator[tuple[Path, Finding]]:
    """What is wrong with the objects of a folder by themselves, before any trait."""
    for file, manifest in whole_objects(folder):
        yield from ((file, one) for one in object_findings(manifest, is_final=False))


def judged(file: Path) -> list[Finding]:
    """What is wrong with a rendered place."""
    objects = read_documents(file.read_text(encoding="utf-8"), where=file.name)
    is_production = file.stem == "overlays-production"
    return findings(objects, is_final=file.stem != "base", by_digest=is_production)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
