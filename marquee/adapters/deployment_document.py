"""A deployment that is a document in an object store: for a gateway that follows it, or for a rehearsal.

Whoever serves reads `deployment.json`, gives the arms their requests, and says with `report_ready` that a
canary answers. Changes are conditional writes, so that two writers never undo each other.
"""

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from marquee.adapters.deployment import (
    CanaryNotReadyError,
    DeploymentConflictError,
    DeploymentError,
    DeploymentStatus,
    DeploymentUnavailableError,
)
from marquee.adapters.object_store import ObjectStore
from marquee.errors import ConflictError, ObjectMissingError, ObjectStoreError

KEY: Final = "deployment.json"


class DeploymentDocument(BaseModel):
    """The document."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    generation: int = Field(default=1, ge=1)
    """Grows with each change, so that no two versions of the document are alike."""
    stable: str = Field(min_length=1)
    canary: str | None = None
    percent: int = Field(default=0, ge=0, le=100)
    ready: tuple[str, ...] = ()
    """Bundles that answer, as those who serve report."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.canary is None and self.percent) or self.canary == self.stable:
            raise ValueError("a share needs a canary, and a canary is another bundle than the stable one")
        return self


class DocumentDeployment:
    """As `Deployment`, on a document in a store."""

    def __init__(self, store: ObjectStore, key: str = KEY) -> None:
        self.store = store
        self.key = key

    def create(self, stable: str) -> DeploymentStatus:
        """Have a deployment of one bundle; nothing happens where there is a deployment already.

        Raises:
            DeploymentUnavailableError: the store does not answer.
        """
        document = DeploymentDocument(stable=stable, ready=(stable,))
        try:
            return _status(document, self.store.write(self.key, _encoded(document), expected=None))
        except ConflictError:
            return self.status()
        except ObjectStoreError as error:
            raise _unavailable(error) from error

    def report_ready(self, *bundles: str) -> DeploymentStatus:
        """Say which bundles answer, as whoever serves them does.

        Raises:
            DeploymentConflictError: somebody changed the document meanwhile.
        """
        document, version = self._read()
        return self._write(document, version, expect=version, ready=tuple(sorted(bundles)))

    def status(self) -> DeploymentStatus:
        """As `Deployment`."""
        return _status(*self._read())

    def set_canary(self, bundle: str, percent: int, *, expect: str) -> DeploymentStatus:
        """As `Deployment`."""
        document, version = self._read()
        if (document.canary, document.percent) == (bundle, percent):
            return _status(document, version)
        if bundle == document.stable:
            raise DeploymentError(f"bundle {bundle} is the stable one.", remedy="Give another as canary.")
        if percent and (document.canary != bundle or bundle not in document.ready):
            raise _not_ready(bundle)
        return self._write(document, version, expect=expect, canary=bundle, percent=percent)

    def promote(self, bundle: str, *, expect: str) -> DeploymentStatus:
        """As `Deployment`."""
        document, version = self._read()
        if (document.stable, document.canary) == (bundle, None):
            return _status(document, version)
        if document.canary != bundle or bundle not in document.ready:
            raise _not_ready(bundle)
        return self._write(document, version, expect=expect, stable=bundle, canary=None, percent=0)

    def drop_canary(self, *, expect: str) -> DeploymentStatus:
        """As `Deployment`."""
        document, version = self._read()
        if document.canary is None:
            return _status(document, version)
        return self._write(document, version, expect=expect, canary=None, percent=0)

    def _read(self) -> tuple[DeploymentDocument, str]:
        try:
            found = self.store.read(self.key)
            return DeploymentDocument.model_validate_json(found.content), found.version
        except ObjectMissingError as error:
            raise DeploymentError(
                f"{self.store.uri} holds no deployment.",
                remedy="Begin one: `marquee canary start --stable ID`.",
            ) from error
        except ValidationError as error:
            raise DeploymentError(
                f"{self.store.uri}/{self.key} is none of our documents: {error.errors()[0]['msg']}.",
                remedy="Restore it, or remove it and begin again.",
            ) from error
        except ObjectStoreError as error:
            raise _unavailable(error) from error

    def _write(
        self, old: DeploymentDocument, version: str, *, expect: str, **changes: object
    ) -> DeploymentStatus:
        if expect != version:
            raise _conflict()
        values = {"generation": old.generation + 1, **changes}
        new = DeploymentDocument.model_validate(old.model_dump() | values)
        try:
            return _status(new, self.store.write(self.key, _encoded(new), expected=version))
        except ConflictError as error:
            raise _conflict() from error
        except ObjectStoreError as error:
            raise _unavailable(error) from error


def _encoded(document: DeploymentDocument) -> bytes:
    return document.model_dump_json(indent=2).encode() + b"\n"


def _status(document: DeploymentDocument, version: str) -> DeploymentStatus:
    return DeploymentStatus(
        stable=document.stable,
        canary=document.canary,
        percent=document.percent,
        is_stable_ready=document.stable in document.ready,
        is_canary_ready=document.canary is not None and document.canary in document.ready,
        version=version,
        generation=document.generation,
    )


def _conflict() -> DeploymentConflictError:
    return DeploymentConflictError(
        "the deployment was changed by somebody else meanwhile.", remedy="Look at its status, decide again."
    )


def _not_ready(bundle: str) -> CanaryNotReadyError:
    return CanaryNotReadyError(f"canary {bundle} is not ready.", remedy="Wait until it answers.")


def _unavailable(error: ObjectStoreError) -> DeploymentUnavailableError:
    return DeploymentUnavailableError(error.problem, remedy=error.remedy)
