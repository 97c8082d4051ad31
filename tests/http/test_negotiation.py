"""Paths, targets and `Accept` headers as clients and proxies really send them: each is answered, without a redirect."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.http import ASKING, HEADERS, client, post, serving

pytestmark = pytest.mark.anyio

MODERN = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "generate_personas",
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
}


def calling(*, modern: bool) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a call, without an `Accept`."""
    params: dict[str, Any] = {"name": "generate_personas", "arguments": ASKING}
    headers = {"content-type": "application/json", **(MODERN if modern else {})}
    params |= {"_meta": META} if modern else {}
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).encode(), headers


async def exchange(url: str, raw: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Send raw bytes, and return the answer's first line, its headers, and the rest until the connection is closed."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(raw)
    async with asyncio.timeout(30):
        head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.split(b"\r\n")
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}, rest


ACCEPTS = [
    (None, b""),
    ("", b""),
    ("*/*", b""),
    ("application/json", b"application/json"),
    ("application/json; charset=utf-8, text/html", b"application/json"),
    ("application/json, text/event-stream;q=0", b"application/json"),
    ("application/*", b"application/json"),
    ("text/event-stream", b"text/event-stream"),
    ("TEXT/Event-Stream;q=0.5", b"text/event-stream"),
    ("text/html, */*;q=0.8", b""),
    ("application/json, text/event-stream", b""),
]


@pytest.mark.parametrize("media_type", ["application/json", "APPLICATION/JSON", "application/json; charset=UTF-8"])
async def test_a_request_in_json_is_taken_however_its_type_is_written(media_type: str) -> None:
    """Media types have no case."""
    async with serving(sandbox=True) as url:
        assert (await post(url, "tools/list", content_type=media_type)).status_code == 200


@pytest.mark.parametrize("modern", [False, True], ids=["earlier", "2026-07-28"])
async def test_a_client_gets_the_media_type_that_it_accepts(*, modern: bool) -> None:
    """No header accepts anything; JSON alone gets JSON, and SSE alone SSE, whichever the protocol would choose."""
    body, headers = calling(modern=modern)
    async with serving(sandbox=True) as url:
        for accept, expected in ACCEPTS:
            sent = headers | {"host": "localhost", "connection": "close", "content-length": f"{len(body)}"}
            sent |= {} if accept is None else {"accept": accept}
            lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
            first, answered, rest = await exchange(url, f"POST /mcp HTTP/1.1\r\n{lines}\r\n".encode() + body)
            assert (accept, first) == (accept, b"HTTP/1.1 200 OK")
            assert answered[b"content-type"].startswith(expected)
            assert b'"generationId"' in rest
            if expected == b"application/json":
                length = int(answered[b"content-length"])
                assert json.loads(rest[:length])["id"] == 7
            elif expected == b"text/event-stream":
                assert b"data: {" in rest


async def test_a_client_that_accepts_neither_is_told_so() -> None:
    """A page that is opened in a browser by mistake is not answered with an event stream."""
    async with serving(sandbox=True) as url:
        assert (await post(url, "tools/list", accept="text/html")).status_code == 406


@pytest.mark.parametrize(
    "public", [None, "https://x.example/mcp/", "https://x.example/personas/mcp", "https://x.example"]
)
async def test_every_path_of_the_endpoint_is_served_without_a_redirect(public: str | None) -> None:
    """With and without a slash at its end, at /mcp and where a proxy that keeps its path sends it."""
    async with serving(sandbox=True, public_url=public) as url:
        origin = url.removesuffix("/mcp")
        paths = {"/mcp", urlsplit(public or url).path.rstrip("/")}
        for path in paths | {f"{path}/" for path in paths}:
            async with client(f"{origin}{path}") as one:
                assert len((await one.list_tools()).tools) == 6


async def test_the_root_names_the_endpoint() -> None:
    """People open it first, and a wrong path names the right one too."""
    async with serving(sandbox=True, public_url="https://x.example/personas/mcp") as url, httpx.AsyncClient() as http:
        origin = url.removesuffix("/mcp")
        index = await http.get(f"{origin}/")
        assert (index.status_code, index.text) == (200, "The MCP endpoint is /personas/mcp\n")
        assert (await http.get(f"{origin}/sse")).text == "Not found. The MCP endpoint is /personas/mcp\n"
        assert (await http.post(f"{origin}/", json={}, headers=HEADERS)).status_code == 404


@pytest.mark.parametrize(
    ("authority", "status"), [("localhost", 200), ("LOCALHOST:80", 200), ("evil.example", 421), ("", 421)]
)
async def test_a_target_in_absolute_form_is_taken_and_its_host_counts(authority: str, status: int) -> None:
    """RFC 9112 demands it, and that the `Host` header beside it is ignored."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    sent = {**HEADERS, "host": "localhost", "connection": "close", "content-length": f"{len(body)}"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    async with serving(sandbox=True) as url:
        first, _, __ = await exchange(url, f"POST http://{authority}/mcp HTTP/1.1\r\n{lines}\r\n{body}".encode())
    assert first.split()[1] == f"{status}".encode()
