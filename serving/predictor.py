"""The KServe model: V1, V2 and gRPC arrive here, and all of them end in one call of the engine."""

import re
from collections.abc import Awaitable, Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from kserve import InferRequest, InferResponse, Model
from kserve.errors import InferenceError, InvalidInput

from serving.engine import Engine
from serving.logs import note_fault
from serving.protocol import Instance, InvalidRequestError, read_request
from serving.tracing import traced_grpc
from serving.v2 import DATATYPES, OUTPUTS, instances_of, response_of

if TYPE_CHECKING:
    from serving.spans import Spans

REQUEST_ID: Final = "x-request-id"
Answer = TypeVar("Answer")
_USABLE_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")


def request_id_of(headers: Mapping[str, str] | None) -> str:
    """The caller's id where it is usable, else a new one."""
    return usable_id((headers or {}).get(REQUEST_ID)) or token_hex(16)


def usable_id(given: str | None) -> str | None:
    """An id that fits into a header and a log line; None for any other."""
    return given if given is not None and _USABLE_ID.fullmatch(given) else None


def fault_in_words(error: Exception, request_id: str) -> str:
    """What a stranger is told of a fault of ours."""
    return f"{type(error).__name__}: see the server's log for request {request_id}"


class MarqueeModel(Model):
    """Ready as soon as it is made: its engine holds bundles that were read, verified and warmed."""

    def __init__(self, name: str, engine: Engine, spans: "Spans | None" = None) -> None:
        super().__init__(name, return_response_headers=True)
        self.engine = engine
        self.spans = spans
        for outcome in ("error", "refused"):  # from 0 on: a rate does not see a counter that begins at 1
            self.count(outcome, by=0)
        self.ready = True

    def load(self) -> bool:
        """Nothing is left to load; KServe asks before a gRPC request to a model that is not ready."""
        return bool(self.ready)

    async def preprocess(self, payload: Any, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - KServe's
        """Decode what KServe leaves as bytes: any content type but `application/json` to the letter."""
        if isinstance(payload, (bytes, bytearray)):
            return decoded(bytes(payload))
        return payload

    async def predict(
        self,
        payload: Any,  # noqa: ANN401 - KServe's
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> dict[str, Any] | InferResponse:
        """Answer one call of either protocol.

        Raises:
            InvalidInput: it does not follow the protocol; the message names each field.
        """
        request_id = request_id_of(headers)
        if isinstance(payload, InferRequest):
            request_id = usable_id(payload.id) or request_id
        if response_headers is not None:
            response_headers[REQUEST_ID] = request_id
        if isinstance(payload, InferRequest):
            tensors = self._in_kserves_words(self.infer(payload, request_id), request_id, is_grpc=True)
            return await (traced_grpc(self.spans, tensors, headers, request_id) if self.spans else tensors)
        return await self._in_kserves_words(self.answer(payload, request_id), request_id)

    async def _in_kserves_words(
        self, answer: Awaitable[Answer], request_id: str, *, is_grpc: bool = False
    ) -> Answer:
        """An answer, or a fault as the edge tells it; KServe by itself would tell strangers our own words."""
        try:
            return await answer
        except InvalidRequestError as error:
            self.count("refused")
            raise InvalidInput(str(error)) from error
        except Exception as error:
            self.count("error")
            if is_grpc:
                raise  # logged and answered as INTERNAL; what follows would be the caller's fault there
            note_fault(error, request_id)
            raise InferenceError(fault_in_words(error, request_id)) from None

    async def answer(self, body: Any, request_id: str) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON holds
        """Answer a decoded V1 body.

        Raises:
            InvalidRequestError: it does not follow the protocol.
        """
        return {"predictions": await self.engine.predict(read_request(body), request_id)}

    async def infer(self, request: InferRequest, request_id: str) -> InferResponse:
        """Answer a V2 request.

        Raises:
            InvalidRequestError: it does not follow the protocol.
        """
        predictions = await self.engine.predict(instances_of(request), request_id)
        return response_of(self.name, request, predictions)

    async def explain(
        self,
        payload: Any,  # noqa: ANN401 - KServe's
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """V1 `:explain`: as `predict`, with `explain` set in every instance.

        Raises:
            InvalidInput: as `predict`.
        """
        request_id = request_id_of(headers)
        if headers is not None:
            # KServe answers with these very headers, cookies and credentials among them.
            headers.clear()
            headers[REQUEST_ID] = request_id
        return await self._in_kserves_words(self._explained(payload, request_id), request_id)

    async def _explained(self, body: Any, request_id: str) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON holds
        instances = [each.model_copy(update={"explain": True}) for each in read_request(body)]
        return {"predictions": await self.engine.predict(instances, request_id)}

    def count(self, outcome: str, *, by: int = 1) -> None:
        """Count calls without an answer."""
        self.engine.metrics.request("unknown", "none", "none", outcome).inc(by)

    def get_input_types(self) -> list[dict[str, Any]]:
        """Of V2: a column for each field of an instance, all as long as the batch; any may be left out."""
        return [
            {"name": name, "datatype": DATATYPES.get(name, "BYTES"), "shape": [-1]}
            for name in Instance.model_fields
        ]

    def get_output_types(self) -> list[dict[str, Any]]:
        """Of V2."""
        return [
            {"name": name, "datatype": datatype, "shape": shape}
            for name, (datatype, shape) in OUTPUTS.items()
        ]


def decoded(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """JSON.

    Raises:
        InvalidInput: it is none; as KServe says it.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"Unrecognized request format: {error}") from error
