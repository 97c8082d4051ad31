"""Send spans and metrics to a collector over OTLP and HTTP. This is the only module that needs the extra `otel`.

OpenTelemetry's SDK reads the address, headers and intervals from its own variables. Batches wait in bounded memory, and
threads of their own send them: a collector that is slow or gone delays nothing.
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

END_SECONDS = 2.5
"""Seconds at the end of the process in which the remaining batches are sent; then they are dropped."""

WARNING_SECONDS = 600.0
"""Seconds between two warnings about a collector that accepts nothing, so that it does not fill the log."""

logger = logging.getLogger(__name__)


def start_export(*, traces: bool, metrics: bool) -> Callable[[], None]:
    """Start to send. Returns the function that sends the rest and stops, within `END_SECONDS`.

    Raises whatever the SDK raises about a variable that it cannot use.
    """
    # The SDK logs every attempt, with addresses that may contain a password. The exporters below warn in its place.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    ours = {"service.name": SCOPE, "service.version": __version__}
    resource = Resource.create(ours).merge(OTELResourceDetector().detect())
    tracers = _tracer_provider(resource) if traces else None
    meters = _meter_provider(resource) if metrics else None
    # Set last: if one of them cannot be made, neither is used.
    if tracers:
        set_tracer_provider(tracers)
    if meters:
        set_meter_provider(meters)
    stops = [provider.shutdown for provider in (tracers, meters) if provider]
    return lambda: _stop_all(stops)


def _tracer_provider(resource: Resource) -> TracerProvider:
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_SpanExporter()))
    return provider


def _meter_provider(resource: Resource) -> MeterProvider:
    reader = PeriodicExportingMetricReader(_MetricExporter())
    return MeterProvider([reader], resource=resource, shutdown_on_exit=False)


def _stop_all(stops: Sequence[Callable[[], object]]) -> None:
    """Call all of them at once, and wait at most `END_SECONDS`."""
    until = time.monotonic() + END_SECONDS
    threads = [threading.Thread(target=stop, daemon=True) for stop in stops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


class _RateLimitedWarning:
    """Warn that the collector accepts nothing: at once, and then at most every `WARNING_SECONDS`."""

    def __init__(self, signal: str) -> None:
        self._signal = signal
        self._next_at = 0.0

    def batch_failed(self) -> None:
        """Log that one batch was not accepted, unless that was logged recently."""
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + WARNING_SECONDS
            logger.warning(
                "The collector (OTEL_EXPORTER_OTLP_ENDPOINT) does not accept %s; they are lost", self._signal
            )


class _SpanExporter(OTLPSpanExporter):
    """Send spans without the texts of errors. The MCP SDK records them, and they may quote what a caller sent."""

    def __init__(self) -> None:
        super().__init__()
        self._warning = _RateLimitedWarning("spans")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export([_without_texts(span) for span in spans])
        if result is not SpanExportResult.SUCCESS:
            self._warning.batch_failed()
        return result


class _MetricExporter(OTLPMetricExporter):
    """Send metrics."""

    def __init__(self) -> None:
        super().__init__()
        self._warning = _RateLimitedWarning("metrics")

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **options: Any
    ) -> MetricExportResult:
        result = super().export(metrics_data, timeout_millis, **options)
        if result is not MetricExportResult.SUCCESS:
            self._warning.batch_failed()
        return result


def _without_texts(span: ReadableSpan) -> ReadableSpan:
    """Return the span with nothing of an error but its status code."""
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
