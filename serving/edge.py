"""The outermost layer of the server: a bound on bodies, a fast path for V1, and no way to unload models."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import orjson
from kserve import ModelRepository
from kserve.errors import InvalidInput
from kserve.protocol.dataplane import DataPlane
from kserve.utils.utils import is_structured_cloudevent

from serving.logs import note_fault
from serving.predictor import (
    REQUEST_ID,
    MarqueeModel,
    decoded,
    fault_in_words,
    request_id_of,
    usable_id,
)
from serving.protocol import MAX_BODY_BYTES, InvalidRequestError
from serving.v2 import JSON_LENGTH, content_of, request_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CLOSED_PATHS: Final = re.compile(r"/v2/repository(/.*)?|/v2/models/[^/]*/versions(/.*)?", re.DOTALL)
"""KServe lets anyone load and unload models at the first; of versions it says 501, a fault of ours."""
_DROPPED_BYTES: Final = 16 * MAX_BODY_BYTES
_INFER: Final = re.compile(r"/v2/models/([^/]+)/infer")
_REQUEST_ID: Final = REQUEST_ID.encode()
_JSON: Final = (b"content-type", b"application/json")
_BINARY: Final = (b"content-type", b"application/octet-stream")
Headers = dict[bytes, bytes]
Content = tuple[bytes, list[tuple[bytes, bytes]]]
"""A body and its headers."""
Make = Callable[[bytes, Headers, str], Awaitable[Content | None]]


class _TooLargeError(Exception):
    pass


class _GoneError(Exception):
    pass


class Edge:
    """Pure ASGI around KServe's application.

    `POST /v1/models/<name>:predict` is answered here: what FastAPI, the routing and KServe's own layers
    do for that one path costs more than ranking does for some lists. So is V2's `infer`, whose layers turn
    many a malformed body into a 500. All else goes on to KServe, as V1 `:predict` does without the fast
    path, and answers the same (tests/serving/test_contract.py).
    """

    def __init__(self, app: App, model: MarqueeModel, *, is_fast: bool = True) -> None:
        self.app = app
        self.model = model
        self._fast_path = f"/v1/models/{model.name}:predict" if is_fast else None
        self._plane = DataPlane(model_registry=ModelRepository())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if CLOSED_PATHS.fullmatch(path):
            await _refuse(send, 404, "Not Found")
        elif scope["method"] != "POST":
            await self.app(scope, receive, send)
        else:
            await self._post(scope, receive, send, path)

    async def _post(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        try:
            body = await _read(scope, receive)
        except _TooLargeError:
            await _refuse(
                send, 413, f"the body has more than {MAX_BODY_BYTES} bytes: ask for fewer lists a call"
            )
            return
        except _GoneError:
            return
        if (infer := _INFER.fullmatch(path)) is not None and infer[1] != self.model.name:
            await _refuse(send, 404, f"Model with name {infer[1]} does not exist.")
            return
        headers = dict(scope["headers"])
        make = self._tensors if infer is not None else self._lists if path == self._fast_path else None
        if infer is None and _is_cloud_event(headers):
            make = None
            if (fault := self._event_fault(body, headers)) is not None:
                self.model.count("refused")
                await _refuse(send, 400, fault)
                return
        if make is None or not await self._answer(make, body, headers, send):
            await self.app(scope, _replay(body, receive), send)

    async def _answer(self, make: Make, body: bytes, headers: Headers, send: Send) -> bool:
        """Answer, with every fault as KServe words it; false where the request is KServe's own after all."""
        request_id = request_id_of({REQUEST_ID: headers.get(_REQUEST_ID, b"").decode("latin-1")})
        if not self.model.ready:
            await _refuse(send, 503, f"Model with name {self.model.name} is not ready.")
            return True
        try:
            found = await make(body, headers, request_id)
        except (InvalidRequestError, InvalidInput) as error:
            self.model.count("refused")
            await _refuse(send, 400, str(error))
            return True
        except Exception as error:  # noqa: BLE001 - the one edge: a fault of ours is logged and answered, never dropped
            note_fault(error, request_id)
            self.model.count("error")
            await _refuse(send, 500, fault_in_words(error, request_id))
            return True
        if found is None:
            return False
        await _send(send, 200, *found)
        return True

    async def _lists(self, body: bytes, headers: Headers, request_id: str) -> Content | None:
        """V1 `:predict`."""
        asked = decoded(body)
        if isinstance(asked, dict) and is_structured_cloudevent(asked):
            return None
        content = orjson.dumps(await self.model.answer(asked, request_id))
        return content, [_JSON, (_REQUEST_ID, request_id.encode("latin-1"))]

    async def _tensors(self, body: bytes, headers: Headers, request_id: str) -> Content:
        """V2 `infer`."""
        length = headers.get(JSON_LENGTH)
        request = request_of(
            body, self.model.name, json_length=None if length is None else length.decode("latin-1")
        )
        request_id = usable_id(request.id) or request_id
        content, json_length = content_of(await self.model.infer(request, request_id))
        more = (_REQUEST_ID, request_id.encode("latin-1"))
        if json_length is None:
            return content, [_JSON, more]
        return content, [_BINARY, (JSON_LENGTH, str(json_length).encode()), more]

    def _event_fault(self, body: bytes, headers: Headers) -> str | None:
        """What is wrong with a CloudEvent; KServe calls much of it a 500."""
        words = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        try:
            self._plane.decode(body, words)
        except Exception as error:  # noqa: BLE001 - the libraries that read events raise what they like
            return f"the CloudEvent can't be read: {error}"
        return None


async def _read(scope: Scope, receive: Receive) -> bytes:
    """The whole body, bounded.

    What is beyond the bound is received and dropped, up to a second bound: many clients send all of a body
    before they read, and would meet a closed connection instead of the answer.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > _DROPPED_BYTES:
            raise _TooLargeError
    body, size = bytearray(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        part = message.get("body", b"")
        size += len(part)
        if size <= MAX_BODY_BYTES:
            body += part
        if message.get("more_body", False) and size <= _DROPPED_BYTES:
            continue
        if size > MAX_BODY_BYTES:
            raise _TooLargeError
        return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more, for the application inside."""
    is_sent = False

    async def again() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _is_cloud_event(headers: Headers) -> bool:
    return b"ce-specversion" in headers or b"cloudevents" in headers.get(b"content-type", b"")


async def _refuse(send: Send, status: int, words: str) -> None:
    await _send(send, status, orjson.dumps({"error": words}), [_JSON])


async def _send(send: Send, status: int, content: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": content})
