"""Spans of answered calls, and their way to a collector; imported where tracing is on, and nowhere else."""

import logging
from collections.abc import Mapping, Sequence
from threading import Thread
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_BSP_MAX_QUEUE_SIZE
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from marquee.errors import ConfigError

if TYPE_CHECKING:
    from serving.answered import Answered
    from serving.tracing import Call

SERVICE: Final = "marquee-recommender"
"""Who the spans are from, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES says it."""
STAGES: Final = ("row", "wait", "list")
"""The parts of a list, in their order; the second is the way to the scoring thread and back."""
QUEUE_SIZE: Final = 2048
"""Spans that may wait for the exporter, by OpenTelemetry's specification."""
FLUSH_S: Final = 3.0
"""What a server that ends gives the exporter; a pod has 5 s beyond the drain."""
_LOG: Final = logging.getLogger("marquee.serving")


class CountedExporter(SpanExporter):
    """Another exporter, and what became of what it got; only the thread that exports writes the counts."""

    def __init__(self, inner: SpanExporter) -> None:
        self.inner = inner
        self.taken = 0
        self.exported = 0
        self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        self.taken += len(spans)
        result = self.inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.exported += len(spans)
        else:
            self.failed += len(spans)
        return result

    def shutdown(self) -> None:
        """Let go of the collector."""
        self.inner.shutdown()


class Spans:
    """Makes spans of calls that were answered, and queues them; a thread of the SDK's sends them.

    A collector that is away or slow costs spans and nothing else: what does not fit into the queue is not
    even made, and is counted.
    """

    def __init__(self, exporter: SpanExporter, *, queue_size: int = QUEUE_SIZE) -> None:
        self._exporter = CountedExporter(exporter)
        self._queue_size = queue_size
        self._queued = 0
        self._dropped = 0
        # Not the global provider: FastAPI would find it, and trace KServe's half of the paths once more.
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter, max_queue_size=queue_size))
        self._tracer = self._provider.get_tracer("marquee.serving")
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def open(cls, environment: Mapping[str, str]) -> "Spans":
        """Over OTLP, as the environment says; the SDK reads its own variables of it.

        Raises:
            ConfigError: one of them is no number, or does not fit another.
        """
        try:
            queue_size = int(environment.get(OTEL_BSP_MAX_QUEUE_SIZE) or QUEUE_SIZE)
            return cls(OTLPSpanExporter(), queue_size=queue_size)
        except ValueError as error:
            raise ConfigError(
                f"A variable of OpenTelemetry's does not fit: {error}.",
                remedy="Mend OTEL_BSP_* and OTEL_EXPORTER_OTLP_*, or unset them: their defaults do.",
            ) from error

    def begin(self, call: "Call") -> str:
        """Begin a call's span; gives the trace's id, 32 hexadecimal digits."""
        if call.root is None:
            # A malformed parent is none (W3C Trace Context, 2021, section 3.2.1).
            parent = self._propagator.extract(call.parent, Context())
            call.root = self._tracer.start_span(
                call.name,
                parent,
                kind=SpanKind.SERVER,
                attributes=call.attributes,
                start_time=call.began_ns,
            )
        return format_trace_id(call.root.get_span_context().trace_id)

    def finish(self, call: "Call") -> None:
        """Make the spans of a call: the server's, one for each list of a batch, one for each stage."""
        self.begin(call)
        root: Span = call.root
        if not root.is_recording():
            return
        is_batch = len(call.lists) > 1
        n_spans = 1 + sum(
            is_batch + sum(stage in answered.seconds for stage in STAGES) for answered, _ in call.lists
        )
        if self._queued - self._exporter.taken + n_spans > self._queue_size:
            self._dropped += n_spans
            return
        self._queued += n_spans
        root.set_attributes(call.attributes)
        if call.request_id:
            root.set_attribute("marquee.request_id", call.request_id)
        for answered, ended_ns in call.lists:
            if is_batch:
                self._list(root, answered, ended_ns)
            else:
                root.set_attributes(attributes_of(answered))
                self._stages(root, answered, ended_ns)
        if call.fault:
            root.set_attribute("error.type", call.fault)
            root.set_status(Status(StatusCode.ERROR))
        root.end(call.ended_ns)

    def _list(self, parent: Span, answered: "Answered", ended_ns: int) -> None:
        began_ns = ended_ns - _ns(answered.seconds["total"])
        within = set_span_in_context(parent, Context())
        span = self._tracer.start_span(
            "recommend", within, attributes=attributes_of(answered), start_time=began_ns
        )
        self._stages(span, answered, ended_ns)
        span.end(ended_ns)

    def _stages(self, parent: Span, answered: "Answered", ended_ns: int) -> None:
        """One after another: the wait is drawn before the list, though a part of it is the way back."""
        within = set_span_in_context(parent, Context())
        at_ns = ended_ns - _ns(answered.seconds["total"])
        for stage in STAGES:
            if (took := answered.seconds.get(stage)) is None:
                continue
            until_ns = min(at_ns + _ns(took), ended_ns)
            self._tracer.start_span(stage, within, start_time=at_ns).end(until_ns)
            at_ns = until_ns

    def counts(self) -> dict[str, float]:
        """Spans by what became of them; those that are being sent wait, too."""
        exported, failed = self._exporter.exported, self._exporter.failed
        return {
            "waiting": float(self._queued - exported - failed),
            "exported": float(exported),
            "failed": float(failed),
            "dropped": float(self._dropped),
        }

    def close(self, *, patience_s: float = FLUSH_S) -> None:
        """Send what waits, within a bound: a collector that hangs does not hold up the end."""
        # The SDK's own bound is 30 s, beyond what a pod has left.
        closing = Thread(target=self._provider.shutdown, name="spans-flush", daemon=True)
        closing.start()
        closing.join(patience_s)
        if (counts := self.counts())["waiting"]:
            _LOG.warning("spans were not sent before the end", extra={"fields": counts})


def attributes_of(answered: "Answered") -> dict[str, str | int | list[str]]:
    """What a span says of a list; never who asked, nor what was shown."""
    return {
        "marquee.request_id": answered.request_id,
        "marquee.surface": answered.instance.surface,
        "marquee.variant": answered.slot.name,
        "marquee.bundle_id": answered.slot.bundle_id,
        "marquee.degraded_reasons": list(answered.degraded),
        "marquee.n": answered.instance.n,
        "marquee.n_candidates": answered.listed.n_candidates,
    }


def _ns(seconds: float) -> int:
    return max(0, round(1e9 * seconds))


def _resource() -> Resource:
    found = Resource.create()
    if str(found.attributes[SERVICE_NAME]).startswith("unknown_service"):
        found = found.merge(Resource({SERVICE_NAME: SERVICE}))
    return found
