"""What the cluster's refusals mean, and what to do about them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from kubernetes.client.exceptions import ApiException, ApiTypeError, ApiValueError
from urllib3.exceptions import HTTPError

from marquee.adapters.deployment import (
    DeploymentConflictError,
    DeploymentError,
    DeploymentUnavailableError,
)

PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Faults of the server's own, of which the next attempt may know nothing."""

_REMEDIES: Final = {
    401: "Renew the kubeconfig's credentials.",
    403: "Have a role bound that allows it, or use another context.",
}
_REMEDY: Final = "Correct what it names; nothing was changed."


class ObjectAbsentError(DeploymentError):
    """The cluster knows the kind and the namespace, and has no such object."""


@contextmanager
def cluster_errors(what: str, name: str) -> Iterator[None]:
    """Turn the client's exceptions into ours.

    Args:
        what: is asked, for the message: "read k8s://films/marquee".
        name: of the object.
    """
    try:
        yield
    except ApiException as error:
        raise _refusal(error, what, name) from error
    except (HTTPError, OSError) as error:
        raise DeploymentUnavailableError(
            f"could not {what}: {_first_line(str(error))}.",
            remedy="Check that the API server is in reach: kubectl get --raw /readyz. Then ask again.",
        ) from error
    except (ApiTypeError, ApiValueError, ValueError) as error:
        raise DeploymentUnavailableError(
            f"could not {what}: the answer is not the API's: {_first_line(str(error))}.",
            remedy="Check the kubeconfig's address, and any proxy before it.",
        ) from error


def _refusal(error: ApiException, what: str, name: str) -> DeploymentError:
    status = _status_of(error)
    said = _first_line(str(status.get("message") or error.reason or "no reason"))
    problem = f"could not {what}: {error.status}: {said}."
    if error.status == 409:
        return DeploymentConflictError(problem, remedy="Look at its status, decide again.")
    if error.status in PASSING:
        return DeploymentUnavailableError(problem, remedy="Ask again; the server's log says what ails it.")
    if error.status == 404:
        return _absent(status, problem, name)
    return DeploymentError(problem, remedy=_REMEDIES.get(error.status, _REMEDY))


def _absent(status: dict[str, Any], problem: str, name: str) -> DeploymentError:
    """Which of the three is missing: the object, its namespace, or the kind."""
    details = status.get("details") or {}
    if details.get("kind") == "namespaces":
        return DeploymentError(problem, remedy=f"Make it: kubectl create namespace {details.get('name')}.")
    if details.get("name") == name:
        return ObjectAbsentError(problem, remedy="Make it with `marquee deploy apply --manifest FILE`.")
    return DeploymentError(
        problem, remedy="Install KServe, 0.21 or newer: the cluster does not know InferenceServices."
    )


def _status_of(error: ApiException) -> dict[str, Any]:
    """The Status object that the API answers with; empty where a proxy answered."""
    try:
        values = json.loads(error.body or "")
    except (ValueError, TypeError):
        return {}
    return values if isinstance(values, dict) else {}


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(".")[:400]
