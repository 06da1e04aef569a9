"""What a call leaves for its trace, and the layer around the server that hands it on once it is answered.

Nothing is traced unless OpenTelemetry's standard variables ask for it, and nothing that makes or sends
spans is imported before. They are made of the timings that each answer holds anyway
(docs/decisions/0020), so no stage pays.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kserve.errors import InvalidInput

from marquee.errors import ConfigError

if TYPE_CHECKING:
    from serving.answered import Answered
    from serving.spans import Spans

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Answer = TypeVar("Answer")

PARENT: Final = (b"traceparent", b"tracestate")
"""The W3C's names of what a caller says of its own trace."""
_REQUEST_ID: Final = b"x-request-id"
_SERVERS_FAULT: Final = 500


@dataclass(slots=True)
class Call:
    """One call of a client while it is answered; a batch has several lists."""

    spans: "Spans"
    name: str
    attributes: dict[str, Any]
    parent: Mapping[str, list[str]]
    began_ns: int = field(default_factory=time_ns)
    """UTC nanoseconds."""
    ended_ns: int = 0
    lists: "list[tuple[Answered, int]]" = field(default_factory=list)
    """Each answer, and the UTC nanosecond in which it was done."""
    request_id: str = ""
    fault: str = ""
    """Of ours: its type, or the status that it became."""
    root: Any = None
    """The span, where it had to begin before the end."""

    def note(self, answered: "Answered") -> None:
        """Remember one list that is done."""
        self.lists.append((answered, time_ns()))

    def fail(self, error: Exception, request_id: str) -> str:
        """Remember a fault of ours; gives the trace's id for the log."""
        self.fault, self.request_id = type(error).__name__, request_id
        return self.spans.begin(self)

    def finish(self) -> None:
        """Make the spans."""
        self.ended_ns = time_ns()
        self.spans.finish(self)


CALL: Final[ContextVar[Call | None]] = ContextVar("CALL", default=None)
"""The call that is being answered; always None where nothing is traced."""


@contextmanager
def _traced(call: Call) -> Iterator[None]:
    """Answer within a call, then make its spans; what is not the caller's fault is its error."""
    token = CALL.set(call)
    try:
        yield
    except InvalidInput:
        raise
    except Exception as error:
        call.fault = type(error).__name__
        raise
    finally:
        CALL.reset(token)
        call.finish()


class Traced:
    """ASGI around the edge: so it sees what the fast path answers as well as what KServe does."""

    def __init__(self, app: App, spans: "Spans", model_name: str) -> None:
        self.app = app
        self.spans = spans
        # Only these: probes and Prometheus come by every few seconds, and a stranger's path names no span.
        self._paths = {
            f"/v1/models/{model_name}:predict",
            f"/v1/models/{model_name}:explain",
            f"/v2/models/{model_name}/infer",
        }

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer, then make the spans: the client has its answer by then."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self._paths:
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        attributes = {"http.request.method": "POST", "http.route": path, "url.path": path}
        parent: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            if name in PARENT:  # the second may come in several parts
                parent.setdefault(name.decode(), []).append(value.decode("latin-1"))
        call = Call(self.spans, f"POST {path}", attributes, parent)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note_status(call, message)
            await send(message)

        with _traced(call):
            await self.app(scope, receive, watched)


def _note_status(call: Call, message: Message) -> None:
    status = message["status"]
    call.attributes["http.response.status_code"] = status
    if status >= _SERVERS_FAULT:
        call.fault = call.fault or str(status)
    for name, value in message.get("headers", ()):
        if name == _REQUEST_ID:
            call.request_id = value.decode("latin-1")


async def traced_grpc(
    spans: "Spans", answer: Awaitable[Answer], metadata: Mapping[str, str] | None, request_id: str
) -> Answer:
    """The answer to a gRPC call, which comes by no layer of HTTP."""
    attributes = {"rpc.system": "grpc", "rpc.method": "inference.GRPCInferenceService/ModelInfer"}
    names = [name.decode() for name in PARENT]
    parent = {name: [metadata[name]] for name in names if metadata and name in metadata}
    call = Call(spans, attributes["rpc.method"], attributes, parent, request_id=request_id)
    with _traced(call):
        return await answer


def spans_of(environment: Mapping[str, str]) -> "Spans | None":
    """What makes and sends spans, where OpenTelemetry's variables name a place for them; None for no tracing.

    Raises:
        ConfigError: they ask for something that this server does not do.
    """
    endpoint = _of_traces(environment, "ENDPOINT")
    is_disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if not endpoint or is_disabled or exporter == "none":
        return None
    protocol = _of_traces(environment, "PROTOCOL") or "http/protobuf"
    if exporter != "otlp" or protocol != "http/protobuf":
        raise ConfigError(
            f"OpenTelemetry's variables ask for exporter {exporter} over {protocol}.",
            remedy="Traces go by otlp over http/protobuf (a collector's port 4318), or nowhere: none.",
        )
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT {endpoint!r} is no address of HTTP.",
            remedy="Write http://collector:4318.",
        )
    from serving.spans import Spans  # noqa: PLC0415 - only a traced server holds it

    return Spans.open(environment)


def _of_traces(environment: Mapping[str, str], name: str) -> str:
    """A setting of the exporter; the one for traces goes before the one for all signals."""
    own = environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "").strip()
    return own or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()
