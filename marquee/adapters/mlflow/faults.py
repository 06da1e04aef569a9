"""What may go wrong between here and MLflow, as errors that name the store and the remedy."""

import re

from marquee.errors import MarqueeError

_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")
_UNREACHABLE = "Max retries exceeded"
"""urllib3's words for a server that is down, hidden in one long line."""
_LONGEST = 300
"""Characters of MLflow's own words that an error repeats."""


class TrackingError(MarqueeError):
    """A tracking store that is down, broken, or refuses what it was given."""


class RegistryError(MarqueeError):
    """A version that is not registered, or a registry that can't do what was asked."""


class PromotionRefusedError(RegistryError):
    """A version that may not become the champion: the gate refused it, or the champion changed meanwhile."""

    exit_code = 1


def without_password(text: str) -> str:
    """A text with the user and password of each address in it left out."""
    return _PASSWORD.sub("***@", text)


def tracking_error(uri: str, error: Exception) -> TrackingError:
    """The error to raise for one of MLflow's, of its database's or of the network's.

    Args:
        uri: the tracking store's address.
        error: what was raised.
    """
    if _UNREACHABLE in str(error):
        return TrackingError(
            f"the tracking store {without_password(uri)} does not answer.", remedy=_remedy(uri, "")
        )
    words = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    said = without_password(words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…")
    return TrackingError(
        f"the tracking store {without_password(uri)} does not do its work: {said.rstrip('.')}.",
        remedy=_remedy(uri, str(error)),
    )


def _remedy(uri: str, said: str) -> str:
    if "out-of-date database schema" in said:
        return "Copy the database, then run `mlflow db upgrade` with its address."
    if uri.startswith("sqlite:"):
        return (
            "Move that file away (run folders stay as they are), or set MLFLOW_TRACKING_URI to another store."
        )
    return "Start the server, or check MLFLOW_TRACKING_URI and its credentials."
