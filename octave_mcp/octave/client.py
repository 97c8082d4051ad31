"""The one client of Octave's API, and the only module that knows which HTTP library is behind it.

What it promises, whatever is at the other end: the key goes to the configured origin in one header and nowhere else; a
redirect is never followed; a call ends at a total deadline; no answer takes more memory than its cap; and every failure
leaves as one of `octave_mcp.octave.errors`.
"""

import json
import logging
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

import httpx
from pydantic import SecretStr
from starlette.types import ASGIApp

from octave_mcp.observability.telemetry import About
from octave_mcp.octave import errors
from octave_mcp.octave.before_send import BeforeSend, SendGate, send_after
from octave_mcp.octave.body import BodyError, read_body
from octave_mcp.octave.decoding import REMOVED, decode
from octave_mcp.octave.http_clients import http_clients, is_about_a_certificate, socks_errors
from octave_mcp.octave.instrumentation import Call, observed
from octave_mcp.octave.library_kinds import Kind
from octave_mcp.octave.lookups import LibraryPage, PersonaAnswer, PersonaPage, Workspace
from octave_mcp.octave.models import GenerateAnswer, GenerateRequest, Persona
from octave_mcp.octave.proxy import Route, route_to
from octave_mcp.octave.status_errors import error_for_status, message_in, request_id_in

__all__ = ["OctaveClient", "QueryType"]

logger = logging.getLogger(__name__)

CONNECTION_SECONDS = 30.0
"""Bounds all steps of a connection together. A proxy that is silent after it was asked for a tunnel meets no other."""

DEADLINE_SECONDS = 600.0
"""Bounds a POST from the call to the last byte. Octave publishes no figure; a language model writes the persona, which
takes seconds to minutes. The HTTP library's read timeout is for each chunk and bounds nothing."""

MAX_UNREADABLE_BYTES = 64 * 1024
"""How much of an answer that cannot be read is kept: a dozen personas."""

LOOK_UP_SECONDS = 20.0
"""For a look-up, from the call to the last byte. It may be repeated, so it need not be waited for."""

QueryType = Literal["ALL", "TEAM", "MINE"]
"""Whose personas a list has: everybody's in the workspace, the team's, or those of the key's owner."""

_GENERATE = "/api/v2/persona/generate"
_GET = "/api/v2/persona/get"
_LIST = "/api/v2/persona/list"
_VALIDATE = "/api/v2/api-key/validate"

_ANSWERS = frozenset({"data", "oId", "valid"})
"""An answer with none of these and a message is an error, whatever its status."""

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
        self._base_url = base_url
        self._deadline_seconds = deadline_seconds
        self._in_process = app is not None
        self._route = route_to(base_url) if app is None else Route()
        self._socks_errors = socks_errors(self._route.proxy)
        self._http: dict[str, httpx.AsyncClient] = {}
        for problem in self._route.ignored:
            logger.warning("This proxy setting is ignored: %s", problem)
        try:
            self._http = http_clients(base_url, api_key, app=app, proxy=self._route.proxy)
        except (ValueError, httpx.InvalidURL) as error:
            logger.warning("The HTTP client cannot be set up: %s", type(error).__name__)

    async def __aenter__(self) -> Self:
        """Open the client."""
        for http in self._http.values():
            await http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client and its connections."""
        for http in self._http.values():
            await http.__aexit__(kind, error, trace)

    async def generate(
        self,
        request: GenerateRequest,
        *,
        idempotency_key: str,
        about: About | None = None,
        before_send: BeforeSend | None = None,
    ) -> GenerateAnswer:
        """Send `POST /api/v2/persona/generate` for one persona: paid for, seconds to minutes, never repeated here.

        The answer has at least one persona. `idempotency_key` is sent as a header, though Octave is not known to read
        it. `about` is added to the call's span. `before_send` runs while the connection is made; no byte of the request
        leaves before it has returned, and if it raises, nothing is sent and its exception leaves unchanged. It is
        awaited even if there is no connection. Raises `OctaveError`.
        """
        with observed("POST", _GENERATE, self._base_url, about or {}) as call:
            answer = await self._generate(call, request, idempotency_key, before_send)
            call.credits = answer.metadata.usage
        return answer

    async def _generate(
        self, call: Call, request: GenerateRequest, idempotency_key: str, before_send: BeforeSend | None
    ) -> GenerateAnswer:
        content = json.dumps(request.body(), ensure_ascii=False, allow_nan=False).encode()
        headers = {"content-type": "application/json", "idempotency-key": idempotency_key}
        send = partial(self._call, call, self._deadline_seconds, content=content, headers=headers)
        body = await send_after(before_send, send)
        answer = GenerateAnswer.model_validate(body)
        if answer.data:
            return answer
        if body.get("data", ...) not in (None, []):
            raise errors.OutcomeUnknown(
                "Octave's answer has no persona that can be read.",
                request_id=request_id_in(body),
                unreadable=json.dumps(body, ensure_ascii=False).encode()[:MAX_UNREADABLE_BYTES],
            )
        raise errors.NothingCreated(
            "Octave answered without a persona.",
            octave_message=message_in(body),
            request_id=request_id_in(body),
            usage=answer.metadata.usage,
        )

    # Look-ups cost nothing and may be repeated; each raises `OctaveError`.

    async def get_persona(self, oid: str) -> Persona:
        """`GET /api/v2/persona/get`: one persona in full."""
        return PersonaAnswer.model_validate(await self._look_up(_GET, oId=oid))

    async def list_personas(
        self,
        *,
        text: str | None = None,
        offering_oid: str | None = None,
        playbook_oid: str | None = None,
        query_type: QueryType | None = None,
        limit: int,
        offset: int,
    ) -> PersonaPage:
        """Return a page of `GET /api/v2/persona/list`: at most `limit` personas that match `text`, from `offset`.

        `query_type` says whose personas: with `ALL` the list is complete, whatever Octave takes by default.
        """
        filters = {"text": text, "productOId": offering_oid, "playbookOId": playbook_oid, "queryType": query_type}
        return PersonaPage.model_validate(await self._look_up(_LIST, **filters, limit=limit, offset=offset))

    async def list_library(self, kind: Kind, *, text: str | None = None, limit: int, offset: int) -> LibraryPage:
        """Return a page of the library's list of a kind. `text` is for a kind that is `searchable`."""
        return LibraryPage.model_validate(await self._look_up(kind.path, text=text, limit=limit, offset=offset))

    async def validate_key(self) -> Workspace:
        """`GET /api/v2/api-key/validate`: whose the key is, and what credits there are."""
        return Workspace.model_validate(await self._look_up(_VALIDATE))

    async def _look_up(self, path: str, **query: str | int | None) -> dict[str, Any]:
        params = {name: str(value) for name, value in query.items() if value is not None}
        with observed("GET", path, self._base_url, {}) as call:
            return await send_after(None, partial(self._call, call, LOOK_UP_SECONDS, params=params))

    async def _call(
        self,
        call: Call,
        seconds: float,
        gate: SendGate,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send one request and read its answer, with every failure mapped. The one boundary to the HTTP library."""
        if self._api_key is None:
            raise errors.KeyProblem("No Octave API key is set.")
        http = self._http.get(call.method)
        if http is None:
            setting = (
                f"The base URL, or the proxy in {self._route.proxy.setting}," if self._route.proxy else "The base URL"
            )
            raise errors.SetupProblem(f"{setting} cannot be used.")
        request = http.build_request(
            call.method, call.path, params=params, content=content, headers=headers, extensions={"trace": gate.trace}
        )
        received = bytearray()
        try:
            with gate.deadline(connect_seconds=CONNECTION_SECONDS, seconds=seconds):
                if self._in_process:  # a transport that has no connection to wait for, and no trace
                    await gate.wait()
                response = await http.send(request, stream=True)
                call.status = response.status_code
                try:
                    answer = await self._read(response, received)
                finally:
                    await response.aclose()
        except errors.OutcomeUnknown as error:
            error.unreadable = self._kept(received)
            raise
        except (*_FOREIGN, *self._socks_errors) as error:
            logger.warning("%s %s ended with %s", call.method, call.path, type(error).__name__)
            # Without its cause: the library's errors quote what the peer sent, and a peer may send the key back.
            raise self._mapped(error, seconds, received, sent=gate.sent) from None
        finally:
            await gate.close_unused()
        call.request_id = request_id_in(answer)
        return answer

    async def _read(self, response: httpx.Response, received: bytearray) -> dict[str, Any]:
        """The answer's JSON object, or the error that the answer stands for. Its bytes are added to `received`."""
        secret = self._api_key.get_secret_value() if self._api_key else None
        if not response.is_success:
            try:
                await read_body(response, received)
                answer = decode(bytes(received), secret=secret)
            except (ValueError, httpx.HTTPError):  # the status has said enough
                answer = None
            raise error_for_status(response.status_code, response.headers.get("retry-after"), answer)
        try:
            await read_body(response, received)
            answer = decode(bytes(received), secret=secret)
        except BodyError as error:
            raise errors.OutcomeUnknown(f"Octave's answer {error}", status=response.status_code) from None
        except ValueError:
            raise errors.OutcomeUnknown("Octave's answer cannot be read.", status=response.status_code) from None
        if not isinstance(answer, dict):
            raise errors.OutcomeUnknown("Octave's answer is not what its API describes.", status=response.status_code)
        if _ANSWERS.isdisjoint(answer) and message_in(answer, envelope_only=True):
            raise errors.InputProblem(
                "Octave did not accept the request.",
                octave_message=message_in(answer),
                status=response.status_code,
                request_id=request_id_in(answer),
            )
        return answer

    def _mapped(self, error: Exception, seconds: float, received: bytearray, *, sent: bool) -> errors.OctaveError:
        """Return our error for one of the HTTP library's. `sent`: whether any of the request may have left."""
        if isinstance(error, _WRONG_ADDRESS):
            return errors.SetupProblem("The base URL cannot be called.")
        if not sent:
            if is_about_a_certificate(error):
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
        """The beginning of an answer that cannot be read, without the key, should the peer have echoed it."""
        kept = bytes(received)
        key = self._api_key.get_secret_value() if self._api_key else ""
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            kept = kept.replace(key.encode(encoding), REMOVED.encode())
        cut_off = (length for length in range(len(key) - 1, 2, -1) if kept.endswith(key[:length].encode()))
        return kept[: len(kept) - next(cut_off, 0)][:MAX_UNREADABLE_BYTES] or None
