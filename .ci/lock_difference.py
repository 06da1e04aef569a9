"""Print the entries of a lock, with their hashes, whose packages are in none of the others.

`python lock_difference.py added.txt first.txt second.txt`. All locks are parts of one resolution
(docs/decisions/0001-one-resolution.md), so that what they share has one version.
"""

import re
import sys
from pathlib import Path

NAME = re.compile(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", re.MULTILINE)


def entries(lock: Path) -> dict[str, str]:
    """A lock's entries by the names of their packages; of `name[extra]` and its twin the plain one."""
    blocks = re.split(r"^(?=\S)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: dict[str, str] = {}
    for block in blocks:
        if match := NAME.match(block):
            found.setdefault(match[1], block)
    return found


def main() -> None:
    """Print the difference."""
    first, *others = (entries(Path(each)) for each in sys.argv[1:])
    known = {name for each in others for name in each}
    sys.stdout.write("".join(block for name, block in first.items() if name not in known))


if __name__ == "__main__":
    main()
