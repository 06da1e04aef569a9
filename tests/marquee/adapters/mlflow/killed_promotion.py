"""Promote a bundle and die of SIGKILL before MLflow's alias is set: `killed_promotion.py RUNS BUNDLE`."""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

from marquee.adapters.mlflow import Registry, Tracking
from marquee.adapters.object_store import open_store


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    runs, bundle = Path(sys.argv[1]), sys.argv[2]
    registry = Registry("ml-100k", Tracking.of(runs, {}), open_store(str(runs)))
    with mock.patch("mlflow.MlflowClient.set_registered_model_alias", die):
        registry.promote(bundle, now=datetime(2026, 1, 1, tzinfo=UTC))


if __name__ == "__main__":
    main()
