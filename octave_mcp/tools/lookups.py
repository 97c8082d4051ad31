"""The tools that look things up: free, read-only, and safe to repeat.

People speak in names, and the API wants oIds. So a text is looked for here, word by word, in the whole list unless that
is long; if nothing matches, everything is listed.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial, wraps
from typing import Annotated, Any, Literal, NamedTuple

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import Field, StringConstraints

from octave_mcp.octave.errors import KeyProblem, OctaveError
from octave_mcp.octave.library_kinds import KINDS, Kind
from octave_mcp.octave.lookup_client import LookupClient
from octave_mcp.octave.lookup_models import LibraryRow, Page
from octave_mcp.octave.models import NonBlank, Persona
from octave_mcp.personas.record import RECORD_SECTIONS, record
from octave_mcp.results.failures import explain_lookup, failure_result
from octave_mcp.results.lookups import NO_MATCH, SOME_WORDS, Rows, page_result, persona_result, row_of
from octave_mcp.results.wording import general_notes
from octave_mcp.results.workspace import workspace_result
from octave_mcp.tools.adapter import Arguments, make_tool, read
from octave_mcp.tools.file_sources import (
    FILES,
    LIBRARY_RESULT_WITH_FILES,
    LIBRARY_WITH_FILES,
    THE_FILES,
    file_rows,
)
from octave_mcp.tools.name_search import MatchLevel, find_rows
from octave_mcp.tools.schemas import (
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
from octave_mcp.tools.services import CallRefused, CallState

GET_PERSONA_DESCRIPTION = """\
Show one buyer persona of the workspace in full, by its oId, or only some of its sections. For when a condensed result \
is not enough."""

LIST_PERSONAS_DESCRIPTION = """\
List the buyer personas that the workspace has, or those that match a text, an offering or a playbook: to see what \
exists before creating more, and to find an oId by name. A text that matches nothing lists all names. What was created \
just now may be missing; get_generation has it."""

_USES = ", ".join(kind.with_uses("{} (for {})") for kind in KINDS.values())
LIST_LIBRARY_DESCRIPTION = f"""\
Find the oIds that generate_personas takes, by name: {_USES}. Without a text it lists all of a kind."""

CHECK_WORKSPACE_DESCRIPTION = """\
Show the balance of credits, what buyer personas have cost here lately, which Octave workspace this server is \
connected to, and whether its key works."""

SUBJECTS = {
    "get_persona": "a persona with this oId",
    "list_personas": "the list of personas",
    "list_library": "the list of {kind}",
    "check_workspace": "the workspace of this key",
}
"""What each tool looks up, for the report that Octave does not find it."""

NOTHING_LINKED = (
    "Either nothing is linked to it, or it is no oId: list_library lists the offerings and playbooks that there are."
)

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


class _ListLibraryWithFiles(_ListLibrary):
    kind: Literal[(*KINDS, FILES)]  # type: ignore[valid-type]


Function = Callable[[dict[str, Any], Context[CallState, Any]], Awaitable[CallToolResult]]


def lookup_tools(*, files: bool) -> list[Tool]:
    """Return the four tools, in the order in which they are listed. `files`: whether files can be sources."""
    library = (LIBRARY_WITH_FILES, LIBRARY_RESULT_WITH_FILES) if files else (LIST_LIBRARY, LIST_LIBRARY_RESULT)
    tools: list[tuple[Function, str, str, Schema, Schema]] = [
        (get_persona, "Get a persona", GET_PERSONA_DESCRIPTION, GET_PERSONA, GET_PERSONA_RESULT),
        (list_personas, "List personas", LIST_PERSONAS_DESCRIPTION, LIST_PERSONAS, LIST_PERSONAS_RESULT),
        (list_library, "List the library", LIST_LIBRARY_DESCRIPTION + (THE_FILES if files else ""), *library),
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
        make_tool(_bounded(function), title, description, (schema, result), annotations)
        for function, title, description, schema, result in tools
    ]


def _bounded(function: Function) -> Function:
    """Return the tool with a limit on its time, and with failures as results."""

    @wraps(function)
    async def bounded(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
        try:
            with context.request_context.lifespan_context.lookups.bounded():
                return await function(arguments, context)
        except CallRefused as refused:
            return failure_result(refused.failure)
        except OctaveError as error:
            shown = context.request_context.lifespan_context.require_services().shown_oids
            subject = SUBJECTS[function.__name__].format(kind=str(arguments.get("kind")).replace("_", " "))
            return failure_result(explain_lookup(error, subject, known_oid=shown.has_all([arguments.get("oId")])))

    return bounded


async def get_persona(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
    """Return one record, or sections of it."""
    state = context.request_context.lifespan_context
    wanted, notes = read(arguments, state, GET_PERSONA, _GetPersona)
    persona = await state.lookups.persona(wanted.oId)
    sections = wanted.sections or ()
    return persona_result(
        partial(record, persona, sections=sections),
        general_notes(state.settings, notes),
        budget=state.settings.result_tokens,
        sections=sections,
    )


async def list_personas(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
    """Return a page of the personas, or of those that match."""
    state = context.request_context.lifespan_context
    wanted, notes = read(arguments, state, LIST_PERSONAS, _ListPersonas)
    found = await _personas(state.lookups, wanted)
    return _page(state, found, ("personas", "list_personas"), wanted, notes)


async def list_library(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
    """Return a page of a library's list, or of what matches a text."""
    state = context.request_context.lifespan_context
    folders = state.settings.folders
    accepted = (LIBRARY_WITH_FILES, _ListLibraryWithFiles) if folders else (LIST_LIBRARY, _ListLibrary)
    wanted, notes = read(arguments, state, *accepted)
    if wanted.kind == FILES:
        asked = wanted.model_dump(exclude_unset=True, exclude_none=True)
        rows = await file_rows(folders, wanted.text, asked, limit=wanted.limit, offset=wanted.offset)
        rows = replace(rows, notes=(*general_notes(state.settings, notes), *rows.notes))
        return page_result(rows, budget=state.settings.result_tokens)
    found = await _library(state.lookups, KINDS[wanted.kind], wanted)
    return _page(state, found, ("rows", "list_library"), wanted, notes)


async def check_workspace(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
    """Return the workspace of the key, its credits, and what personas have cost here."""
    state = context.request_context.lifespan_context
    _, notes = read(arguments, state, CHECK_WORKSPACE, Arguments)
    workspace = await state.lookups.workspace()
    if workspace.valid is False:
        raise KeyProblem("Octave says that this API key is not valid.")
    return await workspace_result(
        workspace, state.generation, general_notes(state.settings, notes), budget=state.settings.result_tokens
    )


# --- Finding by name --------------------------------------------------------------------------------------------------


class _Found(NamedTuple):
    """Rows, how many there are, where the next ones begin if there are more, and how well they match a text."""

    rows: Sequence[Any]
    total: int | None
    following: int | None
    match: MatchLevel = MatchLevel.ALL_WORDS
    notes: tuple[str, ...] = ()


def _page(
    state: CallState, found: _Found, names: tuple[str, str], wanted: _Page, notes: Sequence[str]
) -> CallToolResult:
    state.require_services().shown_oids.add(row.oId for row in found.rows)
    shown = Rows(
        [row_of(one) for one in found.rows],
        *names,
        wanted.model_dump(exclude_unset=True, exclude_none=True),
        wanted.offset,
        found.total,
        found.following,
        (*general_notes(state.settings, notes), *found.notes),
    )
    return page_result(shown, budget=state.settings.result_tokens)


async def _personas(lookups: LookupClient, wanted: _ListPersonas) -> _Found:
    offering, playbook = wanted.offeringOId, wanted.playbookOId
    read = partial(lookups.personas, offering_oid=offering, playbook_oid=playbook)
    read_all = partial(lookups.all_personas, offering_oid=offering, playbook_oid=playbook)
    if wanted.text is not None:
        found = await _search(read, read_all, wanted, wanted.text, _words_of_persona)
    else:
        found = _page_of(await read(text=None, limit=wanted.limit, offset=wanted.offset), wanted)
    is_empty = not found.rows and not wanted.offset and (offering or playbook)
    return found._replace(notes=(*found.notes, NOTHING_LINKED)) if is_empty else found


async def personas_with_all_words(lookups: LookupClient, text: str, limit: int) -> list[Persona]:
    """Return the personas that `list_personas` finds by all words of a text, at most `limit`."""
    found = await _personas(lookups, _ListPersonas.model_construct(text=text, limit=limit))
    return list(found.rows) if found.match is MatchLevel.ALL_WORDS else []


async def _library(lookups: LookupClient, kind: Kind, wanted: _ListLibrary) -> _Found:
    read, read_all = partial(lookups.library, kind), partial(lookups.all_rows, kind)
    if wanted.text is None:
        return _page_of(await read(text=None, limit=wanted.limit, offset=wanted.offset), wanted)
    ignored = {part.removesuffix("s") for part in kind.name.split("_")}
    return await _search(read if kind.searchable else None, read_all, wanted, wanted.text, _words_of_row, ignored)


def _page_of(page: Page, wanted: _Page) -> _Found:
    following = wanted.offset + page.received if page.goes_on(wanted.offset) else None
    return _Found(page.data, page.count(wanted.offset), following)


async def _search(
    read: Callable[..., Awaitable[Page]] | None,
    read_all: Callable[..., Awaitable[tuple[Sequence[Any], bool]]],
    wanted: _Page,
    text: str,
    words_of: Callable[[Any], tuple[str, str]],
    ignored: Sequence[str] | set[str] = (),
) -> _Found:
    """Return a page of the rows that match the text, or of all rows if none does.

    Octave's own search may miss a name that is written otherwise, and does not say so. So it decides only if the list
    is long, or if no row here has all the words. `read` searches in Octave; it is None where Octave cannot.
    """
    rows, complete = await read_all(if_few=read is not None)
    found, level = find_rows(rows, text, words_of, ignored)
    if read and not (complete and level is MatchLevel.ALL_WORDS):
        page = await read(text=text, limit=wanted.limit, offset=wanted.offset)
        # What Octave does not find on the first page, it does not find on later ones either.
        if page.data or (wanted.offset and (await read(text=text, limit=1, offset=0)).data):
            return _page_of(page, wanted)
        if not complete:
            rows, complete = await read_all()
            found, level = find_rows(rows, text, words_of, ignored)
    notes = [] if level is MatchLevel.ALL_WORDS or not rows else [SOME_WORDS if found else NO_MATCH]
    if not complete:
        notes.append(f"Octave's list is longer than {len(rows)}; only those were searched.")
    shown = found or rows
    end = wanted.offset + wanted.limit
    return _Found(shown[wanted.offset : end], len(shown), end if end < len(shown) else None, level, tuple(notes))


def _words_of_row(row: LibraryRow) -> tuple[str, str]:
    return f"{row.name or ''} {row.internalName or ''}", f"{row.summary or ''} {row.oId or ''}"


def _words_of_persona(persona: Persona) -> tuple[str, str]:
    titles = " ".join(persona.data.commonJobTitles)
    return (
        f"{persona.name or ''} {persona.internalName or ''}",
        f"{titles} {persona.description or ''} {persona.oId or ''}",
    )
