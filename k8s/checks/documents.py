"""YAML documents as the API server reads them: a key twice is an error, not the last one's victory."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from marquee.errors import ConfigError

_PATCH = re.compile(r"^- (\{?op:)", re.MULTILINE)


if TYPE_CHECKING:
    _Safe = yaml.SafeLoader
else:
    # The same in C, where PyYAML was built with it: ten times as fast.
    _Safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_Safe):
    """As SafeLoader, and a repeated key is refused; merge keys (`<<`) keep working."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands here twice", key.start_mark
                )
            seen.add(key.value)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def read_documents(text: str, *, where: str) -> list[dict[str, Any]]:
    """The objects of a stream; empty documents are left out.

    Raises:
        ConfigError: it is no YAML, a key stands twice, or a document is no mapping.
    """
    try:
        found = [value for value in yaml.load_all(text, Loader=_StrictLoader) if value is not None]
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is no YAML: {error}.", remedy="Mend the file.") from error
    for value in found:
        if not isinstance(value, dict):
            raise ConfigError(f"{where} holds {value!r:.60}, which is no object.", remedy="Mend the file.")
    return found


def whole_objects(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Every object of a folder's YAML files that could be applied as it is.

    Kustomizations, patches (an overlay has nothing else) and what only configures a tool are none.

    Raises:
        ConfigError: as `read_documents`.
    """
    found = []
    for file in sorted(folder.rglob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        is_patch = "overlays" in file.relative_to(folder).parts or _PATCH.search(text)
        if is_patch or file.name == "kustomization.yaml":
            continue
        values = read_documents(text, where=str(file))
        found += [(file, value) for value in values if "apiVersion" in value and "kind" in value]
    return found
