"""A profile: one of the YAML files that say which stores a place has, with its variables filled in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import yaml
from feast import RepoConfig
from feast.errors import FeastError, FeastModuleImportError
from pydantic import ValidationError

from marquee.errors import ConfigError

STATE_ROOT: Final = "state_root"
"""Our key of a profile: where the views' folders are, a path or an address."""
STATE_ENDPOINT: Final = "state_endpoint"
"""Our key for S3 that is not Amazon's: its address; may be left out."""
_LOSES_ROWS: Final = ("file", "dask", "feast.infra.offline_stores.dask.DaskOfflineStore")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, eq=False)
class Profile:
    """Feast's configuration and the place of the state."""

    name: str
    config: RepoConfig
    state_root: str
    state_endpoint: str | None = None

    @classmethod
    def of(cls, name: str, *, repo: Path, environment: Mapping[str, str]) -> "Profile":
        """Read `<repo>/profiles/<name>.yaml`, or the file `name` where it ends in .yaml.

        Args:
            name: of the profile.
            repo: the feature repository.
            environment: values of the `${VARIABLES}`.

        Raises:
            ConfigError: no such profile, a variable without a value, a key or value that does not fit, a
                store that is not installed, or one that loses rows.
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
        state_root, endpoint = str(content.pop(STATE_ROOT)), content.pop(STATE_ENDPOINT, None)
        return cls(path.stem, _config(content, path, repo), state_root, endpoint and str(endpoint))

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
    _require_known(content, RepoConfig, path)
    try:
        config = RepoConfig(**content, repo_path=repo)
        stores = {"online_store": config.online_store, "offline_store": config.offline_store}
    except FeastModuleImportError as err:
        raise ConfigError(
            f"profile {path} names a store whose part of Feast is not installed: {err}",
            remedy='Install it, as pip install "feast[aws]" (dynamodb) or "feast[spark]" (spark).',
        ) from err
    except (ValidationError, FeastError, ValueError) as err:
        raise ConfigError(
            f"profile {path} does not fit: {_reason(err)}.", remedy="Mend the profile."
        ) from err
    if isinstance(content.get("registry"), dict):
        _require_known(content["registry"], type(config.registry), path, within="registry.")
    for name, store in stores.items():
        if isinstance(content.get(name), dict):
            _require_known(content[name], type(store), path, within=f"{name}.")
    if getattr(config.offline_store, "type", None) in _LOSES_ROWS:
        raise ConfigError(
            f"profile {path}: offline_store.type {config.offline_store.type} silently drops label rows.",
            remedy="Use marquee.adapters.feast_offline.AsofOfflineStore.",
        )
    return config


def _require_known(content: dict[str, Any], model: type, path: Path, *, within: str = "") -> None:
    """Refuse a key that no model reads: Feast would ignore it, and take its default instead."""
    fields: dict[str, Any] = getattr(model, "model_fields", {})
    known = {field.alias or name for name, field in fields.items()} | set(fields)
    for key, value in content.items():
        if fields and key not in known:
            near = get_close_matches(str(key), sorted(known), n=1)
            raise ConfigError(
                f"profile {path} has a key that nothing reads: {within}{key} = {value!r}.",
                remedy=f"Did you mean {within}{near[0]}?" if near else "Remove it.",
            )


def _reason(err: Exception) -> str:
    """What does not fit: the key and the value seen, where they are known."""
    if not isinstance(err, ValidationError):
        return " ".join(str(err).split())
    first = err.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "(top level)"
    seen = first["input"]
    shown = "" if isinstance(seen, dict) else f" = {seen!r}"
    return f"{key}{shown}: {first['msg']}"
