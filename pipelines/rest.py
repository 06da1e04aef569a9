"""Requests to the Kubeflow Pipelines API: how long an answer may take, and what an error means."""

import json
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from kfp_server_api import ApiException
from kfp_server_api.rest import RESTClientObject

from marquee.errors import PipelineApiError
from pipelines.place import TO_GET_ACCESS, Place

CONNECT_S: Final = 5.0
READ_S: Final = 30.0
PAUSE_S: Final = 0.5
"""Before the second try; twice that before the third."""


class BoundedRest(RESTClientObject):  # type: ignore[misc,unused-ignore] # generated code without types
    """Limits of time, a few more tries where they do no harm, and errors that say what to do.

    What never reached the server is tried again; so is what only reads or deletes after an answer of
    5xx or a lost connection. A POST that may have arrived is not.
    """

    def __init__(self, configuration: Any, *, place: Place) -> None:  # noqa: ANN401 - generated code
        configuration.retries = _retries()
        super().__init__(configuration)
        self._place = place

    def request(self, method: str, url: str, **given: Any) -> Any:  # noqa: ANN401 - generated code
        """Perform a request.

        Raises:
            PipelineApiError: there was no answer, or one that does not help.
        """
        given["_request_timeout"] = (CONNECT_S, READ_S)
        asked = f"{method} {urlsplit(url).path}"
        try:
            answer = super().request(method, url, **given)
        except ApiException as error:
            if not error.status:  # TLS
                raise self._unreachable(asked, str(error.reason), sent=False) from error
            raise self._refused(asked, error) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(asked, _reason(error), sent=_may_have_arrived(method, error)) from error
        if answer.data and not _is_json(answer.data):
            raise PipelineApiError(
                f"{self._place.host} answered {asked} without JSON, perhaps with a page to log in.",
                remedy="MARQUEE_KFP_HOST must be the address of Kubeflow Pipelines itself; "
                + self._about_token(),
                status=answer.status,
            )
        return answer

    def _refused(self, asked: str, error: ApiException) -> PipelineApiError:
        where = f" in namespace {self._place.namespace}" if self._place.namespace else ""
        said = _message(error.body)
        problem = f"{self._place.host} answered {asked} with {error.status} {error.reason or ''}".rstrip()
        if 300 <= error.status < 400 or error.status == 401:
            remedy = self._about_token()
        elif error.status == 403:
            remedy = (
                f"Bind the token's account to the role kubeflow-edit{where or ' in the profile namespace'}, "
                f"and check MARQUEE_KFP_NAMESPACE. {self._about_token()}"
            )
        elif error.status == 404:
            remedy = (
                "Check that MARQUEE_KFP_HOST is Kubeflow Pipelines 2 (a gateway may want /pipeline "
                "at its end), and `marquee pipeline list` for what is there."
            )
        elif error.status >= 500:
            remedy = "Try again later; if it stays, look at the log of the deployment ml-pipeline."
        else:
            remedy = "Mend what it names, and ask again."
        return PipelineApiError(f"{problem}{said}.", remedy=remedy, status=error.status)

    def _unreachable(self, asked: str, why: str, *, sent: bool) -> PipelineApiError:
        remedy = "Check MARQUEE_KFP_HOST, the port-forward, and that the deployment ml-pipeline is up."
        if sent:
            remedy += " It may have arrived: look at `marquee pipeline list` before you ask again."
        return PipelineApiError(f"{self._place.host} gave no answer to {asked}: {why}.", remedy=remedy)

    def _about_token(self) -> str:
        if self._place.token_file is None:
            return f"No token was sent. {TO_GET_ACCESS}"
        sent = f"The token of {self._place.token_file} was sent; is it expired, or of another audience?"
        return f"{sent} {TO_GET_ACCESS}"


def _may_have_arrived(method: str, error: urllib3.exceptions.HTTPError) -> bool:
    reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    never = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    return method not in {"GET", "DELETE"} and not isinstance(reason, never)


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """What went wrong, without the names of Python's objects."""
    reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason else error
    if isinstance(reason, urllib3.exceptions.ProtocolError) and len(reason.args) > 1:
        reason = reason.args[1]
    return str(reason).rpartition("): ")[2].rstrip(".") or type(reason).__name__


def _message(body: str | bytes | None) -> str:
    """What the server says of an error, on one line; nothing of a page of HTML."""
    try:
        values = json.loads(body or "")
    except ValueError:
        return ""
    text = (
        values.get("message") or values.get("error") or values.get("error_message")
        if isinstance(values, dict)
        else ""
    )
    line = " ".join(str(text or "").split()).rstrip(".")
    return f": {line[:300]}" if line else ""


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def _retries() -> urllib3.Retry:
    return urllib3.Retry(
        total=2,
        redirect=0,
        allowed_methods={"GET", "DELETE"},
        status_forcelist={500, 502, 503, 504},
        backoff_factor=PAUSE_S,
        raise_on_redirect=False,
        raise_on_status=False,
        retry_after_max=5,
    )
