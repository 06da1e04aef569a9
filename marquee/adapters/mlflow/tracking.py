"""Where runs are recorded: a database beside the run folders, or the server that the environment names."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from marquee.adapters.mlflow.faults import TrackingError, tracking_error
from marquee.adapters.mlflow.quiet import quiet

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE: Final = "mlflow.db"
"""The local store, in the runs folder; `make ui` opens it."""
ARTIFACTS: Final = "mlflow"
"""Its files, in the runs folder."""
_SQLITE: Final = "sqlite:///"


@dataclass(frozen=True)
class Tracking:
    """A tracking store, and what Kubeflow said about the run to record."""

    uri: str
    """MLflow's address of it."""
    local: Path | None = None
    """The runs folder whose database it is, None where MLFLOW_TRACKING_URI names another store."""
    run_id: str | None = None
    """MLFLOW_RUN_ID: an MLflow run that is under way, to be used instead of a new one."""
    experiment_id: str | None = None
    """MLFLOW_EXPERIMENT_ID."""
    experiment_name: str | None = None
    """MLFLOW_EXPERIMENT_NAME."""

    @classmethod
    def of(cls, runs: Path, environment: Mapping[str, str] | None = None) -> Self:
        """The store that the environment names, else the one of a runs folder."""
        given = os.environ if environment is None else environment
        uri = given.get("MLFLOW_TRACKING_URI")
        folder = runs.resolve()
        return cls(
            uri or f"sqlite:///{folder / DATABASE}",
            local=None if uri else folder,
            run_id=given.get("MLFLOW_RUN_ID") or None,
            experiment_id=given.get("MLFLOW_EXPERIMENT_ID") or None,
            experiment_name=given.get("MLFLOW_EXPERIMENT_NAME") or None,
        )

    @property
    def is_empty(self) -> bool:
        """Whether it is known, without a look inside, that nothing was ever recorded."""
        return self.local is not None and not (self.local / DATABASE).exists()

    def artifact_location(self, experiment: str) -> str | None:
        """Where an experiment's files go, None to leave it to the server."""
        return None if self.local is None else (self.local / ARTIFACTS / experiment).as_uri()

    def experiment(self, client: "MlflowClient", default: str) -> str:
        """The id of the experiment to record in, which is made where there is none.

        Args:
            client: of this store.
            default: its name where the environment names none.

        Raises:
            TrackingError: it was deleted.
        """
        if self.experiment_id is not None:
            return self.experiment_id
        name = self.experiment_name or default
        found = client.get_experiment_by_name(name)
        if found is None:
            return client.create_experiment(name, artifact_location=self.artifact_location(name))
        if found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"the experiment {name} was deleted in MLflow.",
                remedy=f"Restore it with `mlflow experiments restore -x {found.experiment_id}`, "
                "or set MLFLOW_EXPERIMENT_NAME.",
            )
        return str(found.experiment_id)

    @contextmanager
    def connected(self) -> Iterator["MlflowClient"]:
        """A client of the store, quiet, whose errors are ours until the block ends.

        Raises:
            TrackingError: the store is down, broken, or refuses something.
        """
        _require_installed()
        with quiet():
            if self.uri.startswith("http"):
                # MLflow's REST client loads a plugin of Feast's, and so Feast: this way three times faster.
                import marquee.adapters.feast_import  # noqa: F401, PLC0415
            from mlflow import MlflowClient  # noqa: PLC0415

            try:
                self._require_database()
                yield MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            except _outside_faults() as error:
                raise tracking_error(self.uri, error) from error

    def _require_database(self) -> None:
        """Make the local database where there is none, and look whether a file is one.

        MLflow would try a file that is none ten times, waiting longer each time.
        """
        if self.is_empty:
            self._make_database()
        if self.uri.startswith(_SQLITE):
            file = Path(self.uri.removeprefix(_SQLITE))
            if file.exists():
                with closing(sqlite3.connect(file)) as connection:
                    connection.execute("PRAGMA schema_version")

    def _make_database(self) -> None:
        """Make the local database, there whole or not at all: a half-migrated one could not be mended."""
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415

        assert self.local is not None  # noqa: S101 - is_empty says so
        final = self.local / DATABASE
        temporary = final.with_name(f".{DATABASE}.partial")
        self.local.mkdir(parents=True, exist_ok=True)
        with (self.local / f".{DATABASE}.lock").open("w") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            if final.exists():  # another process was faster
                return
            temporary.unlink(missing_ok=True)  # of a process that was killed here
            artifacts = str(self.local / ARTIFACTS)
            store = SqlAlchemyStore(f"sqlite:///{temporary}", artifacts)  # type: ignore[no-untyped-call]
            store.engine.dispose()
            temporary.replace(final)


def _require_installed() -> None:
    """Say what to install where MLflow is not.

    Raises:
        TrackingError: it is not.
    """
    if find_spec("mlflow") is None:
        raise TrackingError(
            "MLflow is not installed.", remedy="Install marquee[pipeline], or run `make setup`."
        )


def _outside_faults() -> tuple[type[Exception], ...]:
    """What MLflow lets through of its own, of its database, of the network and of an object store."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from requests import RequestException  # type: ignore[import-untyped]  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    faults = (MlflowException, RequestException, SQLAlchemyError, sqlite3.Error, OSError)
    if find_spec("botocore") is None:
        return faults
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    return (*faults, BotoCoreError, ClientError)
