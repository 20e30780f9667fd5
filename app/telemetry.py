"""OpenTelemetry spans of requests that are over, where the standard environment variables ask for them; else nothing.

One span of kind CLIENT for each request that went to a model, by the semantic conventions for generative AI (1.44): its
model, provider, parameters, tokens, times and how it ended. Prompts and answers only where
OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT asks for them, keys masked. Spans are made and sent by threads of
their own: a request only puts its trace in a queue, and a collector that is slow or gone costs spans, not answers.
"""

import atexit
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from flask import Flask

from app.errors import log
from app.extras import OTEL
from app.span_attributes import attributes_of, error_of, name_of
from app.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from app.trace import Trace

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
ON_SPANS = ("true", "1", "span_only", "span_and_event")
PROTOCOL = "http/protobuf"
SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
NAME = "opencode-gateway"
MOST_WAITING = 256  # traces
EXIT_MILLISECONDS = 2_000  # that the end of a process waits for its last spans


def wanted(environ: Mapping[str, str]) -> bool:
    """Tell whether the standard variables ask for spans."""
    exporters = [name.strip() for name in (environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")]
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or "otlp" not in exporters
    return not off and any(environ.get(name) for name in ENDPOINTS)


def open_telemetry(environ: Mapping[str, str]) -> "Telemetry | None":
    """Return the sink that sends spans, None where nobody wants any, or where they cannot be sent: the log says why."""
    if not wanted(environ):
        return None
    if not OTEL.installed:
        log.warning("no spans are sent: %s", OTEL.missing)
        return None
    named = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if named not in (None, PROTOCOL):
        log.warning("spans are sent as %s; OTEL_EXPORTER_OTLP_PROTOCOL=%s is not known here", PROTOCOL, named)
    return Telemetry(environ)


def init_app(app: Flask) -> None:
    """Send spans of what `app` serves, where they are wanted; call it after the trace's own."""
    sink = open_telemetry(app.extensions["settings_store"].current.environ)
    if sink is not None:
        app.extensions["telemetry"] = sink
        app.extensions["trace_sinks"] = (*app.extensions["trace_sinks"], sink)


class Telemetry:
    """A sink of traces (see app.trace.Sink). `dropped` counts requests that found the queue full."""

    live = False

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._content = environ.get(CONTENT, "").lower() in ON_SPANS
        self._begin()

    def _begin(self) -> None:
        """Begin as in a new process."""
        self.dropped = 0
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._queue: queue.Queue[Trace | threading.Event | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._provider: TracerProvider | None = None

    def note(self, trace: "Trace", station: str, value: Any) -> None: ...
    def raw(self, trace: "Trace", events: list[Any]) -> None: ...
    def emitted(self, trace: "Trace", events: list[Any]) -> None: ...

    def finished(self, trace: "Trace") -> None:
        """Have a span made of a request that went to a model."""
        if trace.target is None:
            return
        self.start()
        try:
            self._queue.put_nowait(trace)
        except queue.Full:
            self.dropped += 1

    def flush(self, milliseconds: int = EXIT_MILLISECONDS) -> bool:
        """Wait until what is over by now is sent; False when that took too long, or failed."""
        if self._thread is None:
            return True
        done = threading.Event()
        try:
            self._queue.put(done, timeout=milliseconds / 1000)
        except queue.Full:
            return False
        if not done.wait(milliseconds / 1000) or self._provider is None:
            return False
        return self._provider.force_flush(milliseconds)

    def close(self, milliseconds: int = EXIT_MILLISECONDS) -> None:
        """Send what waits, as far as that goes in time, and end."""
        self.flush(milliseconds)
        atexit.unregister(self.flush)
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        if self._provider is not None:
            self._provider.shutdown()
        self._begin()

    def start(self) -> None:
        """Load the SDK and be ready, in threads of this process; the first request does it otherwise."""
        if self._process != os.getpid():
            self._begin()
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
                self._thread.start()
                atexit.register(self.flush)

    def _run(self) -> None:
        try:
            self._provider = open_provider(self._environ)
            tracer = self._provider.get_tracer("gateway", VERSION, schema_url=SCHEMA)
        except Exception as error:  # the rim: a variable that the SDK cannot read; requests go on, their spans do not
            log.error("spans cannot be sent", exc_info=error)
            for _ in self._traces():
                self.dropped += 1
            return
        for trace in self._traces():
            try:
                make_span(tracer, trace, self._content)
            except Exception as error:  # the rim: one odd trace must not end all later spans
                self.dropped += 1
                log.error("bug in a span", exc_info=error)

    def _traces(self) -> "Iterator[Trace]":
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, threading.Event):
                item.set()
            else:
                yield item


def open_provider(environ: Mapping[str, str]) -> "TracerProvider":
    """Return the SDK's provider, set by the standard variables: endpoint, headers, resource, sampler, batches."""
    for name, value in environ.items():  # the SDK knows no .env
        if name.startswith("OTEL_"):
            os.environ.setdefault(name, value)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # Not Resource.create: it asks a pool of threads, and the first request may be a worker's last.
    sdk = {"language": "python", "name": "opentelemetry", "version": version("opentelemetry-sdk")}
    known = {f"telemetry.sdk.{name}": value for name, value in sdk.items()}
    own = Resource({**known, "service.name": NAME, "service.version": VERSION})
    resource = own.merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def make_span(tracer: Any, trace: "Trace", content: bool) -> None:
    """Make the span of one request, beginning and ending when the request did; a child of what `traceparent` names."""
    from opentelemetry.trace import SpanKind, Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    summary = trace.summary()
    headers = {str(name).lower(): value for name, value in (trace.last("client_headers") or {}).items()}
    began = int(summary["started"] * 1e9)
    span = tracer.start_span(
        name_of(trace), TraceContextTextMapPropagator().extract(headers), SpanKind.CLIENT,
        attributes_of(trace, summary, content), start_time=began,
    )  # fmt: skip
    if error_of(trace, summary) is not None:
        span.set_status(Status(StatusCode.ERROR, str(summary.get("error") or "") if content else None))
    span.end(began + int(summary["duration"] * 1e9))
