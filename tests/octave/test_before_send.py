"""The connection is made while `before_send` runs, and no byte of the request leaves before it has returned."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import trustme
from pydantic import SecretStr
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from support.upstream import Request, Upstream, answer, by_the_page, upstream

from octave_mcp.octave import errors, transport
from octave_mcp.octave.before_send import BeforeSend
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.models import GenerateAnswer, GenerateRequest

pytestmark = pytest.mark.anyio

REQUEST = GenerateRequest.model_validate({"personas": [{"sources": [{"type": "TEXT", "value": "notes"}]}]})
SECONDS = 20.0
"""Nothing here takes a tenth of it."""


async def generate(url: str, before_send: BeforeSend | None) -> GenerateAnswer:
    """One call of a fresh client."""
    async with OctaveClient(url, SecretStr("sk-canary-0123456789")) as client:
        return await client.generate(REQUEST, idempotency_key="item-1", before_send=before_send)


async def until_true(condition: Callable[[], object]) -> None:
    """Return when `condition()` is true."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - a count of the server's has no event
            await asyncio.sleep(0.005)


@dataclass
class Recording:
    """A `before_send` that a test lets return or fail."""

    began: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    ended: str | None = None
    error: Exception | None = None

    async def __call__(self) -> None:
        """Wait for the test, then return or raise."""
        self.began.set()
        try:
            await asyncio.wait_for(self.go.wait(), SECONDS)
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "returned" if self.error is None else "raised"
        if self.error is not None:
            raise self.error


@dataclass
class Wire:
    """A server that reads whatever comes, decrypted, and answers a whole request."""

    port: int = 0
    connections: int = 0
    closed: int = 0
    received: bytearray = field(default_factory=bytearray)
    answers: bool = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count the connection, keep what it sends, and answer when it is all there."""
        self.connections += 1
        while chunk := await reader.read(65536):
            self.received += chunk
            if b"notes" in self.received:
                writer.write(answer({"data": [{"oId": "pe_1"}]}))
        self.closed += 1
        writer.close()


@asynccontextmanager
async def wire(certificate: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """Serve on a free port until the block ends."""
    running = Wire()
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0, ssl=certificate)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()


@dataclass
class Tunnel:
    """A proxy that opens tunnels, and counts them."""

    target: int
    port: int = 0
    opened: int = 0
    silent: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a CONNECT, then pass everything on, both ways."""
        await reader.readuntil(b"\r\n\r\n")
        if self.silent:
            await reader.read()
            writer.close()
            return
        theirs, ours = await asyncio.open_connection("127.0.0.1", self.target)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        self.opened += 1
        await asyncio.gather(_pass(reader, ours), _pass(theirs, writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
    writer.close()


@asynccontextmanager
async def tunnel(target: int, *, silent: bool = False) -> AsyncIterator[Tunnel]:
    """Run a proxy on a free port until the block ends."""
    running = Tunnel(target, silent=silent)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()


@pytest.fixture
def certificate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """A server's certificate for `localhost`, whose authority this process trusts."""
    authority = trustme.CA()
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture(autouse=True)
def _no_proxies_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALL_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def held_then_sent(octave: Wire, url: str) -> None:
    """Assert that nothing but the connection comes before the record is written, and the request after it."""
    recording = Recording()
    call = asyncio.create_task(generate(url, recording))
    await until_true(lambda: octave.connections)
    await asyncio.wait_for(recording.began.wait(), SECONDS)
    await asyncio.sleep(0.05)
    assert not octave.received
    recording.go.set()
    assert (await asyncio.wait_for(call, SECONDS)).data[0].oId == "pe_1"
    assert octave.received.startswith(b"POST /api/v2/persona/generate HTTP/1.1\r\n")
    assert octave.connections == 1


async def test_only_the_connection_is_made_while_the_record_is_written() -> None:
    """A server on a plain connection sees no byte before."""
    async with wire() as octave:
        await held_then_sent(octave, f"http://localhost:{octave.port}")


async def test_an_encrypted_connection_is_ready_while_the_record_is_written(certificate: ssl.SSLContext) -> None:
    """The server counts it after the handshake."""
    async with wire(certificate) as octave:
        await held_then_sent(octave, f"https://localhost:{octave.port}")


async def test_a_tunnel_is_ready_while_the_record_is_written(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy's CONNECT is no byte of the request."""
    async with wire(certificate) as octave, tunnel(octave.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        await held_then_sent(octave, f"https://localhost:{octave.port}")
        assert proxy.opened == 1


async def test_a_slow_connection_waits_for_nothing_else() -> None:
    """If the record is written first, the request leaves as soon as there is a connection."""
    recording = Recording()
    recording.go.set()
    async with wire() as octave:
        answered = await generate(f"http://localhost:{octave.port}", recording)
    assert answered.data[0].oId == "pe_1"


@pytest.mark.parametrize(
    "error", [ValueError("mine"), TimeoutError("mine"), httpx.ReadError("mine"), errors.OutcomeUnknown("mine")]
)
async def test_nothing_is_sent_if_the_record_fails(error: Exception) -> None:
    """The exception leaves unchanged, whatever its class, and the connection is closed."""
    recording = Recording(error=error)
    async with wire() as octave:
        call = asyncio.create_task(generate(f"http://localhost:{octave.port}", recording))
        await until_true(lambda: octave.connections)
        recording.go.set()
        with pytest.raises(type(error)) as caught:
            await asyncio.wait_for(call, SECONDS)
        await until_true(lambda: octave.closed)
        assert caught.value is error
        assert not octave.received


@pytest.mark.parametrize("fails", [False, True])
async def test_the_record_is_awaited_if_there_is_no_connection(fails: bool) -> None:  # noqa: FBT001 - drawn by the table
    """It says sent by then, so the caller must know; its own failure is the one that counts."""
    async with wire() as octave:
        pass
    recording = Recording(error=ValueError("mine") if fails else None)
    call = asyncio.create_task(generate(f"http://localhost:{octave.port}", recording))
    await asyncio.wait_for(recording.began.wait(), SECONDS)
    await asyncio.sleep(0.1)
    assert not call.done()
    recording.go.set()
    with pytest.raises(ValueError if fails else errors.Unreachable):
        await asyncio.wait_for(call, SECONDS)
    assert recording.ended == ("raised" if fails else "returned")


async def test_a_cancelled_call_sends_nothing_and_stops_the_record() -> None:
    """Both end, and the connection is closed."""
    recording = Recording()
    async with wire() as octave:
        call = asyncio.create_task(generate(f"http://localhost:{octave.port}", recording))
        await until_true(lambda: octave.connections)
        await asyncio.wait_for(recording.began.wait(), SECONDS)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until_true(lambda: octave.closed)
        assert not octave.received
        assert recording.ended == "cancelled"


async def test_a_failure_after_the_record_is_the_calls_own() -> None:
    """The request has left by then, so its outcome is unknown."""

    async def closes(_: Request, __: asyncio.StreamWriter) -> None:
        """Close without an answer."""

    recording = Recording()
    recording.go.set()
    async with upstream(closes) as octave:
        with pytest.raises(errors.OutcomeUnknown):
            await generate(octave.url, recording)
        assert len(octave.requests) == 1


async def test_the_time_for_connecting_does_not_bound_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it bound the record: it ends when there is a connection."""
    monkeypatch.setattr(transport, "CONNECTION_SECONDS", 0.3)
    recording = Recording()

    async def answers_late(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        await by_the_page(request, writer)

    octave: Upstream
    async with upstream(answers_late) as octave:
        call = asyncio.create_task(generate(octave.url, recording))
        await until_true(lambda: octave.connections)
        await asyncio.sleep(0.4)
        recording.go.set()
        assert (await asyncio.wait_for(call, SECONDS)).data


async def test_a_proxy_that_never_opens_its_tunnel_is_no_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the request can have left, so it is safe to send again."""
    monkeypatch.setattr(transport, "CONNECTION_SECONDS", 0.3)
    async with tunnel(0, silent=True) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(errors.Unreachable):
            await asyncio.wait_for(generate("https://octave.example", None), SECONDS)


@pytest.mark.parametrize("fails", [False, True])
async def test_an_app_in_the_process_is_called_after_the_record(fails: bool) -> None:  # noqa: FBT001 - drawn by the table
    """The sandbox has no connection to make meanwhile."""
    steps: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        steps.append("app")
        await JSONResponse({"data": [{"oId": "pe_1"}]})(scope, receive, send)

    async def before_send() -> None:
        await asyncio.sleep(0.01)
        steps.append("record")
        if fails:
            raise ValueError("mine")

    async with OctaveClient("http://localhost", SecretStr("sk-canary-0123456789"), app=app) as client:
        with pytest.raises(ValueError, match="mine") if fails else nullcontext():
            await client.generate(REQUEST, idempotency_key="item-1", before_send=before_send)
    assert steps == (["record"] if fails else ["record", "app"])
