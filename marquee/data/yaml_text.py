"""YAML that a user wrote, as plain values or one clear error."""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import ValidationError

from marquee.errors import ConfigError


def read_yaml(path: Path, *, option: str) -> object:
    """The plain values of a YAML file that a user named.

    Args:
        path: of the file.
        option: by which it was named; stands in the remedy.

    Raises:
        ConfigError: it can't be read, or as `parse_yaml`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}.", remedy=f"Check {option}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no YAML: {error}.", remedy="Mend the file.") from error
    return parse_yaml(text, origin=str(path))


def parse_yaml(text: str, *, origin: str) -> object:
    """The plain values of a YAML text; `origin` (a file) stands in the error.

    Raises:
        ConfigError: it is not YAML, names a Python object, has a value that YAML takes for a date or
            number that does not exist, or is nested too deeply.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as err:
        reason = re.sub(r"\s+", " ", str(err))
        raise ConfigError(f"{origin} is not valid YAML: {reason}.", remedy="Mend the line it names.") from err
    except ValueError as err:  # 2020-13-45 has the shape of a date
        raise ConfigError(
            f"{origin} is not valid YAML: a value looks like a date or number but is none ({err}).",
            remedy="Mend it, or put it in quotes if it is text.",
        ) from err
    except RecursionError as err:
        raise ConfigError(
            f"{origin} is not valid YAML: it is nested too deeply.", remedy="Mend its brackets."
        ) from err


def fault_of(error: ValidationError, *, where: str) -> str:
    """The first fault of plain values: origin, key, value seen, and what is wrong with it."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "value_error" and isinstance(first["input"], Mapping):
        # It is of several keys and names them itself; the value would be all of them.
        return f"{where}: {key}: {first['ctx']['error']}." if key else f"{where}: {first['ctx']['error']}."
    return f"{where}: {key or '(top level)'} = {first['input']!r}: {first['msg']}."
