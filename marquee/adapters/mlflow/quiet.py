"""MLflow without its habits: no telemetry, nothing of its own on the terminal, no waiting for minutes."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from marquee.sparing import without

DEFAULTS: Final[Mapping[str, str]] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # MLflow's own are 120 s and 7 retries, four minutes until a server that is down is called so.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
"""What MLflow is told while it works for us. A variable that the user has set stays as it is."""
_OPTIONAL: Final = ("numpy", "pandas", "polars", "pyarrow", "scipy")
"""What MLflow imports for data and models that it would log itself: a third of its import, unused here."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MLflow quiet until the block ends; it may be imported in the block for the first time."""
    new = {name: value for name, value in DEFAULTS.items() if name not in os.environ}
    talked_before = "mlflow" in sys.modules
    os.environ.update(new)
    try:
        with warnings.catch_warnings():
            # SQLAlchemy 2.1 warns of what MLflow asks of it, Python of files that MLflow leaves open.
            warnings.simplefilter("ignore")
            _silence(talked_before=talked_before)
            yield
    finally:
        for name in new:
            os.environ.pop(name, None)


def _silence(*, talked_before: bool) -> None:
    with without(*_OPTIONAL):
        import mlflow  # noqa: F401, PLC0415 - it sets up its loggers and telemetry now
    from mlflow.telemetry import client  # noqa: PLC0415

    if talked_before:  # somebody imported it with the telemetry on
        client.set_telemetry_client()  # type: ignore[no-untyped-call]
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # its errors are raised, too
    logging.getLogger("alembic").setLevel(logging.WARNING)
