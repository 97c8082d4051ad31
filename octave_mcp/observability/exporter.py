"""Sends spans and metrics to a collector, over OTLP and HTTP. The one module that needs the extra `otel`.

Where to, with which headers and how often is said by OpenTelemetry's own variables, which its SDK reads. What is sent
is queued, in bounded memory, and sent by threads of its own: a collector that is slow or gone delays nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Status, set_tracer_provider

from octave_mcp import __version__
from octave_mcp.observability.telemetry import SCOPE

__all__ = ["sending"]

END_SECONDS = 2.5
"""In which what is left is sent at the end of the process; then it is dropped."""

TELL_SECONDS = 600.0
"""How often it is logged, at most, that a collector does not take what it is sent."""

logger = logging.getLogger(__name__)


def sending(*, traces: bool, metrics: bool) -> Callable[[], None]:
    """Send from now on. Returns what sends the rest, and ends it."""
    # It logs every try, and quotes addresses that may hold a password. What it means is told here, once.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    ours = {"service.name": SCOPE, "service.version": __version__}
    resource = Resource.create(ours).merge(OTELResourceDetector().detect())
    ends: list[Callable[[], object]] = []
    try:
        if traces:
            tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
            tracers.add_span_processor(BatchSpanProcessor(_Spans()))
            set_tracer_provider(tracers)
            ends.append(tracers.shutdown)
        if metrics:
            reader = PeriodicExportingMetricReader(_Metrics())
            meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
            set_meter_provider(meters)
            ends.append(meters.shutdown)
    except ValueError as error:
        logger.warning("The OTEL_ variables cannot be used: no telemetry is sent (%s)", type(error).__name__)
    return lambda: _end(ends)


def _end(ends: Sequence[Callable[[], object]]) -> None:
    """Call them all at once, and wait for them as long as the end may take."""
    until = time.monotonic() + END_SECONDS
    threads = [threading.Thread(target=end, daemon=True) for end in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


class _Told:
    """Tells the log that a collector takes nothing: at first, and then every while."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = 0.0

    def failed(self) -> None:
        """One batch was not taken."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + TELL_SECONDS
            logger.warning("The collector (OTEL_EXPORTER_OTLP_ENDPOINT) does not take %s; they are lost", self._what)


class _Spans(OTLPSpanExporter):
    """Sends spans without the texts of errors, which may quote what a caller sent: those of the MCP SDK have them."""

    def __init__(self) -> None:
        super().__init__()
        self._told = _Told("spans")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export([_without_texts(span) for span in spans])
        if result is not SpanExportResult.SUCCESS:
            self._told.failed()
        return result


class _Metrics(OTLPMetricExporter):
    """Sends metrics."""

    def __init__(self) -> None:
        super().__init__()
        self._told = _Told("metrics")

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **options: Any
    ) -> MetricExportResult:
        result = super().export(metrics_data, timeout_millis, **options)
        if result is not MetricExportResult.SUCCESS:
            self._told.failed()
        return result


def _without_texts(span: ReadableSpan) -> ReadableSpan:
    """The span with nothing of an error but its code and its class."""
    if not span.events and not span.status.description:
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
