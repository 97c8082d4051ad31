"""The one client of Octave's API, and the only module that knows which HTTP library is behind it.

What it promises, whatever is at the other end: the key goes to the configured origin in one header and nowhere else; a
redirect is never followed; a call ends at a total deadline; no answer takes more memory than its cap; and every failure
leaves as one of `octave_mcp.octave.errors`.
"""

import json
import logging
import re
import ssl
import time
from collections.abc import Generator, Mapping
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import anyio
import httpx
import truststore
from pydantic import SecretStr
from starlette.types import ASGIApp

from octave_mcp import __version__
from octave_mcp.octave import errors
from octave_mcp.octave.decoding import decode
from octave_mcp.octave.models import GenerateAnswer, GenerateRequest

__all__ = ["OctaveClient"]

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
"""For the connection, and once more for TLS. Whatever answers at all does so sooner; nothing has been sent by then."""

DEADLINE_SECONDS = 600.0
"""For each persona of a POST, from the call to the last byte. Octave publishes no figure; a language model writes the
persona, which takes seconds to minutes. The HTTP library's read timeout is for each chunk and bounds nothing."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""A persona's record is a few kilobytes, so this is hundreds of them; past it the answer is not what was asked for."""

MAX_RETRY_AFTER_SECONDS = 24 * 3600
"""A longer wait is taken for nonsense: nobody in a chat waits for a day."""

MAX_SAID_CHARACTERS = 2000
"""How much of an error message of Octave's is kept."""

_GENERATE = "/api/v2/persona/generate"

_MEANINGS: dict[int, tuple[type[errors.OctaveError], str]] = {
    401: (errors.KeyProblem, "Octave does not know this API key."),
    402: (errors.NoCredits, "The Octave workspace has no credits left."),
    403: (errors.KeyProblem, "Octave does not allow this with this API key; its credits may also be used up."),
    405: (errors.SetupProblem, "The base URL does not answer as Octave's API does."),
    408: (errors.OutcomeUnknown, "Octave gave up waiting for the request."),
    425: (errors.OutcomeUnknown, "Octave put the request off."),
}
"""What a status means where it says more than its hundred."""

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_WRONG_ADDRESS = (httpx.UnsupportedProtocol, httpx.InvalidURL)
_FOREIGN = (httpx.HTTPError, httpx.StreamError, httpx.CookieConflict, *_WRONG_ADDRESS, TimeoutError)
"""Every exception that the HTTP library has, and the deadline's."""


class OctaveClient:
    """Calls Octave. Use it as an async context manager; one serves any number of tasks.

    `base_url` is an origin (see `Settings`). Without `api_key` every call raises `KeyProblem`. `app` answers in place
    of the network: the sandbox, in the same process.
    """

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr | None,
        *,
        app: ASGIApp | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Prepare the client; nothing is opened until it is entered.

        Proxy settings of the machine that cannot be used are no error here, but of each call: a server has to start,
        and to say what is wrong.
        """
        self._api_key = api_key
        self._deadline_seconds = deadline_seconds
        self._http: httpx.AsyncClient | None = None
        try:
            self._http = _http_client(base_url, api_key, app)
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            logger.warning("The HTTP client cannot be set up: %s", type(error).__name__)

    async def __aenter__(self) -> Self:
        """Open the client."""
        if self._http is not None:
            await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client and its connections."""
        if self._http is not None:
            await self._http.__aexit__(kind, error, trace)

    async def generate(self, request: GenerateRequest, *, idempotency_key: str) -> GenerateAnswer:
        """`POST /api/v2/persona/generate`: paid for, slow (seconds to minutes a persona), never repeated from here.

        The answer has at least one persona. `idempotency_key` goes along as a header, though Octave is not known to
        read it. Raises `OctaveError`.
        """
        seconds = self._deadline_seconds * len(request.personas)
        headers = {"idempotency-key": idempotency_key}
        body = await self._call("POST", _GENERATE, request.body(), headers, seconds)
        answer = GenerateAnswer.model_validate(body)
        if answer.data:
            return answer
        if body.get("data", ...) not in (None, []):
            raise errors.OutcomeUnknown(
                "Octave's answer has no persona that can be read.", request_id=_request_id(body)
            )
        raise errors.NothingMade(
            "Octave answered without a persona.",
            said=_said(body),
            request_id=_request_id(body),
            usage=answer.metadata.usage,
        )

    async def _call(
        self, method: str, path: str, body: Any, headers: Mapping[str, str], seconds: float
    ) -> dict[str, Any]:
        """Send one request and read its answer, with every failure mapped. The one boundary to the HTTP library."""
        if self._api_key is None:
            raise errors.KeyProblem("No Octave API key is set.")
        if self._http is None:
            raise errors.SetupProblem("The base URL, or this machine's proxy settings, cannot be used.")
        content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        request = self._http.build_request(
            method, path, content=content, headers={"content-type": "application/json", **headers}
        )
        started = time.monotonic()
        try:
            with anyio.fail_after(seconds):
                response = await self._http.send(request, stream=True)
                try:
                    answer = await self._read(response)
                finally:
                    await response.aclose()
        except _FOREIGN as error:
            logger.warning("%s %s ended with %s", method, path, type(error).__name__)
            # Without its cause: the library's errors quote what the peer sent, and a peer may send the key back.
            raise _mapped(error, seconds) from None
        finally:
            logger.info("%s %s took %.1f s", method, path, time.monotonic() - started)
        return answer

    async def _read(self, response: httpx.Response) -> dict[str, Any]:
        """The answer's JSON object, or the error that the answer stands for."""
        secret = self._api_key.get_secret_value() if self._api_key else None
        if not response.is_success:
            try:
                answer = decode(await _content(response), secret=secret)
            except (ValueError, httpx.HTTPError):  # the status has said enough
                answer = None
            raise _refusal(response.status_code, response.headers.get("retry-after"), answer)
        try:
            answer = decode(await _content(response), secret=secret)
        except ValueError:
            raise errors.OutcomeUnknown("Octave's answer cannot be read.", status=response.status_code) from None
        if not isinstance(answer, dict):
            raise errors.OutcomeUnknown("Octave's answer is not what its API describes.", status=response.status_code)
        if "data" not in answer and _said(answer, envelope_only=True):
            raise errors.InputProblem(
                "Octave did not accept the request.",
                said=_said(answer),
                status=response.status_code,
                request_id=_request_id(answer),
            )
        return answer


def _http_client(base_url: str, api_key: SecretStr | None, app: ASGIApp | None) -> httpx.AsyncClient:
    encrypted = urlsplit(base_url).scheme == "https"
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
        # A proxy sees nothing of a TLS connection but would read a plain one, key included.
        trust_env=encrypted,
        verify=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if encrypted else False,
        follow_redirects=False,
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        # A paid POST travels on a fresh connection: on a stale one, a lost request looks like a lost answer.
        limits=httpx.Limits(max_keepalive_connections=0),
        transport=None if app is None else httpx.ASGITransport(app, raise_app_exceptions=False),
    )


class _ApiKey(httpx.Auth):
    """Adds the key when a request is sent, and takes it off again, so that no kept request holds it."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["api_key"] = self._key.get_secret_value()
        try:
            yield request
        finally:
            del request.headers["api_key"]


async def _content(response: httpx.Response) -> bytes:
    """The body as it came, under the cap. Raises ValueError where it is larger or encoded."""
    if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise ValueError("an encoding that was not asked for")
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise ValueError("too large")
    return bytes(content)


def _mapped(error: Exception, seconds: float) -> errors.OctaveError:
    """Ours for an exception of the HTTP library's. What is not known to come before sending came after."""
    if isinstance(error, TimeoutError):
        return errors.OutcomeUnknown(f"Octave did not answer within {seconds:g} seconds.")
    if isinstance(error, _WRONG_ADDRESS):
        return errors.SetupProblem("The base URL cannot be called.")
    if not isinstance(error, _NEVER_SENT):
        return errors.OutcomeUnknown("The connection to Octave broke before its answer was complete.")
    if _is_about_a_certificate(error):
        return errors.SetupProblem("The certificate of Octave's address is not trusted by this machine.")
    return errors.Unreachable("Octave could not be reached.")


def _is_about_a_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _refusal(status: int, retry_after: str | None, answer: Any) -> errors.OctaveError:
    """What an HTTP status other than success means for the caller."""
    said, request_id = _said(answer), _request_id(answer)
    if status == httpx.codes.TOO_MANY_REQUESTS or (status == httpx.codes.SERVICE_UNAVAILABLE and retry_after):
        return errors.Busy(
            "Octave is busy and asked to wait.",
            retry_after=_seconds(retry_after),
            said=said,
            status=status,
            request_id=request_id,
        )
    # Octave says in JSON that it does not know an oId; any other 404 is of an address without its API.
    elsewhere = status == httpx.codes.NOT_FOUND and not isinstance(answer, dict)
    kind, text = _MEANINGS.get(httpx.codes.METHOD_NOT_ALLOWED if elsewhere else status) or (
        (errors.SetupProblem, "The base URL redirects elsewhere, which is never followed.")
        if httpx.codes.is_redirect(status)
        else (errors.InputProblem, "Octave did not accept the request.")
        if httpx.codes.is_client_error(status)
        else (errors.OutcomeUnknown, "Octave failed before it had answered.")
    )
    return kind(f"{text[:-1]} (HTTP {status}).", said=said, status=status, request_id=request_id)


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After`, which is seconds or a date, as seconds from now; None where it is neither."""
    if retry_after is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", retry_after):
        seconds = float(retry_after)
    else:
        try:
            seconds = max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
        except (TypeError, ValueError, OverflowError, IndexError):
            return None
    return seconds if seconds <= MAX_RETRY_AFTER_SECONDS else None


def _said(answer: Any, *, envelope_only: bool = False) -> str | None:
    """Octave's own message, from the envelope's `message` (or `error`) or from `_metadata`."""
    if not isinstance(answer, dict):
        return None
    nested = answer.get("error")
    places = [answer.get("message"), nested, nested.get("message") if isinstance(nested, dict) else None]
    if not envelope_only and isinstance(metadata := answer.get("_metadata"), dict):
        places.append(metadata.get("message"))
    return next((place[:MAX_SAID_CHARACTERS] for place in places if isinstance(place, str) and place.strip()), None)


def _request_id(answer: Any) -> str | None:
    metadata = answer.get("_metadata") if isinstance(answer, dict) else None
    request_id = metadata.get("requestId") if isinstance(metadata, dict) else None
    return request_id if isinstance(request_id, str) else None
