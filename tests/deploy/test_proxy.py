"""The proxy that is shipped: a real Caddy with its configuration, in front of replicas, real or misbehaving."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest
from mcp.types import TextContent
from support.command import environment
from support.http import ASKING, HEADERS, Server, called, client, post, process, said, until
from support.ports import free_ports
from support.proxy import Proxy, caddy
from support.upstream import Request, answer, page_answer, upstream

from octave_mcp.http.settings import HttpSettings

pytestmark = pytest.mark.anyio

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Stub:
    """In place of a replica: takes requests whole, keeps them, and answers as it is told to."""

    respond: Respond
    port: int = 0
    requests: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            self.requests.append(head + await reader.readexactly(int(length[1]) if length else 0))
            await self.respond(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the proxy hung up
        finally:
            writer.close()


@asynccontextmanager
async def stub(respond: Respond) -> AsyncIterator[Stub]:
    """Run one until the block ends."""
    running = Stub(respond)
    server = await asyncio.start_server(running, "127.0.0.1", 0)
    async with server:
        running.port = server.sockets[0].getsockname()[1]
        yield running


async def well(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer."""
    writer.write(ANSWER)
    await writer.drain()


async def never(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Die with the request in hand."""


async def busy(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuse."""
    writer.write(ANSWER.replace(b"200 OK", b"503 Service Unavailable"))
    await writer.drain()


async def halfway(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Die in the middle of an answer."""
    writer.write(ANSWER.replace(b"Content-Length: 2", b"Content-Length: 9"))
    await writer.drain()


@asynccontextmanager
async def three(*arguments: str, **settings: str) -> AsyncIterator[tuple[Proxy, list[Server]]]:
    """Three processes of the server, and the proxy in front of them."""
    async with AsyncExitStack() as stack:
        starting = [stack.enter_async_context(process(environment(None, **settings), *arguments)) for _ in range(3)]
        replicas = [await one for one in starting]
        proxy = await stack.enter_async_context(caddy(*(int(one.origin.rpartition(":")[2]) for one in replicas)))
        yield proxy, replicas


async def test_replicas_take_turns_and_one_that_is_dead_is_left_out() -> None:
    """All three are reached; when one is gone, each call is answered by another, and none is lost."""
    async with three("--sandbox") as (proxy, replicas):
        for _ in range(6):
            assert not (await called(proxy.url, "list_personas", {}))["isError"]
        await until(lambda: sum(proxy.answered().values()) == 6)
        assert set(proxy.answered().values()) == {2}
        assert len(proxy.answered()) == 3
        replicas[0].process.kill()
        await replicas[0].process.wait()
        for _ in range(6):
            assert not (await called(proxy.url, "generate_personas", ASKING))["isError"]
        await until(lambda: sum(proxy.answered().values()) == 12)
        assert proxy.answered()[int(replicas[0].origin.rpartition(":")[2])] == 2
        assert {one["status"] for one in proxy.requests} == {200}


async def test_progress_comes_before_the_end() -> None:
    """The second persona is not made before the client has heard of the first."""
    heard = asyncio.Event()

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.number:
            await asyncio.wait_for(heard.wait(), 20)
        writer.write(answer(page_answer(request)))

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        assert message
        if (progress, total) == (1.0, 2.0):
            heard.set()

    asking = {"personas": [{**ASKING["personas"][0], "name": name} for name in ("A", "B")]}
    async with upstream(respond) as octave:
        settings = {"OCTAVE_API_KEY": "sk-canary-0123456789", "OCTAVE_BASE_URL": octave.url}
        async with three(OCTAVE_MCP_STATE_URL="memory://", **settings) as (proxy, _), client(proxy.url) as one:
            result = await one.call_tool("generate_personas", asking, progress_callback=progress)
            assert isinstance(result.content[0], TextContent)
            assert result.structured_content is not None
            assert result.structured_content["status"] == "complete"
    assert heard.is_set()


async def test_a_stream_is_not_held_back() -> None:
    """A replica does not have to ask for that by a header, as the MCP SDK's streams do not."""
    heard = asyncio.Event()

    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nevent: 1\n\n")
        await writer.drain()
        await asyncio.wait_for(heard.wait(), 20)
        writer.write(b"event: 2\n\n")
        await writer.drain()

    async with (
        stub(respond) as replica,
        caddy(replica.port) as proxy,
        httpx.AsyncClient(timeout=10) as http,
        http.stream("POST", proxy.url, content="{}") as answered,
    ):
        events = [line async for line in _hearing(answered.aiter_lines(), heard) if line]
    assert events == ["event: 1", "event: 2"]


async def _hearing(lines: AsyncIterator[str], heard: asyncio.Event) -> AsyncIterator[str]:
    async for line in lines:
        heard.set()
        yield line


@pytest.mark.parametrize(("ill", "status"), [(never, 502), (halfway, 200), (busy, 503)])
async def test_a_post_that_was_sent_is_sent_to_nobody_else(ill: Respond, status: int) -> None:
    """Whatever became of it: it may have created something. Each of six arrives at one replica, once."""
    async with stub(ill) as one, stub(well) as other, caddy(one.port, other.port) as proxy:
        async with httpx.AsyncClient(headers=HEADERS) as http:
            for number in range(6):
                try:
                    await http.post(proxy.url, content=f"{number}")
                except httpx.RemoteProtocolError:
                    assert ill is halfway
        arrived = sorted(request[-1:] for request in one.requests + other.requests)
        assert arrived == [b"0", b"1", b"2", b"3", b"4", b"5"]
        assert one.requests
        await until(lambda: len([each for each in proxy.requests if each["request"]["uri"] == "/mcp"]) == 6)
        assert status in {each["status"] for each in proxy.requests}


async def test_a_post_that_reached_nobody_goes_to_another() -> None:
    """Where the first does not listen."""
    (nobody,) = free_ports(1)
    async with stub(well) as other, caddy(nobody, other.port) as proxy:
        async with httpx.AsyncClient(headers=HEADERS) as http:
            answers = [await http.post(proxy.url, content="x") for _ in range(4)]
        assert [one.status_code for one in answers] == [200] * 4
        assert len(other.requests) == 4


async def test_headers_pass_and_the_log_has_none_of_them() -> None:
    """The name that was called, keys and tokens, as they came; of whoever called, nothing is kept."""
    sent = {
        "host": "personas.example.com",
        "x-octave-api-key": "sk-canary-0123456789",
        "authorization": "Bearer a-token-of-somebody",
        "mcp-protocol-version": "2025-06-18",
    }
    async with stub(well) as replica, caddy(replica.port) as proxy:
        async with httpx.AsyncClient() as http:
            answered = await http.post(f"{proxy.url}?secret=query", content="{}", headers=sent)
        assert answered.status_code == 200
        assert not {"server", "via"} & set(answered.headers)
        head = replica.requests[0].decode().lower()
        assert all(f"\r\n{name}: {value.lower()}\r\n" in head for name, value in sent.items())
        await until(lambda: [one for one in proxy.requests if one["status"] == 200])
        (logged,) = [one for one in proxy.requests if one["status"] == 200]
        assert set(logged["request"]) == {"method", "uri", "host", "proto"}
        assert not re.search("canary|token|query|127.0.0.1|0123456789", str(logged | {"replica": ""}))
    assert proxy.messages == []


async def test_a_body_has_the_servers_own_bound() -> None:
    """A larger body is refused; the largest that the server accepts reaches it."""
    bound = HttpSettings().max_request_bytes
    async with three("--sandbox") as (proxy, _), httpx.AsyncClient(headers=HEADERS, timeout=30) as http:
        for size in (bound + 1, bound * 11 // 10):
            refused = await http.post(proxy.url, content=b"x" * size)
            assert refused.status_code == 413
            assert "OCTAVE_MCP_MAX_REQUEST_BYTES" in refused.text
        taken = await http.post(proxy.url, content=b" " * bound)
        assert taken.status_code == 400


async def test_who_hangs_up_is_hung_up_on() -> None:
    """So that what a caller does not wait for is not sent."""
    gone = asyncio.Event()

    async def respond(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        assert await reader.read() == b""
        gone.set()

    async with stub(respond) as replica, caddy(replica.port) as proxy:
        calling = asyncio.create_task(post(proxy.url, "tools/list"))
        await until(lambda: replica.requests)
        calling.cancel()
        await asyncio.wait_for(gone.wait(), 10)


async def test_a_name_is_served_over_tls_with_a_certificate_of_caddys_own() -> None:
    """For a name of this machine Caddy is the authority itself; a public name's certificate comes by ACME instead."""
    async with stub(well) as replica, caddy(replica.port, tls=True) as proxy, asyncio.timeout(30):
        while not replica.requests:  # the certificate is made while Caddy listens already
            with suppress(httpx.ConnectError, FileNotFoundError):
                trusting = ssl.create_default_context(cafile=proxy.certificates / "pki/authorities/local/root.crt")
                async with httpx.AsyncClient(verify=trusting, headers=HEADERS) as http:
                    assert (await http.post(proxy.url, content="x")).status_code == 200
            await asyncio.sleep(0.05)


async def test_a_stop_waits_for_the_calls_in_progress() -> None:
    """As `docker compose` stops it: what a replica still writes reaches its caller."""
    stopping = asyncio.Event()

    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stopping.wait()
        await asyncio.sleep(0.2)
        writer.write(ANSWER)
        await writer.drain()

    async with stub(respond) as replica, caddy(replica.port) as proxy, httpx.AsyncClient(timeout=30) as http:
        calling = asyncio.create_task(http.post(proxy.url, content="x"))
        await until(lambda: replica.requests)
        proxy.process.terminate()
        stopping.set()
        assert (await calling).status_code == 200
        assert await asyncio.wait_for(proxy.process.wait(), 30) == 0


async def test_the_server_says_why_where_the_proxy_lets_in() -> None:
    """Refusals of the server come through as they are."""
    async with three(OCTAVE_MCP_CALLER_KEYS="true", OCTAVE_MCP_STATE_URL="memory://") as (proxy, _):
        result = await called(proxy.url, "check_workspace", {})
        assert "X-Octave-Api-Key" in said(result)
        refused = await post(proxy.url, "tools/list", host="evil.example")
        assert (refused.status_code, "Host" in refused.text) == (421, True)
