"""What is seen from outside: spans and metrics, and that nothing of a caller's is in them."""

import asyncio
import json
import logging
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import opentelemetry.environment_variables
import opentelemetry.sdk.environment_variables
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, set_tracer_provider
from opentelemetry.trace import use_span as use
from pydantic import SecretStr
from support.collector import collector
from support.command import ended, environment, run
from support.faults import ends_in_the_body
from support.http import post, result_in, serving
from support.records import record
from support.upstream import (
    HoldsTheSlow,
    Request,
    Respond,
    always,
    answer,
    by_the_page,
    error_envelope,
    metadata,
    page_answer,
    timestamp,
    upstream,
)

from octave_mcp.observability import telemetry
from octave_mcp.observability.environment import drop_unusable_variables, set_up_telemetry
from octave_mcp.observability.logs import Secrets, configure_logging
from octave_mcp.observability.settings import load_telemetry_settings
from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"
TRACE = 0x0AF7651916CD43DD8448EB211C80319C
CALLER = 0xB7AD6B7169203331
PATH = "/api/v2/persona/generate"


class Seen(NamedTuple):
    """What this process has told of itself."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def spans(self, name: str) -> list[ReadableSpan]:
        """The spans of that name, as they ended."""
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    @property
    def posts(self) -> list[ReadableSpan]:
        """The spans of paid POSTs."""
        return self.spans(f"POST {PATH}")

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """The points of each metric of ours since they were last read."""
        data = self.reader.get_metrics_data()
        assert data is not None
        metrics = [one for group in data.resource_metrics for scope in group.scope_metrics for one in scope.metrics]
        return {
            one.name: [(dict(point.attributes or {}), getattr(point, "value", point)) for point in one.data.data_points]
            for one in metrics
        }


@pytest.fixture(scope="module")
def providers() -> Iterator[Seen]:
    """OpenTelemetry's SDK in this process, which takes one only, so that it stays; afterwards it keeps nothing."""
    seen = Seen(
        InMemorySpanExporter(),
        InMemoryMetricReader({Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}),
    )
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(seen.exporter))
    set_tracer_provider(tracers)
    set_meter_provider(MeterProvider([seen.reader], shutdown_on_exit=False))
    yield seen
    seen.exporter.shutdown()


@pytest.fixture
def seen(providers: Seen) -> Seen:
    """What is told from now on."""
    providers.exporter.clear()
    providers.reader.get_metrics_data()
    return providers


@contextmanager
def a_caller() -> Iterator[None]:
    """Whoever calls has a span of its own, of which its client sends the `traceparent`."""
    context = SpanContext(TRACE, CALLER, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with use(NonRecordingSpan(context)):
        yield


def asking(*names: str) -> dict[str, Any]:
    """Arguments that ask for a persona of each name."""
    return {"personas": [{"name": name, "sources": [{"type": "TEXT", "value": "notes"}]} for name in names]}


async def generate(respond: Respond, *names: str, **settings: Any) -> None:
    """Ask for personas, of an upstream that answers so."""
    async with upstream(respond) as octave:
        # What becomes unknown is waited for as long as a call may take.
        configured = Settings(**{"base_url": octave.url, "api_key": SecretStr(KEY), "wait_seconds": 2, **settings})
        async with Client(build_server(configured)) as client:
            await client.call_tool("generate_personas", asking(*names))


def attributes_of(span: ReadableSpan, *names: str) -> tuple[Any, ...]:
    """Attributes of a span."""
    return tuple((span.attributes or {}).get(name) for name in names)


# --- Spans ------------------------------------------------------------------------------------------------------------


async def test_each_paid_post_is_a_child_of_the_tool_call_that_asked_for_it(seen: Seen) -> None:
    """Though it is made by a task that outlives the call; and the whole is a part of the caller's trace."""
    async with upstream(by_the_page) as octave:
        async with Client(build_server(Settings(base_url=octave.url, api_key=SecretStr(KEY)))) as client:
            with a_caller():
                await client.call_tool("generate_personas", asking("A", "B", "C"))
        headers = {name.lower() for request in octave.requests for name, _ in request.headers}
    (call,) = seen.spans("tools/call generate_personas")
    assert len(seen.posts) == 3
    for span in seen.posts:
        assert span.parent is not None
        assert span.parent.span_id == call.context.span_id
        assert span.context.trace_id == call.context.trace_id == TRACE
        assert span.kind is SpanKind.CLIENT
        assert span.status.status_code is StatusCode.UNSET
        assert attributes_of(span, "http.request.method", "url.path", "url.template") == ("POST", PATH, PATH)
        assert attributes_of(span, "server.address", "server.port") == ("localhost", octave.port)
        assert attributes_of(span, "http.response.status_code", "octave.request_id") == (200, "req_1")
        assert attributes_of(span, "octave.outcome", "octave.credits", "octave.try") == ("done", 1, 1)
        assert attributes_of(span, "error.type") == (None,)
    places = sorted(attributes_of(span, "octave.persona.index")[0] for span in seen.posts)
    assert places == [0, 1, 2]
    assert not headers & {"traceparent", "tracestate", "baggage"}  # Octave's API describes no such header


async def test_a_post_that_ends_after_its_call_is_still_its_child(seen: Seen) -> None:
    """A call answers in time, and what it asked for goes on."""
    respond = HoldsTheSlow()
    async with upstream(respond) as octave:
        settings = Settings(base_url=octave.url, api_key=SecretStr(KEY), wait_seconds=0.2)
        async with Client(build_server(settings)) as client:
            with a_caller():
                await client.call_tool("generate_personas", asking("slow"))
            (call,) = seen.spans("tools/call generate_personas")
            assert seen.posts == []
            respond.go.set()
            await client.call_tool("get_generation", {})
    (span,) = seen.posts
    assert span.parent is not None
    assert (span.parent.span_id, span.context.trace_id) == (call.context.span_id, TRACE)
    assert span.end_time is not None
    assert call.end_time is not None
    assert span.end_time > call.end_time


async def test_over_http_the_trace_of_the_caller_is_followed_too(seen: Seen) -> None:
    """By the `traceparent` in the message, though a desk is opened for its key; the second call is not the first's."""
    async with upstream(by_the_page) as octave, serving(base_url=octave.url, api_key=SecretStr(KEY)) as url:
        for number in (1, 2):
            meta = {"traceparent": f"00-{TRACE + number:032x}-{CALLER:016x}-01"}
            parameters = {"name": "generate_personas", "arguments": asking(f"P{number}"), "_meta": meta}
            result_in(await post(url, "tools/call", parameters))
    calls = {span.context.trace_id: span for span in seen.spans("tools/call generate_personas")}
    assert set(calls) == {TRACE + 1, TRACE + 2}
    assert len(seen.posts) == 2
    for span in seen.posts:
        assert span.parent is not None
        assert span.parent.span_id == calls[span.context.trace_id].context.span_id


class PutsOff:
    """Is busy at first."""

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Ask to wait, then answer by the page."""
        busy = answer(error_envelope("busy", requestId="req_busy"), status=429, headers={"retry-after": "0"})
        writer.write(answer(page_answer(request)) if request.number else busy)


OUTCOMES: list[tuple[Respond, list[tuple[Any, ...]]]] = [
    (by_the_page, [("done", None, 200, 1, 1)]),
    (always(error_envelope("no"), status=400), [("failed", "InputProblem", 400, None, 1)]),
    (always(error_envelope("no"), status=402), [("failed", "NoCredits", 402, None, 1)]),
    (always({"_metadata": metadata(usage=2), "data": None}), [("failed", "NothingCreated", 200, 2, 1)]),
    (always(error_envelope("oh"), status=500), [("unknown", "OutcomeUnknown", 500, None, 1)]),
    (ends_in_the_body, [("unknown", "OutcomeUnknown", 200, None, 1)]),
    (PutsOff(), [("refused", "Busy", 429, None, 1), ("done", None, 200, 1, 2)]),
]


@pytest.mark.parametrize(("respond", "expected"), OUTCOMES)
async def test_a_span_tells_what_became_of_its_post(
    seen: Seen, respond: Respond, expected: list[tuple[Any, ...]]
) -> None:
    """And how often it was tried, with the class of an error, and never its text."""
    await generate(respond, "A")
    names = ("octave.outcome", "error.type", "http.response.status_code", "octave.credits", "octave.try")
    assert [attributes_of(span, *names) for span in seen.posts] == expected
    for span in seen.posts:
        assert span.status.is_ok is (attributes_of(span, "error.type")[0] is None)
        assert not span.status.description
        assert not span.events


async def test_a_look_up_is_a_span_without_its_query(seen: Seen) -> None:
    """Which has what somebody looked for."""
    async with upstream(by_the_page) as octave:
        octave.library.append({"oId": "pe_1", "name": "marker-text"})
        async with Client(build_server(Settings(base_url=octave.url, api_key=SecretStr(KEY)))) as client:
            await client.call_tool("list_personas", {"offeringOId": "marker-text"})
        assert octave.looked_up[0].query["productOId"] == "marker-text"
    (span,) = seen.spans("GET /api/v2/persona/list")
    (call,) = seen.spans("tools/call list_personas")
    assert span.parent is not None
    assert span.parent.span_id == call.context.span_id
    assert attributes_of(span, "http.response.status_code", "octave.request_id", "octave.outcome") == (
        200,
        "req_1",
        "done",
    )
    assert "marker-text" not in span.to_json()


# --- Metrics ----------------------------------------------------------------------------------------------------------


async def test_calls_outcomes_and_credits_are_counted(seen: Seen) -> None:
    """With what OpenTelemetry calls things, and nobody's name."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        name = request.json["personas"][0]["name"]
        if name != "lost":
            writer.write(answer(error_envelope("no"), status=400) if name == "bad" else answer(page_answer(request)))

    await generate(respond, "A", "B", "bad", "lost")
    await generate(by_the_page)  # no persona: refused before anything is sent
    metrics = seen.metrics()
    counted = {(about["octave.outcome"], about.get("error.type")): n for about, n in metrics["octave.mcp.personas"]}
    assert counted == {("created", None): 2, ("failed", "InputProblem"): 1, ("unknown", "OutcomeUnknown"): 1}
    assert metrics["octave.mcp.credits"] == [({}, 2)]
    tool = "generate_personas"
    calls = {(about["gen_ai.tool.name"], about["octave.mcp.result"]): n for about, n in metrics["octave.mcp.calls"]}
    assert calls == {(tool, "ok"): 1, (tool, "problem"): 1}
    posts = [
        point
        for about, point in metrics["http.client.request.duration"]
        if about["http.request.method"] == "POST" and about["url.template"] == PATH
    ]
    assert sum(point.count for point in posts) == 4
    assert posts[0].explicit_bounds[-1] == 600


async def test_what_is_joined_is_counted_and_not_counted_as_made(seen: Seen) -> None:
    """A client that hung up and calls again creates nothing more."""
    respond = HoldsTheSlow()
    async with upstream(respond) as octave:
        settings = Settings(base_url=octave.url, api_key=SecretStr(KEY), wait_seconds=0.2)
        async with Client(build_server(settings)) as client:
            for _ in range(2):
                await client.call_tool("generate_personas", asking("slow"))
            respond.go.set()
            await client.call_tool("get_generation", {})
    metrics = seen.metrics()
    assert metrics["octave.mcp.personas.joined"] == [({}, 1)]
    assert metrics["octave.mcp.personas"] == [({"octave.outcome": "created"}, 1)]


async def test_a_lost_persona_that_is_found_is_counted(seen: Seen) -> None:
    """Beside the unknown that it was."""

    async def lost(_: Request, __: asyncio.StreamWriter) -> None:
        octave.library.append(record(1) | {"name": "A", "createdAt": timestamp(time.time() + 0.01)})

    async with (
        upstream(lost) as octave,
        Client(build_server(Settings(base_url=octave.url, api_key=SecretStr(KEY)))) as client,
    ):
        await client.call_tool("generate_personas", asking("A"))
    metrics = seen.metrics()
    assert metrics["octave.mcp.personas"] == [({"octave.outcome": "unknown", "error.type": "OutcomeUnknown"}, 1)]
    assert metrics["octave.mcp.personas.recovered"] == [({}, 1)]


# --- Nothing of anybody's ---------------------------------------------------------------------------------------------

MARKER = "Xq7marker"


async def echoes(request: Request, writer: asyncio.StreamWriter) -> None:
    """Quote all that was sent, in every place that an answer has, in another way each time."""
    quoted = f"{request.body.decode()} {request.target} {request.header('api_key')}"
    header = {"x-echo": MARKER, "location": f"https://elsewhere.example/{MARKER}", "retry-after": "0"}
    said = error_envelope(quoted, requestId=quoted)
    made = {"_metadata": metadata(message=quoted, requestId=quoted), "data": [record(1) | {"name": quoted}]}
    answers = [
        *(answer(said, status=status, headers=header) for status in (400, 401, 404, 408, 429, 500, 302)),
        answer(made, headers=header),
        answer({"data": [quoted]}, headers=header),
        f"{MARKER} is no HTTP\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\n{MARKER} {MARKER}\r\n\r\n".encode(),
        answer({"nothing": quoted}),
        answer(quoted.encode()),
    ]
    writer.write(answers[request.number % len(answers)])


@pytest.mark.parametrize("form", ["text", "json"])
async def test_nothing_that_was_sent_or_answered_is_told(
    seen: Seen, form: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """In any span, metric or line of the log at its most talkative, whoever echoes it."""
    key = SecretStr(f"sk-{MARKER}-0123456789")
    loggers = [logging.getLogger(name) for name in ("", "octave_mcp", "asyncio", "uvicorn")]
    before = [(one, one.level, one.handlers[:]) for one in loggers]
    configure_logging("DEBUG", Secrets(key), form=form)
    try:
        async with upstream(echoes) as octave:
            octave.look_up = echoes
            settings = Settings(base_url=octave.url, api_key=key, wait_seconds=0.3)  # as some stay unknown
            async with Client(build_server(settings)) as client:
                for number in range(14):
                    sources = [{"type": "TEXT", "value": f"{MARKER} notes"}]
                    one = {"name": f"{MARKER} {number}", "sources": sources}
                    await client.call_tool("generate_personas", {"personas": [one], "playbookOId": MARKER})
                    await client.call_tool("list_personas", {"text": MARKER})
                    await client.call_tool("get_persona", {"oId": MARKER})
                    await client.call_tool("generate_personas", {MARKER: MARKER})
    finally:
        logging.getLogger().handlers[0].flush()
        for each, level, handlers in before:
            each.setLevel(level)
            each.handlers[:] = handlers
    written = capfd.readouterr().err
    assert "DEBUG" in written
    assert f"POST {PATH}" in written
    assert MARKER not in written
    assert len(seen.posts) >= 14
    assert MARKER not in "".join(span.to_json() for span in seen.exporter.get_finished_spans())
    assert MARKER not in json.dumps(seen.metrics(), default=repr)


# --- Where it goes ----------------------------------------------------------------------------------------------------


def server(octave_url: str, **variables: str) -> StdioServerParameters:
    """The real command, with variables."""
    own = {"OCTAVE_API_KEY": KEY, "OCTAVE_BASE_URL": octave_url, "OCTAVE_MCP_STATE_URL": "memory://"}
    return StdioServerParameters(command=sys.executable, args=["-m", "octave_mcp"], env=environment() | own | variables)


async def test_the_command_sends_to_a_collector(tmp_path: Any) -> None:
    """Over OTLP and HTTP, at the latest at its end, with the service's name."""
    with collector() as received, (tmp_path / "stderr").open("w") as stderr:
        async with upstream(by_the_page) as octave:
            parameters = server(octave.url, OTEL_EXPORTER_OTLP_ENDPOINT=received.url)
            with a_caller():
                async with Client(stdio_client(parameters, errlog=stderr)) as client:
                    await client.call_tool("generate_personas", asking("Marker", "B"))
    posts = [span for span in received.spans if span.name == f"POST {PATH}"]
    (call,) = [span for span in received.spans if span.name == "tools/call generate_personas"]
    assert len(posts) == 2
    assert {span.parent_span_id for span in posts} == {call.span_id}
    assert {span.trace_id for span in posts} == {TRACE.to_bytes(16, "big")}
    assert {"octave.mcp.calls", "octave.mcp.personas", "octave.mcp.credits"} <= {one.name for one in received.metrics}
    assert received.services == {"octave-personas-mcp"}
    sent = b"".join(received.bodies)
    assert b"Marker" not in sent
    assert KEY.encode() not in sent
    assert (tmp_path / "stderr").read_text() == ""


async def test_the_service_may_have_another_name_and_one_signal_a_place_of_its_own(tmp_path: Any) -> None:
    """As the standard variables have it."""
    with collector() as received, (tmp_path / "stderr").open("w") as stderr:
        async with upstream(by_the_page) as octave:
            variables = {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{received.url}/v1/traces",
                "OTEL_SERVICE_NAME": "personas-of-ours",
            }
            async with Client(stdio_client(server(octave.url, **variables), errlog=stderr)) as client:
                await client.call_tool("list_personas", {})
    assert received.spans
    assert received.metrics == []
    assert received.services == {"personas-of-ours"}


@pytest.mark.parametrize("listens", [False, True], ids=["nobody listens", "never answers"])
async def test_a_dead_collector_delays_neither_a_call_nor_the_end(tmp_path: Any, *, listens: bool) -> None:
    """Nor does it fill the log."""
    dead = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{dead.getsockname()[1]}"
    if not listens:
        dead.close()
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_METRIC_EXPORT_INTERVAL": "100",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1" if not listens else "10",
    }
    with dead, (tmp_path / "stderr").open("w") as stderr:
        async with upstream(by_the_page) as octave:
            async with Client(stdio_client(server(octave.url, **variables), errlog=stderr)) as client:
                await client.call_tool("generate_personas", asking("warm"))
                started = time.monotonic()
                for number in range(5):
                    await client.call_tool("generate_personas", asking(f"{number}"))
                calls = time.monotonic() - started
                await asyncio.sleep(2)
                started = time.monotonic()
            end = time.monotonic() - started
    assert calls < 2.5
    assert end < 4.5
    lines = (tmp_path / "stderr").read_text().splitlines()
    assert len(lines) <= 2
    assert all("does not accept" in line and address not in line for line in lines)
    assert listens or lines


async def test_a_command_that_waits_for_a_dead_collector_ends_by_itself() -> None:
    """Its client has two seconds of patience, or more; the process ends with its own code."""
    with socket.create_server(("127.0.0.1", 0)) as dead:
        address = f"http://127.0.0.1:{dead.getsockname()[1]}"
        started = time.monotonic()
        ran = await run("--sandbox", env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=address), stdin="")
    assert ran.code == 0
    assert time.monotonic() - started < 15


VARIABLES: list[tuple[dict[str, str], tuple[bool, bool]]] = [
    ({}, (False, False)),
    ({"ENDPOINT": ""}, (False, False)),
    ({"ENDPOINT": "http://localhost:4318"}, (True, True)),
    ({"TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, (True, False)),
    ({"METRICS_ENDPOINT": "http://localhost:4318/v1/metrics"}, (False, True)),
]


@pytest.mark.parametrize(("variables", "expected"), VARIABLES)
def test_the_standard_variables_say_what_is_sent(
    variables: dict[str, str], expected: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And switch it off."""
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    settings = load_telemetry_settings()
    assert (settings.traces, settings.metrics) == expected
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert not load_telemetry_settings().traces
    monkeypatch.setenv("OTEL_SDK_DISABLED", "True")
    settings = load_telemetry_settings()
    assert (settings.traces, settings.metrics) == (False, False)


async def in_python(code: str, **variables: str) -> tuple[str, str]:
    """What a program prints, on stdout and on stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        env=environment() | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    ran = await ended(process)
    assert ran.code == 0, ran.err
    return ran.out.strip(), ran.err.strip()


async def test_without_the_variables_nothing_is_loaded() -> None:
    """A start is felt in every chat."""
    code = (
        "import sys; from octave_mcp.observability.environment import set_up_telemetry; set_up_telemetry()();"
        "print([name for name in ('opentelemetry.sdk', 'opentelemetry.metrics', 'requests') if name in sys.modules])"
    )
    assert await in_python(code) == ("[]", "")


async def test_without_the_extra_one_line_says_how_to_have_it() -> None:
    """And the server starts all the same."""
    code = (
        "import sys; sys.modules['opentelemetry.sdk.trace'] = None;"
        "from octave_mcp.observability.environment import set_up_telemetry; set_up_telemetry()()"
    )
    _, err = await in_python(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:4318")
    assert len(err.splitlines()) == 1
    assert "octave-personas-mcp[otel]" in err


PLATFORMS: list[tuple[dict[str, str], str]] = [
    ({"OTEL_PROPAGATORS": "xray"}, "OTEL_PROPAGATORS"),
    ({"OTEL_PROPAGATORS": "tracecontext, baggage ,b3"}, "OTEL_PROPAGATORS"),
    ({"OTEL_PROPAGATORS": "tracecontext,baggage"}, ""),
    ({"OTEL_PROPAGATORS": "none"}, ""),
    ({"OTEL_PROPAGATORS": ""}, ""),
    ({"OTEL_PYTHON_CONTEXT": "other"}, "OTEL_PYTHON_CONTEXT"),
    ({"OTEL_PYTHON_CONTEXT": "contextvars_context"}, ""),
    ({"OTEL_PYTHON_TRACER_PROVIDER": "none_such"}, "OTEL_PYTHON_TRACER_PROVIDER"),
    (
        {"OTEL_PYTHON_METER_PROVIDER": "sdk_meter_provider", "OTEL_PROPAGATORS": "jaeger"},
        "OTEL_PROPAGATORS, OTEL_PYTHON_METER_PROVIDER",
    ),
]


@pytest.mark.parametrize(("variables", "named"), PLATFORMS)
def test_a_platforms_variables_never_end_a_start(
    variables: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is not installed is dropped before OpenTelemetry would fail to load it, and one line of the log names it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    drop_unusable_variables.cache_clear()
    try:
        set_up_telemetry()()
    finally:
        left = {name: os.environ.get(name, "") for name in variables}
        drop_unusable_variables.cache_clear()
    assert [named in message for message in caplog.messages] == ([True] if named else [])
    assert not {"xray", "b3", "jaeger", "other", "none_such"} & set(",".join(left.values()).split(","))
    if variables.get("OTEL_PROPAGATORS", "").startswith("tracecontext"):
        assert left["OTEL_PROPAGATORS"] == "tracecontext,baggage"


def otel_variables() -> set[str]:
    """Return the names of all variables that OpenTelemetry's API and SDK read."""
    modules = (opentelemetry.environment_variables, opentelemetry.sdk.environment_variables)
    return {name for module in modules for name in vars(module) if name.startswith("OTEL_")}


@pytest.mark.parametrize("spoilt", ["all", "all that are not about where to send"])
async def test_the_command_starts_whatever_the_variables_hold(spoilt: str) -> None:
    """Nonsense in every variable that OpenTelemetry reads costs the telemetry at most, and one or two lines."""
    variables = dict.fromkeys(otel_variables(), "no such thing")
    if spoilt != "all":
        kept = {name for name in variables if "EXPORTER" in name or name == "OTEL_SDK_DISABLED"}
        variables = {name: value for name, value in variables.items() if name not in kept}
        variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    ran = await run("--sandbox", env=environment() | variables, stdin="")
    assert ran.code == 0
    assert "OTEL_PROPAGATORS" in ran.err
    assert "Traceback" not in ran.err
    assert "no such thing" not in ran.err


def test_another_protocol_is_reported_and_not_spoken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """To a collector that speaks gRPC nothing would ever arrive."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    set_up_telemetry()()
    (line,) = caplog.messages
    assert "http/protobuf" in line


def test_the_page_about_a_team_server_names_every_metric(seen: Seen) -> None:
    """And none that there is not."""
    telemetry.count_call("get_persona", "ok")
    telemetry.count_outcome("created", None, 1.0)
    telemetry.count_joined(1)
    telemetry.count_recovered()
    telemetry.time_request(1.0, {})
    page = (Path(__file__).parents[2] / "deploy/README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:octave\.mcp|http\.client)\.[a-z.]+)`", page))
    assert named == set(seen.metrics())
