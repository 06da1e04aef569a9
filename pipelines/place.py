"""Where the Kubeflow Pipelines API is, and as whom it is asked."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import kfp.client
from kfp.client.token_credentials_base import TokenCredentialsBase

from marquee.errors import ConfigError
from marquee.settings import Settings

TO_GET_ACCESS: Final = (
    "In a pod, project a ServiceAccount token for the audience pipelines.kubeflow.org; elsewhere write "
    "`kubectl create token ACCOUNT --audience=pipelines.kubeflow.org` to a file and name it in "
    "MARQUEE_KFP_TOKEN_FILE."
)


@dataclass(frozen=True)
class Place:
    """Where the API is, and as whom it is asked."""

    host: str
    namespace: str | None
    token_file: Path | None
    ca_file: str | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Check the settings.

        Raises:
            ConfigError: there is no host, or a setting does not fit.
        """
        host = (settings.kfp_host or os.environ.get("KF_PIPELINES_ENDPOINT", "")).rstrip("/")
        parts = urlsplit(host)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(
                f"MARQUEE_KFP_HOST = {host!r} is no http(s) address of Kubeflow Pipelines.",
                remedy="In the cluster it is http://ml-pipeline.kubeflow:8888; from outside, forward a port: "
                "`kubectl -n kubeflow port-forward svc/ml-pipeline 8888`, then http://localhost:8888.",
            )
        if settings.kfp_ca_file and not Path(settings.kfp_ca_file).is_file():
            raise ConfigError(
                f"MARQUEE_KFP_CA_FILE = {settings.kfp_ca_file!r} is no file.", remedy="Mend it, or unset it."
            )
        return cls(host, settings.kfp_namespace or None, _token_file(settings), settings.kfp_ca_file or None)


def _token_file(settings: Settings) -> Path | None:
    """The file of the token: as set, else where Kubernetes projects it, else none."""
    given = settings.kfp_token_file or os.environ.get(kfp.client.KF_PIPELINES_SA_TOKEN_ENV, "")
    if given:
        read_token(Path(given))
        return Path(given)
    usual = Path(kfp.client.KF_PIPELINES_SA_TOKEN_PATH)
    return usual if usual.is_file() else None


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        ConfigError: the file can't be read, or holds something else.
    """
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"The token file {path} can't be read: {why}.", remedy=TO_GET_ACCESS) from error
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"The token file {path} holds no token.", remedy=TO_GET_ACCESS)
    return token


class TokenOfFile(TokenCredentialsBase):
    """Reads the token again for each request: Kubernetes puts a new one there before the old one ends."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def refresh_api_key_hook(self, config: Any) -> None:  # noqa: ANN401 - generated code
        """Put the token into a client's configuration."""
        config.api_key["authorization"] = read_token(self._path)
