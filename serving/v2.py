"""Open Inference (V2) tensors ⇄ instances and predictions."""

import math
from typing import Any, Final

import orjson
from kserve import InferOutput, InferRequest, InferResponse
from kserve.errors import InvalidInput
from kserve.protocol.rest.v2_datamodels import InferenceRequest, RequestInput
from pydantic import ValidationError

from serving.protocol import (
    MAX_INSTANCES,
    Instance,
    InvalidRequestError,
    faults_in_words,
    read_request,
    shortened,
)

WHOLE: Final = "instance"
"""A column of whole instances as JSON, instead of a column for each field."""
DATATYPES: Final = {"n": "INT32", "maturity_limit": "INT32", "explain": "BOOL", "timings": "BOOL"}
"""Of fields that are not BYTES."""
OUTPUTS: Final = {
    "item_id": ("BYTES", [-1, -1]),
    "score": ("FP32", [-1, -1]),
    "length": ("INT32", [-1]),
    "prediction": ("BYTES", [-1]),
}
"""Datatype and shape of each tensor of an answer."""
_JSON_FIELDS: Final = frozenset({"context", "history", "exclude", "variants"})
_PLACES: Final = (1, 2)
"""Dimensions that a column may have: [n], or [n, 1]."""
JSON_LENGTH: Final = b"inference-header-content-length"
"""The header that says where JSON ends and binary tensors begin."""
_KINDS: Final = {
    "BYTES": (str, bytes),
    "BOOL": (bool,),
    **{f"{sign}INT{bits}": (int,) for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": (int, float) for bits in (16, 32, 64)},
}
"""What values of a datatype are; numpy would take 1.9 for the integer 1, and "false" for true."""


class _Tensor(RequestInput):
    data: list[Any] | None = None  # not where it is in binary


class _Described(InferenceRequest):
    """A request with binary tensors, which KServe does not check before it reads it."""

    inputs: list[_Tensor]


def instances_of(request: InferRequest) -> list[Instance]:
    """The instances of a V2 request: a BYTES, INT or BOOL column for each field, or one of whole instances.

    Fields that are no plain value (`context`, `history`, `exclude`, `variants`) are BYTES of JSON. Empty
    bytes stand for a field that is left out.

    Raises:
        InvalidRequestError: a column is unknown, or not as long as the others, or a value does not fit.
    """
    _require_known_outputs(request)
    columns = {tensor.name: _values(tensor) for tensor in request.inputs}
    if len(columns) < len(request.inputs):
        raise InvalidRequestError("inputs: two have one name")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items()) or "none"
        raise InvalidRequestError(f"inputs: all need one length, got {shortened(said)}")
    if (n := next(iter(lengths.values()))) > MAX_INSTANCES:
        raise InvalidRequestError(f"inputs: at most {MAX_INSTANCES} instances a call, got {n}")
    if WHOLE in columns:
        if len(columns) > 1:
            raise InvalidRequestError(f"inputs: {WHOLE} stands alone")
        return read_request({"instances": [_json(WHOLE, text) for text in columns[WHOLE]]})
    rows = [
        {name: _field(name, values[place]) for name, values in columns.items() if values[place] != ""}
        for place in range(n)
    ]
    return read_request({"instances": rows})


def _require_known_outputs(request: InferRequest) -> None:
    """KServe finds out when the lists are made, and logged as shown."""
    for asked in request.request_outputs or ():
        if asked.name not in OUTPUTS:
            name = shortened(repr(asked.name))
            raise InvalidRequestError(f"outputs: there is no output {name}, only {', '.join(OUTPUTS)}")


def request_of(body: bytes, model_name: str, *, json_length: str | None) -> InferRequest:
    """A V2 request as it comes by HTTP, all JSON or with binary tensors behind it.

    Raises:
        InvalidRequestError: it does not follow the protocol.
    """
    try:
        if json_length is None:
            return InferRequest.from_inference_request(
                InferenceRequest.model_validate(orjson.loads(body)), model_name
            )
        length = _length(json_length, body)
        _Described.model_validate(orjson.loads(body[:length]))
        return InferRequest.from_bytes(body, length, model_name)
    except ValidationError as error:
        raise InvalidRequestError(faults_in_words(error)) from None
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"Unrecognized request format: {error}") from error
    except (InvalidInput, InvalidRequestError) as error:
        raise InvalidRequestError(str(error)) from error
    except (
        Exception
    ) as error:  # KServe's reader takes what is there for granted and raises what that leads to
        raise InvalidRequestError(
            f"the body is no V2 request with binary tensors: {type(error).__name__}: {shortened(str(error))}"
        ) from error


def _length(text: str, body: bytes) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) > len(body):
        raise InvalidRequestError(f"{JSON_LENGTH.decode()}: is no length of this body, got {shortened(text)}")
    return int(text)


def content_of(response: InferResponse) -> tuple[bytes, int | None]:
    """A V2 answer for HTTP: its bytes, and the length of its JSON where binary tensors follow."""
    content, json_length = response.to_rest()
    return content if isinstance(content, bytes) else orjson.dumps(content), json_length


def _values(tensor: Any) -> list[Any]:  # noqa: ANN401 - KServe's are untyped
    """A column as plain values, bytes as text."""
    place, shape = f"inputs.{shortened(str(tensor.name))}", list(tensor.shape)
    if len(shape) not in _PLACES or (len(shape) == 2 and shape[1] != 1):
        raise InvalidRequestError(f"{place}: shape must be [n] or [n, 1], got {shortened(str(shape))}")
    if (kinds := _KINDS.get(tensor.datatype)) is None:
        raise InvalidRequestError(f"{place}: {shortened(str(tensor.datatype))} is no datatype")
    values = _raw_values(tensor) if not tensor.data else _flat(tensor.data)
    if values is None or len(values) != math.prod(shape) or not all(type(each) in kinds for each in values):
        raise InvalidRequestError(f"{place}: is no {tensor.datatype} of shape {shortened(str(shape))}")
    return [_text(tensor.name, value) if isinstance(value, bytes) else value for value in values]


def _raw_values(tensor: Any) -> list[Any] | None:  # noqa: ANN401 - KServe's are untyped
    """What stands in binary; None where that is not what was said of it."""
    try:
        values: list[Any] = tensor.as_numpy().ravel().tolist()
    except Exception:  # noqa: BLE001 - KServe's reader raises what a wrong length leads to
        return None
    return values


def _flat(data: Any) -> list[Any]:  # noqa: ANN401 - whatever JSON holds
    """[n] and [n, 1] alike."""
    rows = data if isinstance(data, list) else [data]
    return [value for row in rows for value in (row if isinstance(row, list) else [row])]


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"inputs.{shortened(name)}: is no UTF-8") from error


def _field(name: str, value: Any) -> Any:  # noqa: ANN401 - as sent
    return _json(name, value) if name in _JSON_FIELDS else value


def _json(name: str, value: Any) -> Any:  # noqa: ANN401 - as sent
    if not isinstance(value, str):
        raise InvalidRequestError(f"inputs.{name}: must be BYTES of JSON")
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"inputs.{name}: is no JSON: {error}") from error


def response_of(model_name: str, request: InferRequest, predictions: list[dict[str, Any]]) -> InferResponse:
    """Ids and scores as tensors, padded with "" and 0 up to the longest list; whole predictions as JSON."""
    lists = [each["items"] for each in predictions]
    width = max(1, *map(len, lists))  # KServe can't send an empty tensor in binary
    ids = [item["item_id"] for items in lists for item in _padded(items, width)]
    scores = [float(item["score"]) for items in lists for item in _padded(items, width)]
    shape = [len(lists), width]
    found = {
        "item_id": (shape, ids),
        "score": (shape, scores),
        "length": ([len(lists)], [len(items) for items in lists]),
        "prediction": ([len(lists)], [orjson.dumps(each).decode() for each in predictions]),
    }
    outputs = [
        InferOutput(name, size, OUTPUTS[name][0], data=values) for name, (size, values) in found.items()
    ]
    return InferResponse(
        response_id=request.id or predictions[0]["request_id"],
        model_name=model_name,
        infer_outputs=outputs,
        use_binary_outputs=request.use_binary_outputs,
        requested_outputs=request.request_outputs,
    )


def _padded(items: list[dict[str, Any]], width: int) -> list[dict[str, Any]]:
    return [*items, *[{"item_id": "", "score": 0.0}] * (width - len(items))]
