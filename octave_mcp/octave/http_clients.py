"""The HTTP clients that calls to Octave are sent with: what they send along, how they connect, what they keep."""

import importlib.util
import ssl
import sys
from collections.abc import Generator
from urllib.parse import urlsplit

import httpx
import truststore
from pydantic import SecretStr
from starlette.types import ASGIApp

from octave_mcp import __version__
from octave_mcp.octave.proxy import Proxy

__all__ = ["http_clients", "is_about_a_certificate", "socks_errors"]

CONNECT_SECONDS = 10.0
"""Bounds each step of a connection: TCP, then TLS. A server that answers at all does so sooner."""

KEPT_SECONDS = 4.0
"""How long a look-up's connection is kept for the next one: they come in a row. Common servers close theirs after five
seconds, and a connection that is kept for long may be dead, as laptops sleep and networks change."""


def _disable_sniffio_lookups() -> None:
    """Mark sniffio as missing if it is: httpcore tries to import it a dozen times a request, searching the disk.

    Measured with httpcore 1.0: a POST takes a quarter less. None in `sys.modules` is Python's mark of a missing module.
    """
    if importlib.util.find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]


def http_clients(
    base_url: str, api_key: SecretStr | None, *, app: ASGIApp | None, proxy: Proxy | None
) -> dict[str, httpx.AsyncClient]:
    """Return a client for each HTTP method, as only a look-up, which costs nothing, may meet a stale connection.

    Raises ValueError or httpx.InvalidURL if the base URL or the proxy's address cannot be used.
    """
    _disable_sniffio_lookups()
    encrypted = urlsplit(base_url).scheme == "https"
    verify = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if encrypted else False

    def client(kept: int) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=base_url,
            headers={
                "accept": "application/json",
                # An answer is small, and a compressed one can be cut, broken or a bomb.
                "accept-encoding": "identity",
                "user-agent": f"octave-personas-mcp/{__version__}",
                "x-request-source": "octave-mcp",
            },
            auth=None if api_key is None else _ApiKey(api_key),
            # The environment is read in `octave.proxy`. Here, one setting that httpx cannot read would stop all calls.
            trust_env=False,
            proxy=None if proxy is None else proxy.url,
            verify=verify,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_keepalive_connections=kept, keepalive_expiry=KEPT_SECONDS),
            transport=None if app is None else httpx.ASGITransport(app, raise_app_exceptions=False),
        )

    # A paid POST travels on a fresh connection: on a stale one, a lost request looks like a lost answer. Look-ups come
    # several in a row, and are repeated. One is kept and no more: a team's server has a client for each key.
    return {"POST": client(kept=0), "GET": client(kept=1)}


class _ApiKey(httpx.Auth):
    """Add the key when a request is sent, and take it off again, so that no kept request holds it."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["api_key"] = self._key.get_secret_value()
        try:
            yield request
        finally:
            del request.headers["api_key"]


def socks_errors(proxy: Proxy | None) -> tuple[type[Exception], ...]:
    """Return what a bad answer of a SOCKS proxy raises: httpcore does not map it to an exception of its own."""
    if proxy is None or not proxy.url.startswith("socks"):
        return ()
    from socksio import SOCKSError  # noqa: PLC0415 - takes 15 ms, which only who has such a proxy should wait

    return (SOCKSError, AssertionError)


def is_about_a_certificate(error: BaseException) -> bool:
    """Return whether an exception, or one that caused it, says that a certificate is not trusted."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
