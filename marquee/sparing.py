"""Imports that bring less: a library that would take another one along if it is there, does without it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Import in this block as where these packages are not installed; those loaded already stay.

    For what a library offers to users of another package and nobody here uses. The packages can be
    imported again after the block; the library keeps doing without them.
    """
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # None: Python's own "there is none"
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]
