"""The door to the Kubeflow Pipelines API: a client for the place of the settings."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from kfp.client import Client
from kfp_server_api import ApiClient, ApiException, V2beta1Experiment

from marquee.errors import ConfigError, PipelineApiError
from marquee.settings import Settings
from pipelines.place import Place, TokenOfFile
from pipelines.rest import BoundedRest

PAGE: Final = 100
_ROOTS: Final = ("s3://", "gs://", "minio://")
_EQUALS, _IN = "EQUALS", "IN"


class _Client(Client):
    """kfp's client without what it finds in the user's home, such as another cluster's namespace."""

    def _load_context_setting_or_default(self) -> None:
        # With any namespace here it asks the server nothing while it is made; our requests name theirs.
        self._context_setting = {"namespace": "kubeflow"}


@dataclass(frozen=True)
class Api:
    """The API of one place, with the settings that go into requests."""

    client: Client
    place: Place
    settings: Settings

    def all(self, ask: Callable[..., Any], field: str, **given: Any) -> Iterator[Any]:  # noqa: ANN401 - generated
        """What a list holds on all of its pages."""
        token = ""
        while True:
            page = ask(page_token=token, page_size=PAGE, **_present(given))
            yield from getattr(page, field) or ()
            token = page.next_page_token or ""
            if not token:
                return

    def pipeline_id(self, name: str) -> str | None:
        """The id of a pipeline of the namespace, None where there is none.

        Raises:
            PipelineApiError: the API does not answer as it should.
        """
        ask = self.client.pipelines.pipeline_service_list_pipelines
        found = self.all(ask, "pipelines", namespace=self.place.namespace, filter=named(name))
        return next((str(one.pipeline_id) for one in found if one.display_name == name), None)

    def experiment_id(self) -> str:
        """The id of the experiment of the settings, which is made where there is none.

        Raises:
            PipelineApiError: the API does not answer as it should.
        """
        name, asks = self.settings.experiment, self.client.experiments
        if found := self._experiment(name):
            return found
        wanted = V2beta1Experiment(display_name=name, namespace=self.place.namespace)
        try:
            return known(asks.experiment_service_create_experiment(wanted).experiment_id, "experiment", self)
        except PipelineApiError as error:
            if error.status == 409 and (found := self._experiment(name)):  # somebody else made it just now
                return found
            raise

    def _experiment(self, name: str) -> str | None:
        ask = self.client.experiments.experiment_service_list_experiments
        found = self.all(ask, "experiments", namespace=self.place.namespace, filter=named(name))
        return next((str(one.experiment_id) for one in found if one.display_name == name), None)

    @property
    def pipeline_root(self) -> str | None:
        """Where steps write, None for the cluster's default."""
        return self.settings.pipeline_root or None

    @property
    def service_account(self) -> str | None:
        """Whose rights the pods have, None for the cluster's default."""
        return self.settings.service_account or None

    def run_url(self, run_id: str) -> str:
        """The page of a run."""
        return f"{self.place.host}/#/runs/details/{run_id}"


def connect(settings: Settings) -> Api:
    """A client for the API of the settings; nothing is asked yet.

    Raises:
        ConfigError: a setting is missing or does not fit.
    """
    place = Place.of(settings)
    if settings.pipeline_root and not settings.pipeline_root.startswith(_ROOTS):
        raise ConfigError(
            f"MARQUEE_PIPELINE_ROOT = {settings.pipeline_root!r} is no address that pods can write to.",
            remedy=f"Begin it with one of {', '.join(_ROOTS)}, or unset it for the cluster's default.",
        )
    token = TokenOfFile(place.token_file) if place.token_file else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it says each time that it needs KFP 2
        client = _Client(
            host=place.host,
            namespace=place.namespace or "kubeflow",
            credentials=token,
            ssl_ca_cert=place.ca_file,
        )
    api_client = client.runs.api_client
    api_client.rest_client = BoundedRest(api_client.configuration, place=place)
    api_client.deserialize = _reader(api_client, place)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it tells of each further try
    return Api(client, place, settings)


def _reader(api_client: ApiClient, place: Place) -> Callable[[Any, str], Any]:
    """The client's own reader of answers, whose errors are ours."""
    read = api_client.deserialize

    def deserialize(answer: Any, kind: str) -> Any:  # noqa: ANN401 - generated code
        try:
            return read(answer, kind)
        except (ApiException, AttributeError, TypeError, ValueError) as error:
            raise PipelineApiError(
                f"{place.host} answered what is no {kind}: {error}.".replace("\n", " "),
                remedy="Check that MARQUEE_KFP_HOST is Kubeflow Pipelines 2.0 or newer.",
            ) from error

    return deserialize


def named(name: str) -> str:
    """A filter for what has this display name; the server compares without regard to case."""
    return _filter("display_name", _EQUALS, {"string_value": name})


def in_states(states: tuple[str, ...]) -> str:
    """A filter for runs in one of these states."""
    return _filter("state", _IN, {"string_values": {"values": list(states)}})


def _filter(key: str, operation: str, value: dict[str, Any]) -> str:
    return json.dumps({"predicates": [{"operation": operation, "key": key, **value}]})


def reference_of(one: Any) -> dict[str, str]:  # noqa: ANN401 - kfp has no types
    """Which pipeline and version a run or recurring run is of; empty where it is of none."""
    found = one.pipeline_version_reference
    return found.to_dict() if found else {}


def known(value: str | None, what: str, api: Api) -> str:
    """An id that the API must have given.

    Raises:
        PipelineApiError: it did not.
    """
    if not value:
        raise PipelineApiError(
            f"{api.place.host} answered without the id of the {what}.",
            remedy="Check that MARQUEE_KFP_HOST is Kubeflow Pipelines 2.0 or newer.",
        )
    return str(value)


def _present(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
