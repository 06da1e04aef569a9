"""JSON lines: one object a line."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from marquee.data.lines import TextFile
from marquee.data.mapping import Mapping


def read_json_lines(text: TextFile, mapping: Mapping) -> Iterator[None]:
    """Parse each line into `text.records`; yields after each one. Blank lines are no records.

    A field that an object lacks is null. "a.b" means the field of that name, else field b of object a.
    """
    paths = [str(field) for field in mapping.columns.values()]
    columns = list(mapping.columns)
    for number, content in text.lines():
        if content is not None and (raw := content.strip()):
            _parse(text, number, raw, columns=columns, paths=paths)
        yield


def _parse(text: TextFile, number: int, raw: str, *, columns: Sequence[str], paths: Sequence[str]) -> None:
    try:
        record = json.loads(raw)
    except (ValueError, RecursionError):  # ValueError also for a number of more digits than Python takes
        return text.records.reject(number, "invalid_json", raw)
    if not isinstance(record, dict):
        return text.records.reject(number, "not_an_object", raw)
    found = [_field(record, path) for path in paths]
    nested = tuple(name for name, value in zip(columns, found, strict=True) if isinstance(value, dict | list))
    if nested:
        return text.records.reject(number, "nested_value", raw, columns=nested)
    values = [_text(value) for value in found]
    if "\\u" in raw:  # only an escape can smuggle half a surrogate pair in
        broken = tuple(name for name, value in zip(columns, values, strict=True) if not _encodable(value))
        if broken:
            return text.records.reject(number, "bad_encoding", raw, columns=broken)
    return text.records.add(number, raw, values)


def _field(record: dict[str, Any], path: str) -> Any:  # noqa: ANN401 (whatever JSON holds)
    if path in record or "." not in path:
        return record.get(path)
    head, _, rest = path.partition(".")
    inner = record.get(head)
    return _field(inner, rest) if isinstance(inner, dict) else None


def _text(value: str | float | bool | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _encodable(value: str | None) -> bool:
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        return False
    return True
