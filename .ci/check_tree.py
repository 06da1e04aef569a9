"""Refuse what no tracked file may hold: registry hosts, paths of one machine, pickles, eval.

Looks at every text file that git tracks or would track. A line that must hold such a thing says why:
`check-tree: allow <reason>` in a comment on it.
"""

import re
import subprocess
import sys
from pathlib import Path

RULES = {
    "a package registry's host": re.compile(
        r"\b(?:files\.pythonhosted|(?:test\.)?py(?:pi)\.(?:org|io)|registry\.npmjs|conda\.anaconda)\b"
    ),
    "an index address": re.compile(r"--(?:extra-)?index-url[ =]\s*\S*:/|(?:INDEX)_URL\s*=\s*\S*:/"),
    "a path of one machine": re.compile(
        r"(?<![\w.\-/:}$)*])/(?:work|root|tmp|home/\w+|Users/\w+|mnt/\w+)(?=[/\"'`\s,;:)]|$)"
    ),
    "a pickle": re.compile(
        r"allow_(?:pickle)\s*=\s*True|\b(?:pickle|cPickle|joblib|dill)\.(?:loads?|dumps?)\("
    ),
    "an eval": re.compile(r"(?<![\w.\-])(?:eval|exec)\("),
}
ALLOW = re.compile(r"check-tree: allow \w")
NOT_OURS = ("LICENSE",)


def tracked_files() -> list[Path]:
    """Files that git tracks, or would after `git add --all`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return [Path(name) for name in names if name and Path(name).is_file() and name not in NOT_OURS]


def findings(path: Path) -> list[str]:
    """One line for each place in a text file that breaks a rule."""
    content = path.read_bytes()
    if b"\0" in content[:8000]:
        return []
    lines = content.decode("utf-8", errors="replace").splitlines()
    return [
        f"{path}:{number}: {what}: {line.strip()[:100]}"
        for number, line in enumerate(lines, start=1)
        for what, pattern in RULES.items()
        if pattern.search(line) and not ALLOW.search(line)
    ]


def main() -> int:
    """Print what was found; the exit code is 1 when there is anything."""
    found = [line for path in tracked_files() for line in findings(path)]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
