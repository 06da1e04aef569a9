"""What custom resources have in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
"""An object's name: RFC 1123."""
Duration = Annotated[str, StringConstraints(pattern=r"^(\d+(ms|[smhdwy]))+$")]
"""Prometheus' and Go's: 30s, 1h30m."""
Port = Annotated[int, Field(ge=1, le=65_535)]


class Strict(BaseModel):
    """Names every field that may be there, and takes no text for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Metadata(Strict):
    """Of an object that is to be made: what only the server writes is not here."""

    name: Name
    namespace: Name | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Resource(Strict):
    """An object."""

    apiVersion: str  # noqa: N815 - Kubernetes' name
    kind: str
    metadata: Metadata


class Expression(Strict):
    """One demand of a selector."""

    key: str
    operator: Annotated[str, StringConstraints(pattern="^(In|NotIn|Exists|DoesNotExist)$")]
    values: list[str] = Field(default_factory=list)


class Selector(Strict):
    """Which objects are meant."""

    matchLabels: dict[str, str] = Field(default_factory=dict)  # noqa: N815
    matchExpressions: list[Expression] = Field(default_factory=list)  # noqa: N815


def exactly_one(model: BaseModel, *names: str) -> None:
    """Check that one of several fields is given.

    Raises:
        ValueError: none is, or more than one.
    """
    given: list[Any] = [name for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        raise ValueError(f"exactly one of {', '.join(names)} is wanted, and {len(given)} are given")
