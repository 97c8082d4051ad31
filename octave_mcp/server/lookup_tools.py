"""The tools that look things up: free, read-only, and safe to repeat.

People speak in names and the API wants oIds. So a text that Octave's own search does not find is looked for here, word
by word, over the whole list; and where nothing matches, what there is gets listed instead.
"""

import re
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from functools import partial, wraps
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import Field, StringConstraints

from octave_mcp.octave.errors import KeyProblem, OctaveError
from octave_mcp.octave.library_kinds import KINDS, Kind
from octave_mcp.octave.lookup_client import LookupClient
from octave_mcp.octave.lookups import LibraryRow
from octave_mcp.octave.models import NonBlank
from octave_mcp.personas.record import RECORD_SECTIONS, record
from octave_mcp.server.lookup_results import (
    Rows,
    explain_look_up,
    page_result,
    persona_result,
    row_of,
    sandbox_note,
    workspace_result,
)
from octave_mcp.server.results import host_notes, problem_result
from octave_mcp.server.schemas import (
    CHECK_WORKSPACE,
    CHECK_WORKSPACE_RESULT,
    DEFAULT_LIMIT,
    GET_PERSONA,
    GET_PERSONA_RESULT,
    LIST_LIBRARY,
    LIST_LIBRARY_RESULT,
    LIST_PERSONAS,
    LIST_PERSONAS_RESULT,
    MAX_LIMIT,
    Schema,
)
from octave_mcp.server.services import CallRefused, CallState
from octave_mcp.server.tool_adapter import Arguments, make_tool, read

__all__ = ["find_rows", "lookup_tools"]

GET_PERSONA_DESCRIPTION = """\
Show one persona of the workspace in full, by its oId, or only some sections of it. Use it where a condensed result is \
not enough."""

LIST_PERSONAS_DESCRIPTION = """\
List the personas that the workspace has, or those that match a text, an offering or a playbook. Use it to find a \
persona's oId by name, and to see what exists before creating more."""

LIST_LIBRARY_DESCRIPTION = """\
Find the oIds that generate_personas takes, by name: offerings (for primaryOfferingOId and offeringOIds), playbooks \
(playbookOId), brand_voices (brandVoiceOId), resources (RESOURCE sources). Without a text it lists all of a kind."""

CHECK_WORKSPACE_DESCRIPTION = """\
Tell which Octave workspace this server is connected to, whether its key works, and how many credits are left."""

Text = Annotated[NonBlank, StringConstraints(max_length=500)]
OId = Annotated[NonBlank, StringConstraints(max_length=200)]


class _GetPersona(Arguments):
    oId: OId
    sections: list[Literal[RECORD_SECTIONS]] | None = None  # type: ignore[valid-type]


class _Page(Arguments):
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    offset: int = Field(default=0, ge=0, le=10**6)


class _ListPersonas(_Page):
    text: Text | None = None
    offeringOId: OId | None = None
    playbookOId: OId | None = None


class _ListLibrary(_Page):
    kind: Literal[tuple(KINDS)]  # type: ignore[valid-type]
    text: Text | None = None


Function = Callable[[dict[str, Any], Context[CallState, Any]], Awaitable[CallToolResult]]


def lookup_tools() -> list[Tool]:
    """All four."""
    tools: list[tuple[Function, str, str, Schema, Schema]] = [
        (get_persona, "Get a persona", GET_PERSONA_DESCRIPTION, GET_PERSONA, GET_PERSONA_RESULT),
        (list_personas, "List personas", LIST_PERSONAS_DESCRIPTION, LIST_PERSONAS, LIST_PERSONAS_RESULT),
        (list_library, "List the library", LIST_LIBRARY_DESCRIPTION, LIST_LIBRARY, LIST_LIBRARY_RESULT),
        (
            check_workspace,
            "Check the workspace",
            CHECK_WORKSPACE_DESCRIPTION,
            CHECK_WORKSPACE,
            CHECK_WORKSPACE_RESULT,
        ),
    ]
    annotations = ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=True)
    return [
        make_tool(_told(function), title, description, (schema, result), annotations)
        for function, title, description, schema, result in tools
    ]


def _told(function: Function) -> Function:
    """The tool, with what cannot be done told in words."""

    @wraps(function)
    async def told(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
        try:
            with context.request_context.lifespan_context.lookups.bounded():
                return await function(arguments, context)
        except CallRefused as problem:
            return problem_result(f"{problem}")
        except OctaveError as error:
            return problem_result(explain_look_up(error))

    return told


async def get_persona(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
    """One record, or sections of it."""
    state = context.request_context.lifespan_context
    wanted, dropped = read(arguments, state, GET_PERSONA, _GetPersona)
    persona = await state.lookups.persona(wanted.oId)
    return persona_result(
        partial(record, persona, sections=wanted.sections or ()),
        _notes(state, dropped),
        budget=state.settings.result_tokens,
        sections=wanted.sections or (),
    )


async def list_personas(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
    """A page of the personas that there are."""
    state = context.request_context.lifespan_context
    wanted, dropped = read(arguments, state, LIST_PERSONAS, _ListPersonas)
    page = await state.lookups.personas(
        text=wanted.text,
        offering_oid=wanted.offeringOId,
        playbook_oid=wanted.playbookOId,
        limit=wanted.limit,
        offset=wanted.offset,
    )
    filtered = wanted.text or wanted.offeringOId or wanted.playbookOId
    rows = Rows(
        [row_of(one) for one in page.data],
        "personas",
        "list_personas",
        wanted.model_dump(exclude_unset=True, exclude_none=True),
        wanted.offset,
        page.count(wanted.offset),
        wanted.offset + page.received if page.goes_on(wanted.offset) else None,
        (*_notes(state, dropped), *([_NO_MATCH] if not page.data and wanted.offset == 0 and filtered else [])),
    )
    return page_result(rows, budget=state.settings.result_tokens)


async def list_library(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
    """A page of a library's list, or of what matches a text."""
    state = context.request_context.lifespan_context
    wanted, dropped = read(arguments, state, LIST_LIBRARY, _ListLibrary)
    kind, limit, offset = KINDS[wanted.kind], wanted.limit, wanted.offset
    found, total, following, notes = await _library(state.lookups, kind, wanted.text, limit, offset)
    rows = Rows(
        [row_of(one) for one in found],
        "rows",
        "list_library",
        wanted.model_dump(exclude_unset=True, exclude_none=True),
        offset,
        total,
        following,
        (*_notes(state, dropped), *notes),
    )
    return page_result(rows, budget=state.settings.result_tokens)


async def check_workspace(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
    """Whose the key is, and the credits."""
    state = context.request_context.lifespan_context
    _, dropped = read(arguments, state, CHECK_WORKSPACE, Arguments)
    workspace = await state.lookups.workspace()
    if workspace.valid is False:
        raise KeyProblem("Octave says that this API key is not valid.")
    return workspace_result(workspace, _notes(state, dropped), budget=state.settings.result_tokens)


_NO_MATCH = "Nothing matches. Without text, offeringOId and playbookOId, list_personas lists all that there are."


def _notes(state: CallState, dropped: Sequence[str]) -> tuple[str, ...]:
    return (*sandbox_note(state.settings), *host_notes(dropped, sandbox=False))


# --- Finding by name --------------------------------------------------------------------------------------------------


async def _library(
    reader: LookupClient, kind: Kind, text: str | None, limit: int, offset: int
) -> tuple[Sequence[LibraryRow], int | None, int | None, list[str]]:
    """Rows, how many there are, where the next ones begin if there are more, and what to know of them."""
    if text is None or kind.searchable:
        page = await reader.library(kind, text=text, limit=limit, offset=offset)
        ended = offset > 0 and not page.data and (await reader.library(kind, text=text, limit=1, offset=0)).data
        # Further pages of what was found here are found here again, not by Octave.
        if page.data or text is None or ended:
            return page.data, page.count(offset), offset + page.received if page.goes_on(offset) else None, []
    rows, complete = await reader.all_rows(kind)
    found, notes = find_rows(rows, kind, text)
    if not complete:
        notes.append(f"Octave's list is longer than {len(rows)}; only those were searched.")
    following = offset + limit if offset + limit < len(found) else None
    return found[offset : offset + limit], len(found), following, notes


def find_rows(rows: Sequence[LibraryRow], kind: Kind, text: str) -> tuple[list[LibraryRow], list[str]]:
    """The rows that match a text best, and what to know of that: those with all its words, else with any, else all."""
    words = [word for word in re.findall(r"\w+", _plain(text)) if not word.isascii() or len(word) > 1]
    kinds_own = {part.removesuffix("s") for part in kind.name.split("_")}
    telling = [word for word in words if word not in _COMMON and word.removesuffix("s") not in kinds_own] or words
    texts = [_plain(f"{row.name or ''} {row.internalName or ''} {row.summary or ''} {row.oId or ''}") for row in rows]
    hits = [sum(_begins_a_word(word, one) for word in telling) for one in texts]
    if found := [row for row, count in zip(rows, hits, strict=True) if telling and count == len(telling)]:
        return found, []
    if any(hits):
        order = sorted((place for place, count in enumerate(hits) if count), key=lambda place: -hits[place])
        return [rows[place] for place in order], ["Not every word matches; the best matches come first."]
    return list(rows), ["Nothing matches the text, so all are listed."] if rows else []


_COMMON = frozenset(
    {"an", "and", "at", "all", "by", "for", "from", "in", "is", "it", "of", "on", "or", "our", "product", "service"}
    | {"the", "to", "us", "we", "with"}
)
"""Words that tell nothing of what is looked for."""


def _plain(text: str) -> str:
    """Small letters without accents, as people type them."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))


def _begins_a_word(word: str, text: str) -> bool:
    """Whether a word of the text begins so; scripts without spaces have it anywhere."""
    return word in text if not word.isascii() else re.search(rf"\b{re.escape(word)}", text) is not None
