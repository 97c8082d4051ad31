"""The client of Octave's API: it builds each request, and returns the answer as a model."""

import json
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import SecretStr
from starlette.types import ASGIApp

from octave_mcp.observability.telemetry import Attributes
from octave_mcp.octave import errors
from octave_mcp.octave.before_send import BeforeSend
from octave_mcp.octave.instrumentation import Call, instrumented
from octave_mcp.octave.library_kinds import Kind
from octave_mcp.octave.lookup_models import AnyPage, LibraryPage, PersonaAnswer, PersonaPage, Workspace
from octave_mcp.octave.models import GenerateAnswer, GenerateRequest, Persona, is_persona
from octave_mcp.octave.transport import MAX_UNREADABLE_BYTES, Transport

DEADLINE_SECONDS = 600.0
"""Bounds a POST from the call to the last byte. Octave publishes no figure; a language model writes the persona, which
takes seconds to minutes. The HTTP library's read timeout is for each chunk and bounds nothing."""

LOOK_UP_SECONDS = 20.0
"""Bounds a look-up from the call to the last byte. It costs nothing, so it is given up early and repeated."""

QueryType = Literal["ALL", "TEAM", "MINE"]
"""Whose personas a list contains: everybody's in the workspace, the team's, or those of the key's owner."""

_GENERATE = "/api/v2/persona/generate"
_GET = "/api/v2/persona/get"
_LIST = "/api/v2/persona/list"
_VALIDATE = "/api/v2/api-key/validate"


class OctaveClient:
    """Call Octave. Use it as an async context manager; one serves any number of tasks.

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
        """Prepare the client; nothing is opened until it is entered."""
        self._base_url = base_url
        self._deadline_seconds = deadline_seconds
        self._transport = Transport(base_url, api_key, app=app)

    async def __aenter__(self) -> Self:
        """Open the client."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client and its connections."""
        await self._transport.__aexit__(kind, error, trace)

    async def generate(
        self,
        request: GenerateRequest,
        *,
        idempotency_key: str,
        about: Attributes | None = None,
        before_send: BeforeSend | None = None,
    ) -> GenerateAnswer:
        """Send `POST /api/v2/persona/generate` for one persona. It costs credits, and is never repeated here.

        It takes seconds to minutes, and the answer has at least one persona. `idempotency_key` is sent as a header,
        though Octave is not known to read it. `about` has attributes for the call's span. `before_send` runs while the
        connection is made, also if that fails, and no byte of the request leaves before it returns. If it raises,
        nothing is sent, and its exception is raised unchanged. Otherwise raises `OctaveError`.
        """
        with instrumented("POST", _GENERATE, self._base_url, about or {}) as call:
            answer = await self._generate(call, request, idempotency_key, before_send)
            call.credits = answer.metadata.usage
        return answer

    async def _generate(
        self, call: Call, request: GenerateRequest, idempotency_key: str, before_send: BeforeSend | None
    ) -> GenerateAnswer:
        content = json.dumps(request.body(), ensure_ascii=False, allow_nan=False).encode()
        headers = {"content-type": "application/json", "idempotency-key": idempotency_key}
        body = await self._transport.send(
            call, self._deadline_seconds, before_send=before_send, content=content, headers=headers
        )
        answer = GenerateAnswer.model_validate(body)
        if answer.data:
            return answer
        if body.get("data", ...) not in (None, []):
            raise errors.OutcomeUnknown(
                "Octave's answer has no persona that can be read.",
                **errors.details_in(body),
                unreadable=json.dumps(body, ensure_ascii=False).encode()[:MAX_UNREADABLE_BYTES],
            )
        raise errors.NothingCreated("Octave answered without a persona.", **errors.details_in(body))

    # Look-ups cost nothing and may be repeated; each raises `OctaveError`.

    async def get_persona(self, oid: str) -> Persona:
        """Return one persona in full, from `GET /api/v2/persona/get`. Raises InputProblem if there is none."""
        persona = PersonaAnswer.model_validate(await self._look_up(_GET, oId=oid))
        if not is_persona(persona.model_dump()):
            raise errors.InputProblem("Octave answered without a persona, so there may be none with this oId.")
        return persona

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
        return _readable(PersonaPage.model_validate(await self._look_up(_LIST, **filters, limit=limit, offset=offset)))

    async def list_library(self, kind: Kind, *, text: str | None = None, limit: int, offset: int) -> LibraryPage:
        """Return a page of the library's list of a kind. `text` is for a kind that is `searchable`."""
        rows = await self._look_up(kind.path, text=text, limit=limit, offset=offset)
        return _readable(LibraryPage.model_validate(rows))

    async def validate_key(self) -> Workspace:
        """Return the key's workspace and its credits, from `GET /api/v2/api-key/validate`."""
        return Workspace.model_validate(await self._look_up(_VALIDATE))

    async def _look_up(self, path: str, **query: str | int | None) -> dict[str, Any]:
        params = {name: str(value) for name, value in query.items() if value is not None}
        with instrumented("GET", path, self._base_url, {}) as call:
            return await self._transport.send(call, LOOK_UP_SECONDS, params=params)


def _readable(page: AnyPage) -> AnyPage:
    """Return a page. Raises OutcomeUnknown if it has no list or no readable row, so says nothing about what exists."""
    if not page.is_readable:
        raise errors.OutcomeUnknown("Octave's list cannot be read.")
    return page
