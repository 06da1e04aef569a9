"""One InferenceService over the Kubernetes API: read, create, replace; each with a timeout, as dictionaries.

A change is a `replace` with the version that was read: `patch` of the Python clients drops what is None, and
could not remove a canary.
"""

import json
import time
from collections.abc import Callable
from typing import Any, Final, Self

from kubernetes import client, config
from pydantic import BaseModel, ConfigDict, Field
from yaml import YAMLError

from marquee.adapters.deployment import DeploymentError, DeploymentUnavailableError
from marquee.adapters.kubernetes.address import Address
from marquee.adapters.kubernetes.arms import Manifest
from marquee.adapters.kubernetes.faults import ObjectAbsentError, cluster_errors
from marquee.errors import ConfigError

_KIND: Final = ("serving.kserve.io", "v1beta1")
_PLURAL: Final = "inferenceservices"
_OWNER: Final = "serving.kserve.io/inferenceservice"
"""Label that KServe gives to an InferenceService's pods."""


class ClusterConfig(BaseModel):
    """How the cluster is spoken to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect_timeout_s: float = Field(default=5, gt=0, le=60)
    """For a connection to be made."""
    read_timeout_s: float = Field(default=20, gt=0, le=300)
    """For an answer; webhooks may take ten seconds of it."""
    attempts: int = Field(default=5, ge=1, le=20)
    """Of a reading, and of a change: how often it is decided and written."""
    pause_s: float = Field(default=0.5, ge=0, le=60)
    """Before the second attempt; twice as long before each further one, 10 seconds at most."""


class ClusterApi:
    """Speaks to the API server about one InferenceService. To be closed."""

    def __init__(
        self,
        api: client.ApiClient,
        address: Address,
        *,
        settings: ClusterConfig | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address = address
        self.config = settings or ClusterConfig()
        self.sleep = sleep
        self._client = api
        self._objects = client.CustomObjectsApi(api)
        self._timeout = (self.config.connect_timeout_s, self.config.read_timeout_s)

    @classmethod
    def at(cls, address: Address, settings: ClusterConfig | None = None) -> Self:
        """With the kubeconfig that kubectl uses, or a pod's own ServiceAccount where there is none.

        Raises:
            ConfigError: there is neither, or no such context.
        """
        made = client.Configuration()
        made.retries = False  # the client's own retries would repeat a write without looking
        try:
            config.load_kube_config(context=address.context, client_configuration=made)
        except (config.ConfigException, OSError, ValueError, YAMLError) as error:
            if address.context is not None or not _is_pod(made):
                raise ConfigError(
                    f"no way to a cluster: {str(error).rstrip('.')}.",
                    remedy="Set KUBECONFIG, or name a context: kubectl config get-contexts lists them.",
                ) from error
        return cls(client.ApiClient(made), address, settings=settings)

    def close(self) -> None:
        """Give the connections back."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()

    def get(self) -> Manifest | None:
        """The object with its status, None where there is none.

        Raises:
            DeploymentUnavailableError: no answer, after all attempts.
            DeploymentError: it refuses, or does not know InferenceServices.
        """
        try:
            return self._patiently(
                lambda: self._objects.get_namespaced_custom_object(
                    *_KIND,
                    self.address.namespace,
                    _PLURAL,
                    self.address.name,
                    _request_timeout=self._timeout,
                )
            )
        except ObjectAbsentError:
            return None

    def create(self, manifest: Manifest) -> Manifest:
        """Make the object.

        Raises:
            DeploymentConflictError: it is there by now.
            DeploymentUnavailableError: no answer: it may have been made.
            DeploymentError: it refuses for good.
        """
        with cluster_errors(f"create {self.address}", self.address.name):
            made: Manifest = self._objects.create_namespaced_custom_object(
                *_KIND, self.address.namespace, _PLURAL, manifest, _request_timeout=self._timeout
            )
        return made

    def replace(self, manifest: Manifest) -> Manifest:
        """Write the object if it still has the version that the manifest names.

        Raises:
            DeploymentConflictError: it has another one by now; nothing was changed.
            DeploymentUnavailableError: no answer: it may have been changed.
            DeploymentError: it refuses for good.
        """
        with cluster_errors(f"change {self.address}", self.address.name):
            made: Manifest = self._objects.replace_namespaced_custom_object(
                *_KIND,
                self.address.namespace,
                _PLURAL,
                self.address.name,
                manifest,
                _request_timeout=self._timeout,
            )
        return made

    def deployment_of(self, predictor: str | None) -> dict[str, Any] | None:
        """The Deployment of a predictor's pods, None where there is none yet.

        Raises:
            DeploymentError: as `get`.
        """
        parts = [self.address.name, predictor, "predictor"]
        name = "-".join(part for part in parts if part)
        apps = client.AppsV1Api(self._client)
        try:
            return self._patiently(
                lambda: _decoded(
                    apps.read_namespaced_deployment(
                        name, self.address.namespace, _preload_content=False, _request_timeout=self._timeout
                    )
                ),
                name=name,
            )
        except ObjectAbsentError:
            return None

    def pods(self) -> list[dict[str, Any]]:
        """Its pods; none where we may not look, as only words for people depend on them."""
        core = client.CoreV1Api(self._client)
        try:
            with cluster_errors(f"list the pods of {self.address}", self.address.name):
                answer = core.list_namespaced_pod(
                    self.address.namespace,
                    label_selector=f"{_OWNER}={self.address.name}",
                    _preload_content=False,
                    _request_timeout=self._timeout,
                )
                return list(_decoded(answer).get("items") or [])
        except DeploymentError:
            return []

    def pause_before(self, attempt: int) -> None:
        """Wait between attempts, longer each time.

        Args:
            attempt: the number of the one to come, from 1 on.
        """
        self.sleep(min(10.0, self.config.pause_s * 2 ** (attempt - 1)))

    def _patiently(self, read: Callable[[], dict[str, Any]], *, name: str | None = None) -> dict[str, Any]:
        for attempt in range(1, self.config.attempts):
            try:
                return self._once(read, name)
            except DeploymentUnavailableError:
                self.pause_before(attempt)
        return self._once(read, name)

    def _once(self, read: Callable[[], dict[str, Any]], name: str | None) -> dict[str, Any]:
        with cluster_errors(f"read {self.address}", name or self.address.name):
            found = read()
            if not isinstance(found, dict):
                raise ValueError(f"{type(found).__name__} in place of an object")
            return found


def _is_pod(made: client.Configuration) -> bool:
    """Whether this is a pod with a ServiceAccount's token, which is then used."""
    try:
        config.load_incluster_config(client_configuration=made)
    except config.ConfigException:
        return False
    return True


def _decoded(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - the client's undeserialised answer
    """The JSON object of an answer, whose connection is given back."""
    try:
        values: dict[str, Any] = json.loads(answer.data)
    finally:
        answer.release_conn()
    return values
