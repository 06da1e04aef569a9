"""The configuration as a step is handed it: the whole, or the part that the step needs.

The whole brings every room with it, a third of a second in each process that reads it.
"""

import json
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ConfigDict, ValidationError

from marquee.errors import ConfigError
from marquee.seeded import Seeded

if TYPE_CHECKING:
    from marquee.config import TrainingConfig

_WHERE = "config"


class ConfigPart(Seeded):
    """The seed, and what a step adds: some of the keys of a `TrainingConfig`, with the same defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")


PartT = TypeVar("PartT", bound=ConfigPart)


def read_config(text: str) -> "TrainingConfig":
    """A complete configuration as steps get it: JSON, empty for all defaults.

    Raises:
        ConfigError: it is no JSON, or a key or value does not fit.
    """
    from marquee.config import TrainingConfig  # noqa: PLC0415 - it brings every room

    return TrainingConfig.from_values(_values(text), where=_WHERE)


def read_part(text: str, kind: type[PartT]) -> PartT:
    """A part of what `read_config` reads; where the text names other parts, too, the whole is checked.

    Raises:
        ConfigError: as `read_config`.
    """
    try:
        return kind.model_validate(_values(text))
    except ValidationError:
        whole = read_config(text)
    return kind.model_validate({name: getattr(whole, name) for name in kind.model_fields})


def config_text(config: "TrainingConfig") -> str:
    """What `read_config` reads; equal configurations, equal text."""
    return json.dumps(config.model_dump(mode="json"), sort_keys=True)


def _values(text: str) -> Any:  # noqa: ANN401 - unchecked so far
    try:
        return json.loads(text) if text else {}
    except ValueError as error:
        raise ConfigError(
            f"{_WHERE} is no JSON: {error}.", remedy="Pass what `marquee pipeline` passes."
        ) from error
