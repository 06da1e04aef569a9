"""Have kustomize where the manifests are rendered: found, or built by Go from its published module.

Exit code 1, and the reason, where there is neither: `make check` then judges what needs no rendering, and
says so. It is built into build/tools, which `make clean` removes.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

MODULE = "sigs.k8s.io/kustomize/kustomize/v5@v5.5.0"
FOLDER = Path(__file__).parents[1] / "build" / "tools"


def found() -> str | None:
    """What renders: kustomize, kubectl, which has it inside, or the one that was built here."""
    built = FOLDER / "kustomize"
    return shutil.which("kustomize") or shutil.which("kubectl") or (str(built) if built.is_file() else None)


def build() -> str | None:
    """Build it; where it is then, None if there is no Go or Go can't."""
    go = shutil.which("go")
    if go is None:
        return None
    FOLDER.mkdir(parents=True, exist_ok=True)
    print(f"building {MODULE}", flush=True)
    done = subprocess.run([go, "install", MODULE], env={**os.environ, "GOBIN": str(FOLDER)}, check=False)
    return found() if done.returncode == 0 else None


def main() -> int:
    """Say what there is; 1 where there is nothing."""
    program = found() or build()
    if program is None:
        print("no kustomize: install kubectl or kustomize, or Go to build it", file=sys.stderr)
        return 1
    print(f"manifests are rendered by {program}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
