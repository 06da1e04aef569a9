"""Hands over to the pipelines room, which this package does not know and which is no part of it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from marquee.errors import ConfigError


def hand_over(arguments: Sequence[str]) -> NoReturn:
    """Become `python -m pipelines …`, in the source tree that this package lies in.

    Raises:
        ConfigError: the package was installed without its tree.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "pipelines" / "__main__.py").is_file():
        raise ConfigError(
            f"{root} has no folder `pipelines`.", remedy="Work in a clone of the repository: `make setup`."
        )
    path = os.pathsep.join(part for part in (str(root), os.environ.get("PYTHONPATH")) if part)
    sys.stdout.flush()
    os.execve(  # noqa: S606 - our own interpreter and module
        sys.executable, [sys.executable, "-m", "pipelines", *arguments], {**os.environ, "PYTHONPATH": path}
    )
