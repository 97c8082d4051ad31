"""The one proxy on the way to Octave: which it is, what is passed over, and that calls go through it."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr
from support.upstream import by_the_page, upstream

from octave_mcp.octave import errors, transport
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.octave.proxy import route_to

REQUEST = GenerateRequest.model_validate({"personas": [{"sources": [{"type": "TEXT", "value": "notes"}]}]})
ORIGIN = "https://octave.example"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def _no_proxies_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("http://proxy:3128", ("proxy", 3128, "http://proxy:3128")),
        ("proxy:3128", ("proxy", 3128, "http://proxy:3128")),
        ("HTTP://proxy", ("proxy", 80, "http://proxy")),
        ("https://proxy/", ("proxy", 443, "https://proxy/")),
        ("socks5://127.0.0.1:9", ("127.0.0.1", 9, "socks5://127.0.0.1:9")),
        ("socks5h://[::1]", ("::1", 1080, "socks5h://[::1]")),
        ("socks://127.0.0.1:9/", ("127.0.0.1", 9, "socks5h://127.0.0.1:9/")),
        ("http://user:secret@proxy:1", ("proxy", 1, "http://user:secret@proxy:1")),
    ],
)
def test_a_proxy_is_read_in_all_its_forms(value: str, address: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """GNOME writes `socks://`, many write an address alone."""
    monkeypatch.setenv("HTTPS_PROXY", value)
    route = route_to(ORIGIN)
    assert route.proxy is not None
    assert (route.proxy.host, route.proxy.port, route.proxy.url) == address
    assert (route.proxy.setting, route.ignored) == ("HTTPS_PROXY", ())
    assert "secret" not in repr(route)


@pytest.mark.parametrize(
    "value",
    [
        "socks4://proxy:1",
        "ftp://proxy",
        "http://",
        "http://proxy:99999",
        "http://[bad",
        "http://pro xy",
        "http://pr\u00f6xy",
    ],
)
def test_what_cannot_be_read_is_named_and_passed_over(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its value, which may hold a password."""
    monkeypatch.setenv("HTTPS_PROXY", value)
    monkeypatch.setenv("ALL_PROXY", "http://other:8080")
    route = route_to(ORIGIN)
    assert route.proxy is not None
    assert route.proxy.host == "other"
    (problem,) = route.ignored
    assert problem.startswith("HTTPS_PROXY is not ")
    assert "pro" not in problem.replace("proxy", "")


@pytest.mark.parametrize(
    ("no_proxy", "origin", "direct"),
    [
        *(("octave.example", ORIGIN, True), (".example", ORIGIN, True), ("*", ORIGIN, True), ("other", ORIGIN, False)),
        *(("localhost,[::1]", ORIGIN, False), ("fd07:b51a:cc66:f0::/64, fe80::/10", ORIGIN, False)),
        *(("[::1]", "https://[::1]:8443", True), ("::1", "https://[::1]", True)),
        *(("octave.example:443", ORIGIN, True), ("octave.example:8443", ORIGIN, False)),
        ("", "http://octave.example", True),
    ],
)
def test_no_proxy_and_plain_calls_go_directly(
    no_proxy: str,
    origin: str,
    direct: bool,  # noqa: FBT001 - drawn by the table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Entries that match no host are passed over; a plain call would show a proxy the key."""
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (route_to(origin).proxy is None) is direct


def test_https_proxy_comes_before_all_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a setting that no call goes through is not even read."""
    monkeypatch.setenv("HTTPS_PROXY", "http://good:3128")
    monkeypatch.setenv("ALL_PROXY", "gopher://bad")
    route = route_to(ORIGIN)
    assert route.proxy is not None
    assert (route.proxy.host, route.ignored) == ("good", ())


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """Serve on a free port, which is given, until the block ends."""
    tasks: list[asyncio.Future[None]] = []

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.ensure_future(serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)


def socks5(target: int, asked: list[bytes]) -> Serve:
    """A SOCKS5 proxy that leads to `target` whatever it is asked for, and keeps the names that it was asked for."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        *_, length = await reader.readexactly(5)
        asked.append(await reader.readexactly(length))
        await reader.readexactly(2)
        theirs, ours = await asyncio.open_connection("127.0.0.1", target)
        writer.write(b"\x05\x00\x00\x01" + bytes(4) + struct.pack("!H", target))
        await asyncio.gather(_pass(reader, ours), _pass(theirs, writer))

    return serve


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
    writer.close()


@pytest.mark.anyio
@pytest.mark.parametrize("scheme", ["socks", "socks5", "socks5h"])
async def test_a_call_goes_through_a_socks_proxy(scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Encrypted to its end, so that the proxy does not see the key; the proxy resolves the name."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    asked: list[bytes] = []
    async with upstream(by_the_page, certificate=context) as octave, serving(socks5(octave.port, asked)) as port:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{port}")
        async with OctaveClient(octave.url, SecretStr("sk-canary-0123456789")) as client:
            await client.generate(REQUEST, idempotency_key="item-1")
            await client.list_personas(limit=1, offset=0)
    assert asked == [b"localhost"] * 2


def answering(*answers: bytes) -> Serve:
    """A proxy that answers so, one thing after another, and then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for one in answers:
            await reader.read(4096)
            writer.write(one)
        writer.close()

    return serve


async def _is_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass
    writer.close()


@pytest.mark.anyio
@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize(
    "serve",
    [
        _is_silent,
        answering(),
        answering(b"\x05"),
        answering(b"\x05\xff"),
        answering(b"\x05\x00", b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"),
        answering(b"\x05\x00", b"\x05\x00"),
        answering(b"\x00\x01\x02garbage\r\n\r\n"),
        answering(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
        answering(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"),
        answering(b"HTTP/1.1 200 Connected\r\n\r\n", b"no TLS at all"),
        answering(b"\x05\x00", b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", b"no TLS at all"),
    ],
)
async def test_a_proxy_that_fails_is_named_and_nothing_was_sent(
    serve: Serve, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it does, the same call may be made again."""
    monkeypatch.setattr(transport, "CONNECTION_SECONDS", 0.3)
    async with serving(serve) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{port}")
        async with OctaveClient(ORIGIN, SecretStr("sk-canary-0123456789")) as client:
            with pytest.raises(errors.Unreachable, match="through the proxy in HTTPS_PROXY"):
                await asyncio.wait_for(client.generate(REQUEST, idempotency_key="item-1"), 20)


@pytest.mark.anyio
async def test_an_ignored_setting_is_named_when_octave_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would search for long: everything else on the machine may use it."""
    monkeypatch.setenv("HTTPS_PROXY", "socks4://user:secret@proxy:1")
    async with OctaveClient("https://octave.invalid", SecretStr("sk-canary-0123456789")) as client:
        with pytest.raises(errors.Unreachable, match="Ignored: HTTPS_PROXY is not the address of") as caught:
            await client.list_personas(limit=1, offset=0)
    assert "secret" not in str(caught.value)
