"""Files as sources, as an assistant sees them: words about them, a call's files read, and a list of them.

Only where folders are configured: without them neither schemas nor descriptions mention files.
"""

from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from urllib.parse import quote

import anyio

from octave_mcp.octave.models import GenerateRequest
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.results.failures import NOTHING_SENT, Code, Failure, Retry
from octave_mcp.results.lookups import NO_MATCH, SOME_WORDS, Rows
from octave_mcp.sources.listing import ListedFile, list_files
from octave_mcp.sources.resolve import FilesRefused, Place, ReadFile, read_files
from octave_mcp.tools.name_search import MatchLevel, find_rows
from octave_mcp.tools.schemas import GENERATE_PERSONAS, LIST_LIBRARY, LIST_LIBRARY_RESULT, Schema
from octave_mcp.tools.services import CallRefused

FILES = "files"
"""The kind of `list_library` that lists files."""

MATERIAL_IN_FILES = " Do not retype the user's files: URL file:NAME sends one word for word; list_library lists them."
"""Added to the description of `generate_personas`."""

THE_FILES = " files are the user's documents that can be sources."
"""Added to the description of `list_library`."""

GRACE_SECONDS = 2.0
"""Time beyond that of reading after which a disk that does not answer is given up."""

MAX_PROBLEM_CHARACTERS = 400
MAX_FILES_NAMED = 20
MAX_NAME_CHARACTERS = 80

ADVICE = "list_library with kind files lists the names. Correct these and call the tool again, or give text as TEXT."
NO_DISK = "the files could not be read in time: their disk does not answer"
HOW_TO_USE = "To use one as a source: type URL, and as value its `value` if it has one, else file: and its name."
CUT_SHORT = "The folders hold more than can be listed; only the first files were looked at."


def _generate_with_files() -> Schema:
    schema = deepcopy(GENERATE_PERSONAS)
    source = schema["properties"]["personas"]["items"]["properties"]["sources"]["items"]["properties"]
    source["type"]["description"] = source["type"]["description"].replace(
        "that Octave reads.", "that Octave reads, or one of the user's files."
    )
    source["value"]["description"] = source["value"]["description"].replace(
        "address, or", "address, file: and a file's name (file:notes/call.md), or"
    )
    return schema


def _library_with_files() -> tuple[Schema, Schema]:
    schema, result = deepcopy(LIST_LIBRARY), deepcopy(LIST_LIBRARY_RESULT)
    schema["properties"]["kind"]["enum"].append(FILES)
    result["properties"]["rows"]["items"]["properties"] |= {
        name: {"type": "string"} for name in ("value", "size", "changed")
    }
    return schema, result


GENERATE_WITH_FILES = _generate_with_files()
LIBRARY_WITH_FILES, LIBRARY_RESULT_WITH_FILES = _library_with_files()


async def read_sources(
    request: GenerateRequest, folders: tuple[Path, ...], *, seconds: float
) -> tuple[GenerateRequest, Mapping[Place, ReadFile]]:
    """Return the request with the text of each file in its place, and what was read. Raises CallRefused."""
    if not folders:
        return request, {}
    reading = partial(read_files, request, folders, seconds=seconds)
    try:
        with anyio.fail_after(seconds + GRACE_SECONDS):
            return await anyio.to_thread.run_sync(reading, abandon_on_cancel=True)
    except FilesRefused as error:
        problems = error.problems
    except TimeoutError:
        problems = [NO_DISK]
    lines = "\n".join(f"- {shorten(clean(problem), MAX_PROBLEM_CHARACTERS)}" for problem in problems)
    problem = f"These files cannot be sources:\n{lines}\n{NOTHING_SENT} {ADVICE}"
    raise CallRefused(Failure(Code.INVALID_ARGUMENTS, problem, Retry.AFTER_CHANGE))


def files_note(files: Mapping[Place, ReadFile]) -> str:
    """Return what was given of each file; empty if there was none."""
    each = list(dict.fromkeys(files.values()))
    shown = [_given(file) for file in each[:MAX_FILES_NAMED]]
    more = f"; and {len(each) - len(shown)} more" if len(each) > len(shown) else ""
    return f"Files given as TEXT: {'; '.join(shown)}{more}." if shown else ""


def _given(file: ReadFile) -> str:
    note = f" ({shorten(clean(file.note), MAX_NAME_CHARACTERS)})" if file.note else ""
    return f"{shorten(clean(file.name), MAX_NAME_CHARACTERS)}, {file.characters:,} characters{note}"


async def file_rows(
    folders: tuple[Path, ...], text: str | None, arguments: Mapping[str, object], *, limit: int, offset: int
) -> Rows:
    """Return a page of the files that can be sources, or of those whose names match a text."""
    listed, complete = await anyio.to_thread.run_sync(list_files, folders, abandon_on_cancel=True)
    notes = [HOW_TO_USE] if listed else []
    if not complete:
        notes.append(CUT_SHORT)
    if text is not None and listed:
        found, match = find_rows(listed, text, lambda row: (row.name.replace("_", " "), ""))
        notes += [] if match is MatchLevel.ALL_WORDS else [SOME_WORDS if found else NO_MATCH]
        listed = found or listed
    end = offset + limit
    return Rows(
        [_row(file) for file in listed[offset:end]],
        "rows",
        "list_library",
        arguments,
        offset,
        len(listed),
        end if end < len(listed) else None,
        tuple(notes),
    )


def _row(file: ListedFile) -> dict[str, str]:
    """Return a row: the name, the value if it is another than `file:` and the name, the size, the day of change."""
    name = clean(file.name)
    value = file.address if name == file.name else f"file:{quote(file.address.removeprefix('file:'), safe='/%')}"
    own = {} if value == f"file:{name}" else {"value": value}
    return {"name": name, **own, "size": _size(file.size), "changed": file.changed}


def _size(size: int) -> str:
    for unit, most in (("bytes", 1000), ("kB", 1000**2), ("MB", 1000**3)):
        if size < most:
            return f"{size * 1000 / most:.3g} {unit}"
    return f"{size / 1000**3:.3g} GB"
