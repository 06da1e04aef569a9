"""A sink's options in a file, as a Secret is mounted: properties of librdkafka, or HTTP headers."""

from pathlib import Path
from typing import Final

from marquee.errors import ConfigError

_REMEDY: Final = "Give a UTF-8 file with one name=value a line; lines that begin with # are skipped."


def read_options(path: Path) -> dict[str, str]:
    """Names and values of a file, one `name=value` a line; blanks around both are dropped.

    Raises:
        ConfigError: the file can't be read, or a line is no such pair; no message repeats a value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is no UTF-8"
        raise ConfigError(f"the options {path} can't be read: {reason}.", remedy=_REMEDY) from None
    options: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, is_pair, value = (part.strip() for part in line.partition("="))
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not is_pair or not name or name in options:
            what = f"names {name} again" if is_pair and name else "is not name=value"
            raise ConfigError(f"line {number} of the options {path} {what}.", remedy=_REMEDY)
        options[name] = value
    return options
