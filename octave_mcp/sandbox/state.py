"""The state of one sandbox: its workspace, its credits, the failures to come and the requests that came."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from octave_mcp.octave.library_kinds import BRAND_VOICES, OFFERINGS, PLAYBOOKS, Kind
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.sandbox.library import CREATED_AT, EXAMPLES, Entry, entries, find
from octave_mcp.sandbox.writer import Context, UnknownResource, write_persona

GENERATE = "/api/v2/persona/generate"

MADE_UP = "Sandbox: made-up data, nothing was sent to Octave."
"""The message of every answer's metadata."""

MAX_REQUESTS = 1000
"""Bounds the requests that are remembered: a sandbox may run for days."""

WORKSPACE = {"oId": "wa_sandbox"}
USER = {"oId": "u_sandbox", "firstName": "Sandbox", "lastName": "User"}
LIBRARY_USER = {"oId": "u_library", "firstName": "Sandbox", "lastName": "Library"}


@dataclass(frozen=True)
class Failure:
    """A scripted answer to the next `times` requests to `path`, in place of the real one; they create nothing.

    `body` is sent as it is; without it the answer is the API's error envelope with `message`.
    """

    status: int
    message: str = "A failure that was asked for."
    path: str = GENERATE
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    times: int = 1


@dataclass(frozen=True)
class Stored:
    """A persona's record, and the oIds of what it is linked to."""

    record: dict[str, Any]
    offering_oids: frozenset[str]
    playbook_oid: str | None


class SandboxState:
    """A workspace that starts with the library's example personas."""

    def __init__(
        self, *, api_key: str | None, credits_total: int, failures: Sequence[Failure], now: Callable[[], datetime]
    ) -> None:
        """Create the example personas."""
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        """Method, path and body (empty for GET) of each request with an accepted key, oldest first."""
        self.personas: list[Stored] = []
        """Oldest first."""
        self.credits_total = credits_total
        self.credits_used = 0
        self._api_key = api_key
        self._failures = [failure for failure in failures for _ in range(failure.times)]
        self._now = now
        self._answers = 0
        self._add_examples()

    def check_key(self, key: str | None) -> None:
        """Raise 401 for a missing or empty key, and for any but the given one if the sandbox was given one."""
        if not key or not key.strip() or (self._api_key is not None and key != self._api_key):
            raise HTTPException(401, "The API key is missing or not valid.")

    def record_request(self, method: str, path: str, body: dict[str, Any]) -> None:
        """Remember a request."""
        self.requests.append((method, path, body))
        del self.requests[:-MAX_REQUESTS]

    def next_failure(self, path: str) -> Response | None:
        """Return the scripted answer to a request to `path`; None if none is left."""
        failure = next((one for one in self._failures if one.path == path), None)
        if failure is None:
            return None
        self._failures.remove(failure)
        headers = dict(failure.headers)
        if failure.body is not None:
            return Response(failure.body, failure.status, headers)
        return JSONResponse(self.envelope(message=failure.message), failure.status, headers)

    def envelope(self, usage: int = 0, **rest: Any) -> dict[str, Any]:
        """Return an answer with its metadata."""
        self._answers += 1
        metadata = {
            "usage": usage,
            "requestId": f"req_{self._answers:06d}",
            "message": MADE_UP,
            "timestamp": self._timestamp(),
        }
        return {"_metadata": metadata, **rest}

    def generate(self, request: GenerateRequest) -> list[dict[str, Any]]:
        """Write and store the personas, and charge a credit for each; all or none."""
        context = _context(request)
        if self.credits_used + len(request.personas) > self.credits_total:
            raise HTTPException(402, "The workspace does not have enough credits left for so many personas.")
        written = []
        for index, wanted in enumerate(request.personas):
            try:
                written.append(write_persona(wanted, context))
            except UnknownResource as error:
                raise HTTPException(404, f"personas[{index}].sources: no such resource in this workspace.") from error
        self.credits_used += len(written)
        return [self._store(parts, context, self._timestamp(), USER) for parts in written]

    def _store(self, parts: dict[str, Any], context: Context, created_at: str, user: dict[str, str]) -> dict[str, Any]:
        number = len(self.personas)
        record = {
            "oId": "pe_" + hashlib.sha256(f"{number} {parts['name']}".encode()).hexdigest()[:10],
            "name": parts["name"],
            "internalName": parts["internalName"],
            "description": parts["description"],
            "createdAt": created_at,
            "deletedAt": None,
            "archivedAt": None,
            "updatedAt": created_at,
            "unrecognized": False,
            "rejected": False,
            "active": True,
            "data": parts["data"],
            "qualifyingQuestions": parts["qualifyingQuestions"],
            "user": user,
            "workspace": WORKSPACE,
        }
        playbook_oid = context.playbook.oid if context.playbook else None
        self.personas.append(Stored(record, frozenset(one.oid for one in context.linked), playbook_oid))
        return record

    def _add_examples(self) -> None:
        for name, resource in EXAMPLES.items():
            source = {"type": "RESOURCE", "value": resource}
            request = GenerateRequest.model_validate({"personas": [{"name": name, "sources": [source]}]})
            context = Context(linked=entries(OFFERINGS))
            self._store(write_persona(request.personas[0], context), context, CREATED_AT, LIBRARY_USER)

    def _timestamp(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _context(request: GenerateRequest) -> Context:
    """Find what the request names by oId. Raises 404 for an oId that the workspace does not have."""
    primary, strategy = _found(OFFERINGS, request.primaryOfferingOId, "primaryOfferingOId"), request.linkingStrategy
    linked = [primary]
    if strategy is not None:
        named = [_found(OFFERINGS, oid, "linkingStrategy.offeringOIds") for oid in strategy.offeringOIds or []]
        linked = [*entries(OFFERINGS)] if strategy.mode == "ALL" else named
    return Context(
        primary,
        _found(PLAYBOOKS, request.playbookOId, "playbookOId"),
        _found(BRAND_VOICES, request.brandVoiceOId, "brandVoiceOId"),
        tuple(one for one in linked if one),
    )


def _found(kind: Kind, oid: str | None, field_name: str) -> Entry | None:
    if oid is None:
        return None
    if (entry := find(kind, oid)) is None:
        raise HTTPException(404, f"{field_name}: not found in this workspace.")
    return entry
