"""What the process tells of itself through OpenTelemetry: spans of calls to Octave, and counts of what became of them.

Told are places, states, numbers of credits, names of error classes and Octave's request ids. Never told: a key, a name,
a source, a tenant, a query, or the text of an error, which may quote any of them. No trace context is sent to Octave,
whose API describes no such header.

Here is only the API, which the MCP SDK loads anyway: without an SDK of OpenTelemetry, all of it goes nowhere.
`collector.py` sends it to where the standard variables say.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.trace import Span, SpanKind, format_span_id, format_trace_id, get_current_span, get_tracer
from opentelemetry.util.types import AttributeValue

from octave_mcp import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram

__all__ = [
    "SCOPE",
    "About",
    "active_ids",
    "client_span",
    "count_call",
    "count_found",
    "count_joined",
    "count_settled",
    "set_up_telemetry",
    "time_request",
]

SCOPE = "octave-personas-mcp"
"""Names whose spans and metrics these are, and the service, where OTEL_SERVICE_NAME does not."""

REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600)
"""The bounds of the histogram: a look-up takes tenths of a second, a persona seconds to minutes."""

About = Mapping[str, AttributeValue]
"""Attributes of a span or a measurement."""

logger = logging.getLogger(__name__)

_tracer = get_tracer(SCOPE, __version__)


# --- Spans ------------------------------------------------------------------------------------------------------------


@contextmanager
def client_span(name: str, about: About) -> Iterator[Span]:
    """A span of a call that leaves this process, within the one that is active."""
    with _tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=about, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


def active_ids() -> dict[str, str]:
    """The ids of the active span, for a line in the log; none where there is none."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}


# --- Metrics ----------------------------------------------------------------------------------------------------------


class _Instruments(NamedTuple):
    calls: "Counter"
    personas: "Counter"
    joined: "Counter"
    found: "Counter"
    credits: "Counter"
    seconds: "Histogram"


@cache
def _instruments() -> _Instruments:
    """All of them, made when the first is used: what is imported for them would be felt at each start."""
    from opentelemetry.metrics import get_meter  # noqa: PLC0415 - as above

    meter = get_meter(SCOPE, __version__)
    count = meter.create_counter
    return _Instruments(
        count("octave.mcp.calls", "{call}", "Calls of a tool, by its name and how they ended."),
        count("octave.mcp.personas", "{persona}", "Personas asked for anew, by what became of them at first."),
        count("octave.mcp.personas.joined", "{persona}", "Personas that an earlier call had asked for already."),
        count("octave.mcp.personas.found", "{persona}", "Personas whose answer was lost, and that were found."),
        count("octave.mcp.credits", "{credit}", "Credits used, as Octave told it."),
        meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Requests to Octave, from the first byte to the last.",
            explicit_bucket_boundaries_advisory=REQUEST_SECONDS,
        ),
    )


def count_call(tool: str, result: str) -> None:
    """A call of a tool ended: `ok`, `problem`, or with the name of an exception's class."""
    _instruments().calls.add(1, {"gen_ai.tool.name": tool, "octave.mcp.result": result})


def count_settled(outcome: str, error: str | None, usage: float | None) -> None:
    """One persona is `done`, `failed` or `unknown`, the latter two with the name of an error's class."""
    about = {"octave.outcome": outcome, **({} if error is None else {"error.type": error})}
    _instruments().personas.add(1, about)
    if usage is not None and 0 < usage < math.inf:
        _instruments().credits.add(usage)


def count_joined(personas: int) -> None:
    """A call asked for so many personas that an earlier call had asked for."""
    if personas:
        _instruments().joined.add(personas)


def count_found() -> None:
    """One persona that was counted as unknown was found in Octave."""
    _instruments().found.add(1)


def time_request(seconds: float, about: About) -> None:
    """A request to Octave took so long."""
    _instruments().seconds.record(seconds, about)


# --- Where it goes ----------------------------------------------------------------------------------------------------


def set_up_telemetry() -> Callable[[], None]:
    """Send all of it to a collector, if the standard variables name one. Call it once, when logging is set up.

    Returns what to call at the end of the process: it sends what is left, and takes a bounded time. Neither it nor
    anything else waits for a collector that does not answer.
    """
    from octave_mcp.settings import load_telemetry_settings  # noqa: PLC0415 - what only this function needs

    settings = load_telemetry_settings()
    if not settings.traces and not settings.metrics:
        return _nothing
    if settings.exporter_otlp_protocol not in {"", "http/protobuf"}:
        logger.warning("Only OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf is spoken here: no telemetry is sent")
        return _nothing
    try:
        from octave_mcp.observability.exporter import sending  # noqa: PLC0415 - it is an extra, and takes its time to load
    except ImportError:
        logger.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and what it needs is not installed: no telemetry is sent. "
            "Install octave-personas-mcp[otel], or unset it"
        )
        return _nothing
    return sending(traces=settings.traces, metrics=settings.metrics)


def _nothing() -> None:
    pass
