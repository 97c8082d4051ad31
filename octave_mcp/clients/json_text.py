"""JSON as people keep it in files: read it, and add to its text so that all else in it stays as it is.

A file may have comments and trailing commas if its client allows them; VS Code, Zed and opencode do.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/|[{}\[\]:,]|[^\s"{}\[\]:,/]+', re.DOTALL)
_INDENT = re.compile(r"^[{\[]\r?\n([ \t]+)\S", re.MULTILINE)


class _Span(NamedTuple):
    """Where a value stands, and for an object or array where its content ends and whether a comma has to follow."""

    start: int
    end: int
    content_end: int
    needs_comma: bool


def parsed(text: str, *, lenient: bool) -> Any:
    """Return what a text holds; an empty one is an empty object. Raises ValueError or RecursionError.

    With `lenient`, comments and trailing commas are passed over. A name that comes twice in one object is an error, as
    the client may take the other one.
    """
    text = text.removeprefix("\ufeff")
    if lenient:
        text = _COMMENT.sub(lambda found: found[1] or "\n" * found[0].count("\n"), text)
        text = _TRAILING_COMMA.sub(r"\1", text)
    if not text.strip():
        return {}
    return json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse)


def with_member(text: str, path: Sequence[str], value: object) -> str:
    """Return the text of an object with this value under the names that lead to it, in place of another if need be."""
    spans, known = _spans(text), tuple(path)
    if known in spans:
        start, end, *_ = spans[known]
        return text[:start] + _rendered(text, value, len(known)) + text[end:]
    if known[:-1] in spans:
        member = f"{json.dumps(known[-1], ensure_ascii=False)}: {_rendered(text, value, len(known))}"
        return _added(text, spans[known[:-1]], member, len(known))
    return with_member(text, known[:-1], {known[-1]: value})


def with_item(text: str, path: Sequence[str], value: object) -> str:
    """Return the text of an object with this value at the end of the array under these names."""
    depth = len(path) + 1
    return _added(text, _spans(text)[tuple(path)], _rendered(text, value, depth), depth)


def _added(text: str, span: _Span, member: str, depth: int) -> str:
    """Return a text with one more member or item, on lines of its own, at the end of what is in the span."""
    unit, newline = _layout(text)
    kept = text[: span.content_end] + "," * span.needs_comma + text[span.content_end : span.end - 1].rstrip()
    return f"{kept}{newline}{unit * depth}{member}{newline}{unit * (depth - 1)}{text[span.end - 1 :]}"


def _rendered(text: str, value: object, depth: int) -> str:
    unit, newline = _layout(text)
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", newline + unit * depth)


def _layout(text: str) -> tuple[str, str]:
    """Return what a text indents with, and how its lines end."""
    found = _INDENT.search(text.removeprefix("\ufeff"))
    return (found[1] if found else "  "), ("\r\n" if "\r\n" in text else "\n")


def _spans(text: str) -> dict[tuple[str, ...], _Span]:
    """Return where each value of the text's objects stands, by the names that lead to it. The text is valid."""
    spans: dict[tuple[str, ...], _Span] = {}
    opened: list[tuple[int, tuple[str, ...]]] = []
    path: tuple[str, ...] = ()
    before, before_end = "{", 0
    for token in _TOKEN.finditer(text):
        first = token[0][0]
        if first == "/":
            continue
        if first in "}]":
            start, path = opened.pop()
            spans[path] = _Span(start, token.end(), before_end, before not in "{[,")
        elif first in "{[":
            opened.append((token.start(), path))
        elif first == '"' and before in "{," and text[opened[-1][0]] == "{":
            path = (*opened[-1][1], json.loads(token[0]))
        elif first not in ":,":
            spans[path] = _Span(*token.span(), token.end(), needs_comma=False)
        before, before_end = first, token.end()
    return spans


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
