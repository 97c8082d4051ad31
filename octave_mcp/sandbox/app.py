"""The sandbox's routes: the part of Octave's API that this project uses, in Octave's shapes."""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from octave_mcp.octave.library_kinds import KINDS, Kind
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.sandbox.library import COMPANY, entries
from octave_mcp.sandbox.state import GENERATE, USER, WORKSPACE, Failure, SandboxState

DEFAULT_LIMIT = 10
MAX_LIMIT = 100
MAX_MESSAGE = 300
"""Bounds the characters of an error message: an unknown field's name may be of any length."""

Endpoint = Callable[[Request], Awaitable[Response]]


def build_sandbox(
    *,
    latency_seconds: float = 0.0,
    api_key: str | None = None,
    failures: Sequence[Failure] = (),
    credits_total: int = 1000,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """Build an Octave-compatible API on made-up data, with a workspace of its own.

    A generation is answered after `latency_seconds` for each persona. Its personas are stored and charged at once, so a
    caller that disconnects meanwhile finds them in the list, as with a real service. With `api_key`, no other key is
    accepted. `failures` are answered first, in their order. Each persona costs one of `credits_total`.

    Tests read `app.state.sandbox`: `requests`, `personas`, `credits_used`.
    """
    app = Starlette(routes=_routes(latency_seconds), exception_handlers={HTTPException: _refused})
    # Octave's answer to a path it does not have is taken to be 404, so a stray slash must not redirect.
    app.router.redirect_slashes = False
    app.state.sandbox = SandboxState(api_key=api_key, credits_total=credits_total, failures=failures, now=now)
    return app


def _routes(latency_seconds: float) -> list[Route]:
    async def generate(request: Request) -> Response:
        sandbox = _sandbox(request)
        body = await _json_object(request)
        if failure := _admit(request, body):
            return failure
        wanted = _validated(body)
        personas = sandbox.generate(wanted)
        await anyio.sleep(latency_seconds * len(personas))
        return JSONResponse(sandbox.envelope(len(personas), data=personas))

    lookups = {
        "persona/get": _persona_get,
        "persona/list": _persona_list,
        "api-key/validate": _key_validate,
    }
    answers = {f"/api/v2/{path}": answer for path, answer in lookups.items()}
    answers |= {kind.path: partial(_library_list, kind) for kind in KINDS.values()}
    return [
        Route(GENERATE, generate, methods=["POST"]),
        *(Route(path, _lookup(answer), methods=["GET"]) for path, answer in answers.items()),
    ]


def _lookup(answer: Callable[[SandboxState, QueryParams], dict[str, Any]]) -> Endpoint:
    """Return an endpoint that answers a GET with the envelope of what `answer` returns."""

    async def endpoint(request: Request) -> Response:
        if failure := _admit(request, {}):
            return failure
        sandbox = _sandbox(request)
        return JSONResponse(sandbox.envelope(**answer(sandbox, request.query_params)))

    return endpoint


def _sandbox(request: Request) -> SandboxState:
    sandbox: SandboxState = request.app.state.sandbox
    return sandbox


def _admit(request: Request, body: dict[str, Any]) -> Response | None:
    """Check the key and remember the request. Return the scripted failure to answer with; None if none is left."""
    sandbox = _sandbox(request)
    sandbox.check_key(request.headers.get("api_key"))
    sandbox.record_request(request.method, request.url.path, body)
    return sandbox.next_failure(request.url.path)


async def _refused(request: Request, error: Exception) -> Response:
    """Answer with the API's error envelope."""
    status, message = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
    return JSONResponse(_sandbox(request).envelope(message=message), status)


# --- The request ------------------------------------------------------------------------------------------------------


async def _json_object(request: Request) -> dict[str, Any]:
    _sandbox(request).check_key(request.headers.get("api_key"))
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "The body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise HTTPException(400, "The body must be a JSON object.")
    return body


def _validated(body: dict[str, Any]) -> GenerateRequest:
    if null := next(_nulls(body), None):
        raise HTTPException(400, f"{null[:MAX_MESSAGE]}: must not be null.")
    try:
        return GenerateRequest.model_validate(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        first = f"{_path(problems[0]['loc'])}: {problems[0]['msg'].removeprefix('Value error, ')}"
        raise HTTPException(400, first[:MAX_MESSAGE]) from error


def _nulls(body: dict[str, Any]) -> Iterator[str]:
    """Yield the places where a body has null, which the API's page allows nowhere."""
    places: list[tuple[str, Any]] = [("", body)]
    while places:
        path, value = places.pop()
        if value is None:
            yield path
        elif isinstance(value, dict):
            places += [(f"{path}.{name}".lstrip("."), item) for name, item in value.items()]
        elif isinstance(value, list):
            places += [(f"{path}[{place}]", item) for place, item in enumerate(value)]


def _path(loc: Iterable[int | str]) -> str:
    """Return a place in the body as text, such as `personas[0].sources`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".") or "body"


def _number(query: QueryParams, name: str, default: int, least: int, most: int) -> int:
    value = query.get(name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= most):  # noqa: PLR2004 - int() refuses thousands of digits
        raise HTTPException(400, f"{name}: must be a whole number from {least} to {most}.")
    return int(value)


def _choice(query: QueryParams, name: str, choices: Sequence[str]) -> str:
    value = query.get(name, "ALL")
    if value not in choices:
        raise HTTPException(400, f"{name}: must be one of {', '.join(choices)}.")
    return value


# --- The look-ups -----------------------------------------------------------------------------------------------------


def _page(rows: Iterable[dict[str, Any]], query: QueryParams, *, searchable: bool = True) -> dict[str, Any]:
    """Return the rows with `text` in their name or description, from `offset`, at most `limit`."""
    text = query.get("text", "").casefold() if searchable else ""
    found = [row for row in rows if text in f"{row['name']}\n{row.get('description', '')}".casefold()]
    offset = _number(query, "offset", 0, 0, 10**8)
    end = offset + _number(query, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    return {"hasNext": end < len(found), "total": len(found), "data": found[offset:end]}


def _persona_get(sandbox: SandboxState, query: QueryParams) -> dict[str, Any]:
    oid = query.get("oId")
    if not oid:
        raise HTTPException(400, "oId: required.")
    for persona in sandbox.personas:
        if persona.record["oId"] == oid:
            return persona.record
    raise HTTPException(404, "oId: no such persona in this workspace.")


def _persona_list(sandbox: SandboxState, query: QueryParams) -> dict[str, Any]:
    """Return a page of the personas, newest first."""
    mine = _choice(query, "queryType", ("ALL", "TEAM", "MINE")) == "MINE"
    offering, playbook = query.get("productOId"), query.get("playbookOId")
    rows = (
        persona.record
        for persona in reversed(sandbox.personas)
        if (not offering or offering in persona.offering_oids)
        and (not playbook or playbook == persona.playbook_oid)
        and (not mine or persona.record["user"] == USER)
    )
    return _page(rows, query)


def _library_list(kind: Kind, _sandbox: SandboxState, query: QueryParams) -> dict[str, Any]:
    """Return the entries of a kind, filtered by offering and type where the kind has them."""
    wanted_type, oid = _choice(query, "type", ("ALL", "PRODUCT", "SERVICE")), query.get("productOId")
    rows = (
        entry.row()
        for entry in entries(kind)
        if (not entry.offering_type or wanted_type in {"ALL", entry.offering_type})
        and (not oid or not entry.offering_oids or oid in entry.offering_oids)
    )
    page = _page(rows, query, searchable=kind.searchable)
    return {"data": page} if kind.nested else page


def _key_validate(sandbox: SandboxState, _query: QueryParams) -> dict[str, Any]:
    used, total = sandbox.credits_used, sandbox.credits_total
    counts = {
        "totalUsed": used,
        "totalRemaining": total - used,
        "totalMax": total,
        "quotaUsed": used,
        "quotaAvailable": total - used,
        "quotaMax": total,
        "period": "MONTHLY",
        "creditsUsed": used,
        "creditsAvailable": total - used,
    }
    return {
        "status": "ok",
        "valid": True,
        "workspaceOId": WORKSPACE["oId"],
        "workspaceName": f"{COMPANY.name} (sandbox)",
        "organizationName": COMPANY.name,
        "credits": counts,
    }
