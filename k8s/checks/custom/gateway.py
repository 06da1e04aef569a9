"""HTTPRoute of Gateway API v1: routes by path and header to Services.

Source: gateway-api.sigs.k8s.io/reference/spec, release 1.2, gateway.networking.k8s.io/v1.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from k8s.checks.custom.parts import Duration, Name, Port, Resource, Strict

Host = Annotated[
    str,
    StringConstraints(pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$", max_length=256)]
MatchType = Literal["Exact", "RegularExpression"]


class ParentReference(Strict):
    """The gateway that a route hangs on."""

    name: Name
    namespace: Name | None = None
    sectionName: Name | None = None  # noqa: N815
    port: Port | None = None


class PathMatch(Strict):
    """Which paths."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"]
    value: Annotated[str, StringConstraints(pattern="^/", max_length=1_024)]


class HeaderMatch(Strict):
    """Which value of a header."""

    type: MatchType = "Exact"
    name: HeaderName
    value: Annotated[str, StringConstraints(min_length=1, max_length=4_096)]


class RouteMatch(Strict):
    """All of them have to hold."""

    path: PathMatch
    headers: Annotated[list[HeaderMatch], Field(max_length=16)] = Field(default_factory=list)
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] | None = None


class BackendReference(Strict):
    """A Service of the same namespace, and its share."""

    name: Name
    port: Port
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1


class Timeouts(Strict):
    """How long a request may take."""

    request: Duration | None = None
    backendRequest: Duration | None = None  # noqa: N815


class RouteRule(Strict):
    """Requests, and where they go."""

    matches: Annotated[list[RouteMatch], Field(min_length=1, max_length=64)]
    backendRefs: Annotated[list[BackendReference], Field(min_length=1, max_length=16)]  # noqa: N815
    timeouts: Timeouts | None = None


class RouteSpec(Strict):
    """A route."""

    parentRefs: Annotated[list[ParentReference], Field(min_length=1, max_length=32)]  # noqa: N815
    hostnames: Annotated[list[Host], Field(min_length=1, max_length=16)]
    rules: Annotated[list[RouteRule], Field(min_length=1, max_length=16)]


class HTTPRoute(Resource):
    """The object."""

    spec: RouteSpec
