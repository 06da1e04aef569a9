"""A message to people: JSON with a `text` to a webhook, as Slack, Mattermost and others take it."""

import http.client
import json
import urllib.request
from typing import Final
from urllib.parse import urlsplit

from marquee.errors import ConfigError

TIMEOUT_S: Final = 10.0


def post_text(url: str, text: str) -> str | None:
    """Post a message; what went wrong, None if nothing did.

    The address is a secret by itself: what is returned names its host only.

    Raises:
        ConfigError: the address is none of http or https.
    """
    host = _host_of(url)
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310 - likewise
            return None
    except http.client.InvalidURL:  # says which part of the address it does not like
        return f"{host} did not take the message: MARQUEE_NOTIFY_URL can't be read."
    except (http.client.HTTPException, OSError, ValueError) as error:
        return f"{host} did not take the message: {error}"


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port  # only asking for it finds out that it is no number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(
            "MARQUEE_NOTIFY_URL is no http(s) address.", remedy="Set it to the URL of a webhook, or unset it."
        )
    return parts.hostname
