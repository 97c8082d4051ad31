"""What one sandbox knows and changes while it runs."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from octave_mcp.octave.models import GenerateRequest
from octave_mcp.sandbox.library import CREATED_AT, LIBRARY, Library, Offering
from octave_mcp.sandbox.sources import UnknownResource
from octave_mcp.sandbox.writer import Brief, write_persona

__all__ = ["GENERATE", "MADE_UP", "Failure", "SandboxState", "Stored"]

GENERATE = "/api/v2/persona/generate"

MADE_UP = "Sandbox: made-up data, nothing was sent to Octave."
"""The message of every answer's metadata."""

MAX_REQUESTS = 1000
"""Requests that are remembered: a sandbox may run for days."""

Row = TypeVar("Row")

WORKSPACE = {"oId": "wa_sandbox"}
USER = {"oId": "u_sandbox", "firstName": "Sandbox", "lastName": "User"}
LIBRARY_USER = {"oId": "u_library", "firstName": "Sandbox", "lastName": "Library"}


@dataclass(frozen=True)
class Failure:
    """A scripted answer to the next `times` requests to `path`, in place of the real one. Nothing is made for them.

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
    """A persona's record, with what it is linked to."""

    record: dict[str, Any]
    offering_oids: frozenset[str]
    playbook_oid: str | None


class SandboxState:
    """The workspace, the credits, the failures to come and the requests that came."""

    def __init__(
        self, *, api_key: str | None, credits_total: int, failures: Sequence[Failure], now: Callable[[], datetime]
    ) -> None:
        """Fill the workspace with the library's example personas."""
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        """Method, path and body (empty for GET) of each request with an accepted key, oldest first."""
        self.library: Library = LIBRARY
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
        """Refuse a missing or empty key; any other passes, unless the sandbox was given the only good one."""
        if not key or not key.strip() or (self._api_key is not None and key != self._api_key):
            raise HTTPException(401, "The API key is missing or not valid.")

    def record_request(self, method: str, path: str, body: dict[str, Any]) -> None:
        """Remember a request."""
        self.requests.append((method, path, body))
        del self.requests[:-MAX_REQUESTS]

    def next_failure(self, path: str) -> Response | None:
        """The scripted answer to a request to `path`, if one is left."""
        failure = next((one for one in self._failures if one.path == path), None)
        if failure is None:
            return None
        self._failures.remove(failure)
        headers = dict(failure.headers)
        if failure.body is not None:
            return Response(failure.body, failure.status, headers)
        return JSONResponse(self.envelope(message=failure.message), failure.status, headers)

    def envelope(self, usage: int = 0, **rest: Any) -> dict[str, Any]:
        """An answer with its metadata."""
        self._answers += 1
        metadata = {
            "usage": usage,
            "requestId": f"req_{self._answers:06d}",
            "message": MADE_UP,
            "timestamp": self._timestamp(),
        }
        return {"_metadata": metadata, **rest}

    def generate(self, request: GenerateRequest) -> list[dict[str, Any]]:
        """Write and store the personas, and take a credit for each. All or none."""
        brief = self._brief(request)
        if self.credits_used + len(request.personas) > self.credits_total:
            raise HTTPException(402, "The workspace has not enough credits left for so many personas.")
        written = []
        for index, wanted in enumerate(request.personas):
            try:
                written.append(write_persona(wanted, brief))
            except UnknownResource as error:
                raise HTTPException(404, f"personas[{index}].sources: no such resource in this workspace.") from error
        self.credits_used += len(written)
        return [self._store(parts, brief, self._timestamp(), USER) for parts in written]

    def _brief(self, request: GenerateRequest) -> Brief:
        """Look up what the request names by oId."""
        offerings = self.library.offerings
        primary = _found(offerings, request.primaryOfferingOId, "primaryOfferingOId")
        return Brief(
            library=self.library,
            offering=primary,
            playbook=_found(self.library.playbooks, request.playbookOId, "playbookOId"),
            voice=_found(self.library.voices, request.brandVoiceOId, "brandVoiceOId"),
            linked=self._linked(request, primary),
        )

    def _linked(self, request: GenerateRequest, primary: Offering | None) -> tuple[Offering, ...]:
        offerings, strategy = self.library.offerings, request.linkingStrategy
        if strategy is None:
            return (primary,) if primary else ()
        if strategy.mode == "ALL":
            return tuple(offerings.values())
        named = [_found(offerings, oid, "linkingStrategy.offeringOIds") for oid in strategy.offeringOIds or []]
        return tuple(one for one in named if one)

    def _store(self, parts: dict[str, Any], brief: Brief, made_at: str, user: dict[str, str]) -> dict[str, Any]:
        number = len(self.personas)
        record = {
            "oId": "pe_" + hashlib.sha256(f"{number} {parts['name']}".encode()).hexdigest()[:10],
            "name": parts["name"],
            "internalName": parts["internalName"],
            "description": parts["description"],
            "createdAt": made_at,
            "deletedAt": None,
            "archivedAt": None,
            "updatedAt": made_at,
            "unrecognized": False,
            "rejected": False,
            "active": True,
            "data": parts["data"],
            "qualifyingQuestions": parts["qualifyingQuestions"],
            "user": user,
            "workspace": WORKSPACE,
        }
        playbook_oid = brief.playbook.oid if brief.playbook else None
        self.personas.append(Stored(record, frozenset(one.oid for one in brief.linked), playbook_oid))
        return record

    def _add_examples(self) -> None:
        for name, resource in self.library.examples.items():
            source = {"type": "RESOURCE", "value": resource}
            request = GenerateRequest.model_validate({"personas": [{"name": name, "sources": [source]}]})
            brief = Brief(self.library, linked=tuple(self.library.offerings.values()))
            self._store(write_persona(request.personas[0], brief), brief, CREATED_AT, LIBRARY_USER)

    def _timestamp(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _found(rows: Mapping[str, Row], oid: str | None, field_name: str) -> Row | None:
    """The row of that oId, None for None; 404 where there is no such row."""
    if oid is None:
        return None
    if oid not in rows:
        raise HTTPException(404, f"{field_name}: not found in this workspace.")
    return rows[oid]
