"""Spans of calls to Octave, and metrics of calls, personas and credits, through OpenTelemetry's API.

They contain positions, states, numbers of credits, names of error classes and Octave's request ids. They never contain
a key, a name, a source, a tenant, a query, or the text of an error, which may quote any of these. No trace context is
sent to Octave, whose API describes no such header.

This module uses only the API, which the MCP SDK imports anyway. Without OpenTelemetry's SDK all of it has no effect;
`exporter` sends it to a collector.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.trace import Span, SpanKind, format_span_id, format_trace_id, get_current_span, get_tracer
from opentelemetry.util.types import AttributeValue

from octave_mcp import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram

SCOPE = "octave-personas-mcp"
"""The instrumentation scope of all spans and metrics, and the service's name unless OTEL_SERVICE_NAME gives another."""

REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600)
"""Bucket bounds in seconds: a look-up takes tenths of a second, a persona seconds to minutes."""

Attributes = Mapping[str, AttributeValue]
"""Attributes of a span or a measurement."""

_tracer = get_tracer(SCOPE, __version__)


# --- Spans ------------------------------------------------------------------------------------------------------------


@contextmanager
def client_span(name: str, attributes: Attributes) -> Iterator[Span]:
    """Open a span for a call that leaves this process, as a child of the active span."""
    with _tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


def active_ids() -> dict[str, str]:
    """Return `trace_id` and `span_id` of the active span in hexadecimal, or nothing if no span is active."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}


# --- Metrics ----------------------------------------------------------------------------------------------------------


class _Instruments(NamedTuple):
    calls: "Counter"
    personas: "Counter"
    joined: "Counter"
    recovered: "Counter"
    credits: "Counter"
    seconds: "Histogram"


@cache
def _instruments() -> _Instruments:
    """Create all instruments at first use, as importing the metrics API would slow every start."""
    from opentelemetry.metrics import get_meter  # noqa: PLC0415 - as above

    meter = get_meter(SCOPE, __version__)
    count = meter.create_counter
    return _Instruments(
        count("octave.mcp.calls", "{call}", "Calls of a tool, by its name and result."),
        count(
            "octave.mcp.personas",
            "{persona}",
            "Personas whose request was sent, by their state after the answer or its loss.",
        ),
        count(
            "octave.mcp.personas.joined", "{persona}", "Personas of a call that an earlier call had asked for already."
        ),
        count("octave.mcp.personas.recovered", "{persona}", "Personas found in Octave after their answer was lost."),
        count("octave.mcp.credits", "{credit}", "Credits used, as Octave reported them."),
        meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of requests to Octave, from the first byte to the last.",
            explicit_bucket_boundaries_advisory=REQUEST_SECONDS,
        ),
    )


def count_call(tool: str, result: str) -> None:
    """Count a call of a tool that has ended. `result` is `ok`, `problem`, or the name of an exception's class."""
    _instruments().calls.add(1, {"gen_ai.tool.name": tool, "octave.mcp.result": result})


def count_outcome(outcome: str, error: str | None, usage: float | None) -> None:
    """Count a persona whose request was sent: by `outcome` (created, failed, unknown), and the class of its `error`."""
    attributes = {"octave.outcome": outcome, **({} if error is None else {"error.type": error})}
    _instruments().personas.add(1, attributes)
    if usage is not None and 0 < usage < math.inf:
        _instruments().credits.add(usage)


def count_joined(personas: int) -> None:
    """Count the personas of a call that an earlier call had asked for."""
    if personas:
        _instruments().joined.add(personas)


def count_recovered() -> None:
    """Count one persona that was unknown, and was found in Octave."""
    _instruments().recovered.add(1)


def time_request(seconds: float, attributes: Attributes) -> None:
    """Record the duration of one request to Octave."""
    _instruments().seconds.record(seconds, attributes)
