"""The server over HTTP: both eras of the protocol, health, hosts and origins, bodies, and its end."""

import asyncio
import json
import signal
import socket
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, PromptReference
from support.command import environment, run
from support.http import ASKING, HEADERS, MODES, SECONDS, called, client, post, process, result_in, said, serving, until
from support.upstream import Request, answer, by_the_page, page_answer, upstream

from octave_mcp.http import request_guard as guard
from octave_mcp.http.settings import HttpSettings
from octave_mcp.http.tenants import TenantPool
from octave_mcp.http.web_server import build_web_server
from octave_mcp.settings import load

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"


class Holding:
    """An upstream that holds its answers until it is let go."""

    def __init__(self) -> None:
        """Hold."""
        self.go = asyncio.Event()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Hold, then answer."""
        await asyncio.wait_for(self.go.wait(), 30)
        writer.write(answer(page_answer(request)))


@pytest.mark.parametrize("mode", MODES)
async def test_everything_is_there_in_both_eras(mode: str) -> None:
    """Tools with progress, resources, prompts and completions, without a session."""
    told: list[tuple[float, float | None]] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        assert message
        told.append((progress, total))

    async with serving(sandbox=True) as url, client(url, mode) as one:
        assert len((await one.list_tools()).tools) == 6
        result = await one.call_tool("generate_personas", ASKING, progress_callback=progress)
        assert result.structured_content is not None
        assert result.structured_content["status"] == "complete"
        assert told == [(1.0, 1.0)]
        oid = result.structured_content["personas"][0]["oId"]
        (content,) = (await one.read_resource(f"octave://personas/{oid}")).contents
        assert json.loads(content.text)["oId"] == oid  # type: ignore[union-attr]
        assert (await one.get_prompt("interview_persona", {"persona": oid})).messages
        reference = PromptReference(type="ref/prompt", name="build_personas")
        completed = await one.complete(reference, {"name": "offering", "value": ""})
        assert completed.completion.values


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_every_earlier_version_is_spoken_and_needs_no_session(version: str) -> None:
    """Each message stands alone, so that any replica can answer it."""
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    async with serving(sandbox=True) as url:
        opened = await post(url, "initialize", hello)
        assert result_in(opened)["protocolVersion"] == version
        assert "mcp-session-id" not in opened.headers
        result = await called(url, "generate_personas", ASKING, mcp_protocol_version=version)
        assert not result["isError"]


async def test_health_tells_nothing_and_readiness_knows_the_store(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why it is not ready is in the log."""
    monkeypatch.setattr("octave_mcp.http.app.READY_SECONDS", 0.0)
    (tmp_path / "in the way").write_text("")
    async with serving(api_key=KEY) as url, httpx.AsyncClient() as http:
        good = [await http.get(url.replace("/mcp", path)) for path in ("/healthz", "/readyz")]
        assert [(one.status_code, one.json()) for one in good] == [(200, {"healthy": True}), (200, {"ready": True})]
    async with serving(api_key=KEY, state_url=f"sqlite:///{tmp_path}/in the way/x") as url, httpx.AsyncClient() as http:
        assert (await http.get(url.replace("/mcp", "/healthz"))).status_code == 200
        ready = await http.get(url.replace("/mcp", "/readyz"), headers={"host": "10.0.0.9"})
        assert (ready.status_code, ready.json()) == (503, {"ready": False})
        assert "OCTAVE_MCP_STATE_URL" in caplog.text
        result = await called(url, "generate_personas", ASKING)
        assert "Nothing was sent to Octave, and nothing was charged." in said(result)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil:1", "", "a,b"]
)
async def test_a_wrong_host_is_refused_and_the_log_names_the_setting(
    caplog: pytest.LogCaptureFixture, host: str
) -> None:
    """A page of another site that has its name lead here gets nothing."""
    async with serving(sandbox=True, allowed_hosts="personas.example.com,10.0.0.7:8000") as url:
        refused = await post(url, "tools/list", host=host)
        assert refused.status_code == 421
        assert "OCTAVE_MCP_ALLOWED_HOSTS" in caplog.text


@pytest.mark.parametrize(
    "host", ["personas.example.com", "Personas.Example.com:8443", "10.0.0.7:8000", "localhost", "[::1]:9"]
)
async def test_a_host_that_is_set_is_taken(host: str) -> None:
    """With a port, or without one for any."""
    async with serving(sandbox=True, allowed_hosts="personas.example.com,10.0.0.7:8000") as url:
        assert (await post(url, "tools/list", host=host)).status_code == 200


@pytest.mark.parametrize(
    ("origin", "listens", "status"),
    [
        ("https://chat.example.com", "here", 200),
        ("https://chat.example.com", "anywhere", 200),
        ("http://localhost:6274", "here", 200),
        ("http://localhost:6274", "anywhere", 403),
        ("http://chat.example.com", "here", 403),
        ("https://evil.example", "here", 403),
        ("https://localhost.evil.example", "here", 403),
        ("null", "here", 403),
        ("tauri://localhost", "here", 200),
        ("app://obsidian.md", "anywhere", 200),
        ("chrome-extension://abcdefghijklmnop", "anywhere", 200),
        ("vscode-webview://0a-b_c", "anywhere", 200),
        ("vscode-webview://other", "anywhere", 403),
    ],
)
async def test_pages_may_call_where_that_is_set(
    caplog: pytest.LogCaptureFixture, origin: str, listens: str, status: int
) -> None:
    """A browser asks first, and is told by what it asks."""
    preflight = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "mcp-x"}
    allowed = (
        "https://chat.example.com, TAURI://localhost, app://obsidian.md,"
        "chrome-extension://abcdefghijklmnop, vscode-webview://0a-b_c"
    )
    async with serving(sandbox=True, local=listens == "here", allowed_origins=allowed) as url:
        answered = await post(url, "tools/list", origin=origin)
        assert answered.status_code == status
        assert ("OCTAVE_MCP_ALLOWED_ORIGINS" in caplog.text) is (status == 403)
        async with httpx.AsyncClient() as http:
            asked = await http.options(url, headers=preflight)
        assert (asked.headers.get("access-control-allow-origin") == origin) is (status == 200)
        assert (answered.headers.get("access-control-allow-origin") == origin) is (status == 200)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_there_is_no_stream_to_open_and_no_session_to_end(method: str) -> None:
    """Each would hold a connection, or mean nothing."""
    async with serving(sandbox=True) as url, httpx.AsyncClient() as http:
        assert (await http.request(method, url, headers=HEADERS)).status_code == 405


@pytest.mark.parametrize("path", ["//mcp", "/healthz/", "/MCP", "/"])
async def test_no_path_leads_elsewhere(path: str) -> None:
    """A redirect could take a key along, readably."""
    async with serving(sandbox=True) as url, httpx.AsyncClient() as http:
        answered = await http.post(url.removesuffix("/mcp") + path, headers={**HEADERS, "host": "evil.example"})
        assert answered.status_code == 404
        assert "location" not in answered.headers
        assert "The MCP endpoint is /mcp" in answered.text


def test_a_connection_is_kept_longer_than_any_proxy_keeps_it() -> None:
    """Whoever closes first must be the proxy: a request that crosses with the server's close is lost."""
    assert build_web_server(load(HttpSettings, sandbox=True), local=True).config.timeout_keep_alive > 600


async def test_a_server_whose_services_have_ended_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would answer each call with an error for ever, while it looks healthy; a supervisor starts it again."""
    failing = asyncio.Event()

    async def fail(_: TenantPool) -> None:
        await failing.wait()
        raise RuntimeError("A bug.")

    monkeypatch.setattr(TenantPool, "evict_idle_tenants", fail)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = build_web_server(load(HttpSettings, sandbox=True, state_url="memory://"), local=True)
        monkeypatch.setattr(server, "capture_signals", nullcontext)
        ended = asyncio.create_task(server.serve([listening]))
        await until(lambda: server.started)
        assert not server.has_failed
        failing.set()
        await asyncio.wait_for(ended, SECONDS)
    assert server.has_failed


async def test_there_is_no_stream_to_listen_to() -> None:
    """It would be held open for ever, and tell nothing."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    }
    headers = {"mcp_protocol_version": "2026-07-28", "mcp_method": "subscriptions/listen"}
    params = {"notifications": {"toolsListChanged": True}, "_meta": meta}
    async with serving(sandbox=True) as url, asyncio.timeout(10):
        refused = await post(url, "subscriptions/listen", params, **headers)
        assert "error" in refused.json()


async def test_a_large_body_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its length, and by what comes where it tells none; a slow one too."""

    async def chunks() -> Any:
        for _ in range(20):
            yield b" " * 1000

    async def slowly() -> Any:
        yield b"{"
        await asyncio.sleep(5)

    monkeypatch.setattr(guard, "BODY_SECONDS", 0.2)
    async with serving(sandbox=True, max_request_bytes=10_000) as url, httpx.AsyncClient() as http:
        for content, status in ((b" " * 10_001, 413), (slowly(), 408), (b"", 400), (b"{", 400)):
            refused = await http.post(url, content=content, headers=HEADERS)
            assert refused.status_code == status
            assert "error" in refused.json()
        assert (await http.post(url, content=chunks(), headers=HEADERS)).status_code == 413


@pytest.mark.parametrize("host", ["localhost", "evil.example"])
async def test_an_answer_before_the_end_of_a_request_is_not_lost(host: str) -> None:
    """A connection that is closed while more comes is reset: a proxy then made a 502 of it."""
    head = f"POST /mcp HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 60000\r\n\r\n"
    async with serving(sandbox=True, max_request_bytes=10_000) as url, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(head.encode())
        answer = await reader.readuntil(b"}}")
        for _ in range(6):
            writer.write(b" " * 10_000)
            await asyncio.sleep(0.02)
        assert await reader.read() == b""
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413" if host == "localhost" else b"HTTP/1.1 421")


async def test_half_a_surrogate_pair_is_no_broken_message() -> None:
    """As JavaScript writes it, and as stdio takes it."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": _call()}).replace(
        "notes", "\\ud83d"
    )
    async with serving(sandbox=True) as url, httpx.AsyncClient() as http:
        assert not result_in(await http.post(url, content=body, headers=HEADERS))["isError"]


def _call() -> dict[str, Any]:
    return {"name": "generate_personas", "arguments": ASKING}


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_hangs_up_and_calls_again_is_handed_what_it_paid_for(mode: str) -> None:
    """Over any connection."""
    holding = Holding()
    async with upstream(holding) as octave, serving(api_key=KEY, base_url=octave.url) as url:
        async with client(url, mode) as one:
            first = asyncio.create_task(one.call_tool("generate_personas", ASKING))
            await until(lambda: octave.requests)
            first.cancel()
            await asyncio.wait([first])
        holding.go.set()
        async with client(url, mode) as another:
            result = await another.call_tool("generate_personas", ASKING)
        assert result.structured_content is not None
        assert result.structured_content["status"] == "complete"
        assert len(octave.requests) == 1


async def test_it_listens_elsewhere_only_if_it_knows_who_calls() -> None:
    """It says why, and what to set."""
    env = environment(OCTAVE_API_KEY=KEY)
    refused = await run("http", "--host", "0.0.0.0", "--port", "0", env=env)
    assert refused.code == 2
    assert "without authentication" in refused.err
    assert "OCTAVE_MCP_TOKENS_FILE" in refused.err
    assert KEY not in refused.err
    for port in ("99999", "x", "-1"):
        wrong = await run("http", f"--port={port}", env=env)
        assert (wrong.code, f"'{port}' is not a port number: give one from 0 to 65535" in wrong.err) == (2, True)


@pytest.mark.parametrize("status", ["complete", "pending"])
@pytest.mark.parametrize("mode", MODES)
async def test_its_end_is_polite_and_bounded(status: str, mode: str) -> None:
    """What is in flight is waited for; what does not come is named, with the id that collects it elsewhere."""
    holding = Holding()
    async with upstream(holding) as octave:
        env = environment(octave, OCTAVE_MCP_STATE_URL="memory://", OCTAVE_MCP_SHUTDOWN_SECONDS="1")
        async with process(env) as server, client(server.url, mode) as one:
            await one.list_tools()  # else the client asks for them afterwards
            call = asyncio.create_task(one.call_tool("generate_personas", ASKING))
            await until(lambda: octave.requests)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            with pytest.raises(httpx.TransportError):
                await post(server.url, "tools/list")
            if status == "complete":
                holding.go.set()
            result = await asyncio.wait_for(call, 10)
            assert result.structured_content is not None
            assert result.structured_content["status"] == status
            assert result.structured_content["generationId"]
            assert await asyncio.wait_for(server.process.wait(), 10) == 128 + signal.SIGTERM
            assert not [line for line in server.log if "Traceback" in line]


async def test_the_log_is_json_and_has_octaves_request_ids_and_nothing_of_a_caller() -> None:
    """Whatever its level: no key, token, name, source or address."""
    asking = {"personas": [{"name": "Marked Name", "sources": [{"type": "TEXT", "value": "marked source"}]}]}
    async with upstream(by_the_page) as octave:
        env = environment(octave, OCTAVE_MCP_STATE_URL="memory://", OCTAVE_MCP_LOG_LEVEL="DEBUG")
        own = env | {"OCTAVE_MCP_CALLER_KEYS": "true", "OCTAVE_API_KEY": ""}
        async with process(own) as server:
            result = await called(server.url, "generate_personas", asking, x_octave_api_key=KEY)
            assert not result["isError"]
            await post(server.url, "tools/list", host="evil.example")
            await until(lambda: any("OCTAVE_MCP_ALLOWED_HOSTS" in line for line in server.log))
    lines = [json.loads(line) for line in server.log if not line.startswith("MCP over HTTP")]
    log = "\n".join(server.log)
    assert not any(marked in log for marked in (KEY, "Marked Name", "marked source"))
    (told,) = [line for line in lines if line.get("method") == "POST"]
    assert (told["path"], told["status"]) == ("/api/v2/persona/generate", 200)
    assert told["request_id"]


@pytest.mark.parametrize("mode", MODES)
async def test_an_unknown_prompt_is_the_callers_mistake(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not an internal error, with a traceback in the log for whoever asks."""
    async with serving(sandbox=True) as url, client(url, mode) as one:
        with pytest.raises(MCPError) as raised:
            await one.get_prompt("nope")
    assert raised.value.error.code == INVALID_PARAMS
    assert "build_personas" in raised.value.error.message
    assert not [record for record in caplog.records if record.exc_info]
