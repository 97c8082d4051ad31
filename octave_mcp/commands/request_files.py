"""The input of `generate`: the API's body as JSON, or a table of names and sources as CSV."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from octave_mcp.commands.output import report
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.results.failures import NOTHING_SENT
from octave_mcp.sources.resolve import FilesRefused, RequestWithFiles, read_files
from octave_mcp.tools.arguments import ArgumentsError, read_arguments
from octave_mcp.tools.schemas import GENERATE_PERSONAS

_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
"""Encodings of files that begin with a byte order mark, as Excel's "Unicode text" and "CSV UTF-8" do."""

_EXCEL = "cp1252"
"""What Excel's plain "CSV" is written in, in most of Europe and America."""

_SEPARATOR = re.compile(r"sep=([,;\t|])", re.IGNORECASE)
"""A first line by which Excel is told what separates the cells."""

_COLUMNS = ("name", "source", "type")

MAX_FILE_BYTES = 64_000_000
"""Bound on what is read of a file or stdin: far more than the texts of one request, and little for a machine."""

BODY = 'such as {"personas": [{"name": "CISO", "sources": [{"type": "TEXT", "value": "notes"}]}]}'


READING_SECONDS = 120.0
"""Time for all source files: nobody waits for an answer here as a client does, and long PDFs take a minute."""


class Unusable(Exception):
    """The request cannot be carried out, and nothing was sent. The text says why."""


def read_request(source: str, most: int, folders: Sequence[Path] = ()) -> GenerateRequest:
    """Read a file, or stdin for `-`, that asks for at most `most` personas. Raises Unusable.

    Sources that are files in one of the folders become their text, and stderr says what was read.
    """
    name = "stdin" if source == "-" else shorten(clean(source), 200)
    content = _content(source, name)
    if not content.strip():
        raise Unusable(f"{name} is empty. It has to hold the API's body as JSON, {BODY}, or CSV. {NOTHING_SENT}")
    is_table = source.lower().endswith((".csv", ".tsv")) or (source == "-" and _looks_like_a_table(content))
    body = _from_table(_decoded(content, name), name) if is_table else _from_json(content, name)
    if not isinstance(body, dict):
        raise _invalid([f"the body must be a JSON object, {BODY}"])
    try:
        kind = RequestWithFiles if folders else GenerateRequest
        request, adjusted = read_arguments(body, GENERATE_PERSONAS, kind)
    except ArgumentsError as error:
        raise _invalid(error.problems) from None
    if adjusted.dropped:  # there is no client here that could have added it
        raise _invalid([f"{name}: unknown argument" for name in adjusted.dropped])
    if (asked := len(request.personas)) > most:
        advice = "split the file, or set OCTAVE_MCP_MAX_PERSONAS_PER_CALL higher"
        raise _invalid([f"personas: {asked} are asked for, and the limit for one command is {most}: {advice}"])
    return _with_files(request, folders) if folders else request


def _with_files(request: GenerateRequest, folders: Sequence[Path]) -> GenerateRequest:
    try:
        request, files = read_files(request, folders, seconds=READING_SECONDS)
    except FilesRefused as error:
        raise _invalid([shorten(clean(problem), 400) for problem in error.problems]) from None
    for file in dict.fromkeys(files.values()):
        note = f" ({file.note})" if file.note else ""
        report(clean(f"Read: {file.name}, {file.characters:,} characters{note}"))
    return request


def _content(source: str, name: str) -> bytes:
    if source == "-" and sys.stdin is None:
        raise Unusable(f"stdin is closed. {NOTHING_SENT}")
    try:
        with nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb") as file:
            content: bytes = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there can be no such name"
        raise Unusable(f"{name} cannot be read: {reason}. {NOTHING_SENT}") from None
    if len(content) > MAX_FILE_BYTES:
        raise Unusable(f"{name} is larger than {MAX_FILE_BYTES // 1_000_000} MB: split it. {NOTHING_SENT}")
    return content


def _invalid(problems: Sequence[str]) -> Unusable:
    lines = "\n".join(f"- {problem}" for problem in problems)
    return Unusable(f"Invalid input:\n{lines}\n{NOTHING_SENT}")


# --- JSON -------------------------------------------------------------------------------------------------------------


def _from_json(content: bytes, name: str) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        hint = f"It has to hold the API's body, {BODY}; a table's name ends in .csv."
        raise Unusable(f"{name} is not JSON: {error.msg}, at {place}. {hint} {NOTHING_SENT}") from None
    except UnicodeDecodeError:
        raise Unusable(f"{name} is not UTF-8 text: save it as UTF-8, and a table as CSV. {NOTHING_SENT}") from None
    except (ValueError, RecursionError):
        raise Unusable(f"{name} is not JSON that can be read. {NOTHING_SENT}") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. JSON lets a name come twice and keeps the last, so a persona would be lost without a word."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _invalid([f"{shorten(clean(name[:200]), 60)}: comes twice in one object"])
        found[name] = value
    return found


# --- CSV --------------------------------------------------------------------------------------------------------------


def _looks_like_a_table(content: bytes) -> bool:
    """Return whether what comes on stdin, which has no name, begins with the names of columns."""
    head = content[:400].replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe").lower()
    lines = [line for line in head.splitlines() if not line.startswith(b"sep=")]
    return not head.lstrip().startswith((b"{", b"[")) and b"source" in b"".join(lines[:1])


def _decoded(content: bytes, name: str) -> str:
    encoding = next((known for mark, known in _MARKS.items() if content.startswith(mark)), "utf-8")
    for attempt in (encoding, _EXCEL):
        try:
            return content.decode(attempt)
        except UnicodeDecodeError:
            continue
    raise Unusable(f"{name} is not text that can be read: save it as UTF-8. {NOTHING_SENT}")


def _from_table(text: str, name: str) -> dict[str, Any]:
    """Return the body that a table asks for. Rows of one name are sources of one persona. Raises Unusable."""
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    declared = _SEPARATOR.fullmatch(first)
    delimiter = declared[1] if declared else max(",;\t", key=first.count)
    csv.field_size_limit(MAX_FILE_BYTES)  # the file's own bound: a cell may hold a long interview
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        if declared:
            next(row for row in rows if any(map(str.strip, row)))
        head = [cell.strip().lower() for cell in next(row for row in rows if any(map(str.strip, row)))]
        named = [cell for cell in head if cell]
        if "source" not in named or set(named) - set(_COLUMNS) or len(named) > len(set(named)):
            found = shorten(clean(", ".join(head)[:200]), 100)
            expected = "name and source, each once, and type if you like"
            raise _invalid([f"{name}: the first line has to name the columns {expected}; it has: {found}"])
        return _body(_cells(head, rows))
    except csv.Error as error:
        raise _invalid([f"{name}: line {rows.line_num} is not CSV: {error}"]) from None


def _cells(head: Sequence[str], rows: Any) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row that is not blank, with the number of its last line. Raises Unusable."""
    for row in rows:
        cells = dict(zip(head, row, strict=False))
        beyond = [*row[len(head) :], *(cell for column, cell in zip(head, row, strict=False) if not column)]
        if any(map(str.strip, beyond)):  # a text with a comma and no quotes would lose what follows the comma
            hint = 'a text with commas has to be in quotes, "like, this"'
            raise _invalid([f"line {rows.line_num}: text is outside the named columns; {hint}"])
        if any(map(str.strip, row)):
            yield rows.line_num, cells


def _body(rows: Iterator[tuple[int, dict[str, str]]]) -> dict[str, Any]:
    personas: dict[object, dict[str, Any]] = {}
    problems: list[str] = []
    for line, row in rows:
        name, value = row.get("name", "").strip(), row.get("source", "").strip()
        if not value:
            problems.append(f"line {line}: source is missing")
            continue
        kind = row.get("type", "").strip().upper() or _kind_of(value)
        persona = personas.setdefault(name or line, {"name": name, "sources": []} if name else {"sources": []})
        persona["sources"].append({"type": kind, "value": value})
    if problems:
        raise _invalid(problems)
    return {"personas": list(personas.values())}


def _kind_of(value: str) -> str:
    """Return the type of a source that does not say it: an address is a URL, all else is text."""
    is_address = value.lower().startswith(("http://", "https://", "file:")) and len(value.split()) == 1
    return "URL" if is_address else "TEXT"
