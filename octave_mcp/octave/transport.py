"""HTTP to Octave: one request, its answer as JSON, and every failure as one of `octave_mcp.octave.errors`.

Only this module and `response_body` use the HTTP library. Whoever answers at the origin: the key goes to the configured
origin in one header and nowhere else; a redirect is never followed; a call ends at a total deadline; no answer takes
more memory than its cap.
"""

import importlib.util
import logging
import ssl
import sys
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx
import truststore
from pydantic import SecretStr
from starlette.types import ASGIApp

from octave_mcp import __version__
from octave_mcp.octave import errors
from octave_mcp.octave.before_send import BeforeSend, SendGate, send_after
from octave_mcp.octave.instrumentation import Call
from octave_mcp.octave.proxy import Proxy, Route, route_to
from octave_mcp.octave.response_body import BodyError, decode, read_body
from octave_mcp.values import REMOVED

logger = logging.getLogger(__name__)

CONNECTION_SECONDS = 30.0
"""Bounds all steps of a connection together. It is the only bound on a proxy that never answers a CONNECT request."""

CONNECT_SECONDS = 10.0
"""Bounds each step of a connection: TCP, then TLS. A server that answers at all does so sooner."""

KEPT_SECONDS = 4.0
"""How long a look-up's connection is kept for the next look-up. Common servers close an idle connection after five
seconds, and one that is kept for long may be dead, as laptops sleep and networks change."""

MAX_UNREADABLE_BYTES = 64 * 1024
"""Bounds what is kept of an answer that cannot be read: about a dozen personas."""

_HEADERS = {
    "accept": "application/json",
    # An answer is small, and a compressed one can be cut, broken or a bomb.
    "accept-encoding": "identity",
    "user-agent": f"octave-personas-mcp/{__version__}",
    "x-request-source": "octave-mcp",
}
"""Headers of every request."""

_NOT_DONE = frozenset({HTTPStatus.ACCEPTED, HTTPStatus.PARTIAL_CONTENT})
"""Statuses of success that promise no result yet: an answer without a persona then leaves the outcome unknown."""

_WRONG_ADDRESS = (httpx.UnsupportedProtocol, httpx.InvalidURL)
_HTTP_ERRORS = (httpx.HTTPError, httpx.StreamError, httpx.CookieConflict, *_WRONG_ADDRESS, TimeoutError)
"""Every exception of the HTTP library, and that of the deadline."""


class Transport:
    """Send requests to one origin with one API key. Use it as an async context manager, from any number of tasks."""

    def __init__(self, base_url: str, api_key: SecretStr | None, *, app: ASGIApp | None) -> None:
        """Prepare the connection pools; nothing is opened yet. `app` answers in place of the network.

        If the base URL or the machine's proxy settings cannot be used, each call raises an error, and this does not: a
        server has to start, so that it can report the problem.
        """
        self._api_key = api_key
        self._in_process = app is not None
        self._route = Route()
        self._base_url = base_url
        self._pools: dict[str, httpx.AsyncBaseTransport] = {}
        try:
            self._route = route_to(base_url) if app is None else self._route
            self._pools = _pools(httpx.URL(base_url), self._route.proxy) if app is None else _in_process(app)
        except (ValueError, httpx.InvalidURL) as error:
            logger.warning("The HTTP client cannot be set up: %s", type(error).__name__)
        for problem in self._route.ignored:
            logger.warning("This proxy setting is ignored: %s", problem)
        self._failures: tuple[type[Exception], ...] = (*_HTTP_ERRORS, *_socks_errors(self._route.proxy))

    async def __aenter__(self) -> Self:
        """Open the connection pools."""
        for pool in self._pools.values():
            await pool.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pools and their connections."""
        for pool in self._pools.values():
            await pool.__aexit__(kind, error, trace)

    async def send(
        self,
        call: Call,
        seconds: float,
        *,
        before_send: BeforeSend | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send one request and return the JSON object of its answer. `seconds` bounds all of it.

        `before_send` is awaited before the first byte leaves, and runs while the connection is made. Raises
        `OctaveError`, or the exception of `before_send`, unchanged.
        """
        if self._api_key is None:
            raise errors.KeyProblem("No Octave API key is set.")
        pool = self._pools.get(call.method)
        if pool is None:
            proxy = self._route.proxy
            raise errors.SetupProblem(
                f"The base URL{f', or the proxy in {proxy.setting},' if proxy else ''} cannot be used."
            )
        try:
            request = httpx.Request(
                call.method,
                f"{self._base_url}{call.path}",
                params=params,
                content=content,
                headers={**_HEADERS, **(headers or {}), "api_key": self._api_key.get_secret_value()},
                extensions={"timeout": {"connect": CONNECT_SECONDS}},
            )
        except httpx.InvalidURL:  # a query of over 65,536 characters
            raise errors.InputProblem("A text or name is too long to be looked for in Octave.") from None
        return await send_after(before_send, partial(self._exchange, pool, request, call, seconds))

    async def _exchange(
        self, pool: httpx.AsyncBaseTransport, request: httpx.Request, call: Call, seconds: float, gate: SendGate
    ) -> dict[str, Any]:
        """Send the request once the gate is open, and read its answer. Errors of the HTTP library are mapped here."""
        request.extensions["trace"] = gate.trace
        received = bytearray()
        try:
            with gate.deadline(connect_seconds=CONNECTION_SECONDS, seconds=seconds):
                if self._in_process:  # this transport has no connection, and calls no trace
                    await gate.wait()
                response = await pool.handle_async_request(request)
                call.status = response.status_code
                try:
                    response.request = request
                    answer = await self._read(response, received)
                finally:
                    await response.aclose()
        except errors.OutcomeUnknown as error:
            error.unreadable = self._kept(received)
            raise
        except self._failures as error:
            logger.warning("%s %s ended with %s", call.method, call.path, type(error).__name__)
            # Without its cause: the library's errors quote what the peer sent, and a peer may send the key back.
            raise self._mapped(error, seconds, received, sent=gate.sent) from None
        finally:
            await gate.close_unused()
        call.request_id = errors.request_id_in(answer)
        return answer

    async def _read(self, response: httpx.Response, received: bytearray) -> dict[str, Any]:
        """Return the answer's JSON object, or raise the error that it stands for. Its bytes are added to `received`."""
        secret = self._api_key.get_secret_value() if self._api_key else None
        if not response.is_success:
            try:
                await read_body(response, received)
                answer = decode(bytes(received), secret=secret)
            except (ValueError, httpx.HTTPError):  # the status alone is enough for an error
                answer = None
            raise errors.error_for_status(response.status_code, response.headers.get("retry-after"), answer)
        try:
            await read_body(response, received)
            answer = decode(bytes(received), secret=secret)
        except BodyError as error:
            raise errors.OutcomeUnknown(f"Octave's answer {error}", status=response.status_code) from None
        except ValueError:
            raise errors.OutcomeUnknown("Octave's answer cannot be read.", status=response.status_code) from None
        if not isinstance(answer, dict):
            raise errors.OutcomeUnknown("Octave's answer is not what its API describes.", status=response.status_code)
        if response.status_code in _NOT_DONE and not answer.get("data"):
            raise errors.OutcomeUnknown(
                f"Octave has taken the request, and did not say what became of it (HTTP {response.status_code}).",
                **errors.details_in(answer, response.status_code),
            )
        if response.status_code == HTTPStatus.OK and errors.is_error_envelope(answer):
            raise errors.InputProblem(
                "Octave did not accept the request.",
                **errors.details_in(answer, response.status_code),
            )
        return answer

    def _mapped(self, error: Exception, seconds: float, received: bytearray, *, sent: bool) -> errors.OctaveError:
        """Return our error for one of the HTTP library's. `sent`: whether any of the request may have left."""
        if isinstance(error, _WRONG_ADDRESS):
            return errors.SetupProblem("The base URL cannot be called.")
        if not sent:
            if _is_about_a_certificate(error):
                return errors.SetupProblem("The certificate of Octave's address is not trusted by this machine.")
            return errors.Unreachable(self._unreachable())
        broken = "The connection to Octave broke before its answer was complete."
        text = f"Octave did not answer within {seconds:g} seconds." if isinstance(error, TimeoutError) else broken
        return errors.OutcomeUnknown(text, unreadable=self._kept(received))

    def _unreachable(self) -> str:
        route = self._route
        through = f" through the proxy in {route.proxy.setting}" if route.proxy else ""
        return " ".join(
            [f"Octave could not be reached{through}.", *(f"Ignored: {problem}." for problem in route.ignored)]
        )

    def _kept(self, received: bytearray) -> bytes | None:
        """Return the beginning of an answer that cannot be read, without the key, which a peer may have echoed."""
        kept = bytes(received)
        key = self._api_key.get_secret_value() if self._api_key else ""
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            kept = kept.replace(key.encode(encoding), REMOVED.encode())
        cut_off = (length for length in range(len(key) - 1, 2, -1) if kept.endswith(key[:length].encode()))
        return kept[: len(kept) - next(cut_off, 0)][:MAX_UNREADABLE_BYTES] or None


def _disable_sniffio_lookups() -> None:
    """Mark sniffio as missing if it is: httpcore tries to import it a dozen times a request, searching the disk.

    Measured with httpcore 1.0: a POST takes a quarter less. None in `sys.modules` is Python's mark of a missing module.
    """
    if importlib.util.find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]


def _pools(origin: httpx.URL, proxy: Proxy | None) -> dict[str, httpx.AsyncBaseTransport]:
    """Return a pool of connections for each HTTP method: only look-ups reuse connections.

    Its requests are sent as they are: without the HTTP library's redirects, cookies and settings of the environment.
    Raises ValueError or httpx.InvalidURL if the proxy's address cannot be used.
    """
    _disable_sniffio_lookups()
    verify = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if origin.scheme == "https" else False

    def pool(kept: int) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(
            verify=verify,
            # The environment is read in `octave.proxy`. Here, one setting that httpx cannot read would stop all calls.
            trust_env=False,
            proxy=None if proxy is None else proxy.url,
            limits=httpx.Limits(max_keepalive_connections=kept, keepalive_expiry=KEPT_SECONDS),
        )

    # A paid POST travels on a fresh connection: on a stale one, a lost request looks like a lost answer. Look-ups come
    # several in a row, and can be repeated. Only one connection is kept, as a team server has a client for each key.
    return {"POST": pool(kept=0), "GET": pool(kept=1)}


def _in_process(app: ASGIApp) -> dict[str, httpx.AsyncBaseTransport]:
    """Return what takes the place of the pools if `app` answers."""
    return dict.fromkeys(("POST", "GET"), httpx.ASGITransport(app, raise_app_exceptions=False))


def _socks_errors(proxy: Proxy | None) -> tuple[type[Exception], ...]:
    """Return the exceptions that a bad answer of a SOCKS proxy raises, which httpcore does not map to its own."""
    if proxy is None or not proxy.url.startswith("socks"):
        return ()
    from socksio import SOCKSError  # noqa: PLC0415 - takes 15 ms, and few machines have such a proxy

    return (SOCKSError, AssertionError)


def _is_about_a_certificate(error: BaseException) -> bool:
    """Return whether an exception, or one that caused it, says that a certificate is not trusted."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
