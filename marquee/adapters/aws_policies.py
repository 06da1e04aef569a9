"""The IAM policies of k8s/aws, filled in: each placeholder checked, so that none can widen a policy."""

import json
from pathlib import Path
from string import Template
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marquee.errors import ConfigError

TEMPLATES: Final = Path(__file__).resolve().parents[2] / "k8s" / "aws"
"""Beside the package, in the repository."""
_WORD: Final = r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$"
_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


class Place(BaseModel):
    """The names of one account; none of them can hold a wildcard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str = Field(pattern=r"^[0-9]{12}$")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")
    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    prefix: str = Field(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")
    """Of keys in the bucket; bundles lie at prefix/models/bundles/."""
    github: str = Field(pattern=r"^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$")
    """Owner and name of the repository whose workflows may push images."""
    oidc: str = Field(pattern=r"^[a-z0-9.-]+(/[A-Za-z0-9._-]+)*$")
    """The cluster's issuer without https://."""
    cluster: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")
    """Of EKS."""
    namespace: str = Field(pattern=_LABEL)
    kubeflow: str = Field(pattern=_LABEL)
    """The namespace of the pipelines' steps."""
    project: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    """Feast's: its DynamoDB tables are called project.view."""
    repository: str = Field(pattern=_WORD)

    @classmethod
    def of(cls, **values: str) -> Self:
        """From what a user gave.

        Raises:
            ConfigError: a value does not fit.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            (fault, *_) = error.errors()
            raise ConfigError(
                f"--{fault['loc'][0]} = {fault['input']!r} does not fit: {fault['msg']}.",
                remedy="Give the plain name, without a wildcard; the account has twelve digits.",
            ) from error


def policies(place: Place, templates: Path = TEMPLATES) -> dict[str, dict[str, Any]]:
    """Every policy by its file's name.

    Raises:
        ConfigError: a template is missing, is no JSON, or has a placeholder that is unknown.
    """
    files = sorted(templates.glob("*.json"))
    if not files:
        raise ConfigError(f"{templates} holds no policy.", remedy="Run it in a clone of the repository.")
    return {file.name: _filled(file, place) for file in files}


def write_policies(place: Place, folder: Path) -> list[Path]:
    """Write every policy to a folder, which is made; the files.

    Raises:
        ConfigError: as `policies`, or the folder can't be written.
    """
    made = policies(place)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, policy in made.items():
            (folder / name).write_text(json.dumps(policy, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {folder} can't be written: {error}.", remedy="Name another one.") from error
    return [folder / name for name in made]


def _filled(file: Path, place: Place) -> dict[str, Any]:
    try:
        text = Template(file.read_text(encoding="utf-8")).substitute(place.model_dump())
        policy: dict[str, Any] = json.loads(text)
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(
            f"{file} can't be filled in: {error}.", remedy="Restore it: git checkout."
        ) from error
    return policy
