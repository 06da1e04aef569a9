"""A profile: one of the YAML files that say which stores a place has, with its variables filled in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from feast import RepoConfig
from feast.errors import FeastError, FeastModuleImportError
from pydantic import ValidationError

from marquee.errors import ConfigError

STATE_ROOT: Final = "state_root"
"""Our key of a profile: where the views' folders are, a path or an address."""
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, eq=False)
class Profile:
    """Feast's configuration and the place of the state."""

    name: str
    config: RepoConfig
    state_root: str

    @classmethod
    def of(cls, name: str, *, repo: Path, environment: Mapping[str, str]) -> "Profile":
        """Read `<repo>/profiles/<name>.yaml`, or the file `name` where it ends in .yaml.

        Args:
            name: of the profile.
            repo: the feature repository.
            environment: values of the `${VARIABLES}`.

        Raises:
            ConfigError: no such profile, a variable without a value, or a key or value that does not fit.
        """
        path = Path(name) if name.endswith(".yaml") else repo / "profiles" / f"{name}.yaml"
        values = _filled(_text(path, repo=repo), path, environment)
        try:
            content = yaml.safe_load(values)
        except yaml.YAMLError as err:
            raise ConfigError(f"{path} is no YAML: {err}.", remedy="Mend the file.") from err
        if not isinstance(content, dict) or STATE_ROOT not in content:
            raise ConfigError(
                f"{path} has no {STATE_ROOT}.", remedy=f"Add `{STATE_ROOT}:`, where the views' folders are."
            )
        state_root = str(content.pop(STATE_ROOT))
        return cls(path.stem, _config(content, path, repo), state_root)

    @property
    def registry_file(self) -> Path | None:
        """The registry where it is a local file."""
        registry = self.config.registry
        path = registry if isinstance(registry, str) else registry.path
        kind = "file" if isinstance(registry, str) else registry.registry_type
        return Path(path) if kind == "file" and "://" not in path else None

    def source_path(self, relative: str) -> str:
        """Where a view's folder is."""
        return f"{self.state_root.rstrip('/')}/{relative}"


def _text(path: Path, *, repo: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as err:
        known = ", ".join(sorted(each.stem for each in (repo / "profiles").glob("*.yaml"))) or "none"
        raise ConfigError(
            f"profile {path} can't be read: {err.strerror}; {repo} has: {known}.",
            remedy="Name one of those, or a .yaml file; MARQUEE_FEATURE_REPO names the folder.",
        ) from err


def _filled(text: str, path: Path, environment: Mapping[str, str]) -> str:
    """Text with values for `${VARIABLES}`; Feast itself would leave an unset one as it is."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    body = "\n".join(lines)
    unset = sorted({name for name in _VARIABLE.findall(body) if not environment.get(name)})
    if unset:
        raise ConfigError(
            f"profile {path} needs {', '.join(unset)}, which the environment does not set.",
            remedy=f"Set {unset[0]}=… or choose another profile.",
        )
    return _VARIABLE.sub(lambda found: environment[found[1]], body)


def _config(content: dict[str, Any], path: Path, repo: Path) -> RepoConfig:
    try:
        config = RepoConfig(**content, repo_path=repo)
        _ = config.online_store, config.offline_store  # loads the stores' own settings
    except FeastModuleImportError as err:
        raise ConfigError(
            f"profile {path} names a store whose part of Feast is not installed: {err}",
            remedy='Install it, as pip install "feast[aws]" (dynamodb) or "feast[spark]" (spark).',
        ) from err
    except (ValidationError, FeastError, ValueError) as err:
        reason = err.errors()[0]["msg"] if isinstance(err, ValidationError) else str(err)
        raise ConfigError(f"profile {path} does not fit: {reason}.", remedy="Mend the profile.") from err
    return config
