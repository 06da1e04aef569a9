"""ExternalSecret v1: which Secret is made of what, by reference.

Source: external-secrets.io/latest/api/externalsecret, external-secrets.io/v1.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from k8s.checks.custom.parts import Duration, Name, Resource, Strict

Key = Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]
RemoteKey = Annotated[str, StringConstraints(min_length=1, pattern=r"^\S+$")]


class StoreReference(Strict):
    """Where the secrets are."""

    name: Name
    kind: Literal["SecretStore", "ClusterSecretStore"]


class Target(Strict):
    """The Secret."""

    name: Name
    creationPolicy: Literal["Owner", "Orphan", "Merge", "None"] = "Owner"  # noqa: N815
    deletionPolicy: Literal["Delete", "Merge", "Retain"] = "Retain"  # noqa: N815


class RemoteReference(Strict):
    """A secret of the store."""

    key: RemoteKey
    property: str | None = None
    version: str | None = None


class Datum(Strict):
    """One key of the Secret."""

    secretKey: Key  # noqa: N815
    remoteRef: RemoteReference  # noqa: N815


class Extract(Strict):
    """All keys of one secret."""

    extract: RemoteReference


class ExternalSecretSpec(Strict):
    """What is made of what."""

    refreshInterval: Duration  # noqa: N815
    secretStoreRef: StoreReference  # noqa: N815
    target: Target
    data: Annotated[list[Datum], Field(min_length=1)] | None = None
    dataFrom: Annotated[list[Extract], Field(min_length=1)] | None = None  # noqa: N815

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if self.data is None and self.dataFrom is None:
            raise ValueError("neither data nor dataFrom is given: the Secret would be empty")
        return self


class ExternalSecret(Resource):
    """The object."""

    spec: ExternalSecretSpec
