"""Imports Feast without the run-time type checks that it asks for: a third of the time.

Feast decorates 14 classes with typeguard's `@typechecked`, which parses, rewrites and compiles their
source anew in each process: 4 of the 6 seconds that `import feast` takes on two shared cores. While Feast
is being imported, the decorator leaves Feast's classes as they are written. What is lost is an early error
for a declaration of a wrong type: `load_declarations` reports those itself, and the tests load ours.

Feast also asks prometheus_client, for its own HTTP server, to keep every metric of the process in files of a
megabyte in a temporary folder, and leaves that in the environment. Here prometheus_client is imported first,
in its plain way, Feast finds a folder named and makes none, and the environment stays what it was.

Whatever imports Feast imports this module first. Where Feast was imported before, nothing happens.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typeguard


@contextmanager
def unchecked(package: str) -> Iterator[None]:
    """Let `typeguard.typechecked` leave what `package` defines alone, until the block ends.

    Other packages that happen to be imported meanwhile keep their checks. The package's classes that are
    imported after the block are checked as their authors wrote it; both kinds get along.
    """
    original = typeguard.typechecked

    def typechecked(target: Any = None, **options: Any) -> Any:  # noqa: ANN401 - as typeguard's own
        if target is None:
            return lambda decorated: typechecked(decorated, **options)
        if _is_of(package, target):
            return target
        return original(target, **options)

    typeguard.typechecked = typechecked
    try:
        yield
    finally:
        typeguard.typechecked = original


def _is_of(package: str, target: Callable[..., Any]) -> bool:
    module = getattr(target, "__module__", None) or ""
    return module == package or module.startswith(f"{package}.")


@contextmanager
def placeholders(*names: str) -> Iterator[None]:
    """Give these variables a value where they have none, until the block ends."""
    new = [name for name in names if name not in os.environ]
    os.environ.update(dict.fromkeys(new, os.devnull))
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)


if "feast" not in sys.modules:
    import prometheus_client  # noqa: F401 - it looks for the variables once, now

    with (
        unchecked("feast"),
        placeholders("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR"),
    ):
        import feast  # noqa: F401 - it stays in sys.modules, for whoever imports it next
