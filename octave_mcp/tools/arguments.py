"""Arguments as models and hosts send them, read into a request, or answered with what to change.

The SDK drops unknown arguments without a word. Here each is an error, because a misspelt field would be lost and paid
for. Arguments that hosts are known to add are dropped, and empty optional ones count as left out; a note says so.
Objects and arrays that arrive as JSON strings are decoded only if the schema wants an object or array there, so text
that happens to be JSON stays text.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from octave_mcp.octave.text import is_blank, well_formed
from octave_mcp.personas.cleaning import clean, shorten

_TYPES = {
    "string": "must be a string",
    "array": "must be an array",
    "object": "must be an object",
    "integer": "must be a whole number",
}

_BOUNDS = {
    "too_short": "must have at least one item",
    "too_long": "must have at most {max_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}

_Model = TypeVar("_Model", bound=BaseModel)

ADDED_BY_HOSTS = frozenset({"sessionId", "action", "chatInput", "toolCallId", "tool", "wait_for_previous"})
"""Arguments that hosts put beside the model's: n8n's AI agent (the first five), Gemini CLI (the last)."""

MAX_PROBLEMS = 12
"""Problems that are listed; more are counted. A model corrects one call at a time."""

MAX_NOTED = 12
"""Names of adjusted arguments in a note; more are counted."""


class ArgumentsError(Exception):
    """The arguments cannot be used. `problems` has one line for each, with its path in the API's terms."""

    def __init__(self, problems: list[str]) -> None:
        """Take the problems; those that differ only in their place in a list are reported once."""
        alike: dict[str, list[str]] = {}
        for problem in problems:
            alike.setdefault(re.sub(r"\[\d+\]", "[]", problem), []).append(problem)
        lines = [same[0] + (f" (and {len(same) - 1} more like it)" if same[1:] else "") for same in alike.values()]
        left = len(lines) - MAX_PROBLEMS
        self.problems = lines[:MAX_PROBLEMS] + ([f"and {left} more"] if left > 0 else [])
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True)
class Adjustments:
    """Names of arguments that were `dropped` as a host's own, and paths of those that were `empty`."""

    dropped: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Return a note about each sort of adjustment."""
        notes = [f"Ignored arguments that the host added: {_listed(self.dropped)}."] if self.dropped else []
        return [*notes, *([f"Empty, so taken as left out: {_listed(self.empty)}."] if self.empty else [])]


def _listed(names: list[str]) -> str:
    shown = [shorten(clean(name[:200]), 60) for name in names[:MAX_NOTED]]
    return ", ".join(shown) + (f" and {len(names) - MAX_NOTED} more" if len(names) > MAX_NOTED else "")


def read_arguments(
    arguments: Mapping[str, Any], schema: Mapping[str, Any], model: type[_Model]
) -> tuple[_Model, Adjustments]:
    """Check `arguments` against `model`, whose published form is `schema`. Raises ArgumentsError."""
    known = schema["properties"]
    adjusted = Adjustments([name for name in arguments if name not in known and name in ADDED_BY_HOSTS])
    kept = {name: value for name, value in arguments.items() if name not in adjusted.dropped}
    try:
        return model.model_validate(_conform(kept, schema, "", adjusted.empty)), adjusted
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ArgumentsError([_problem(detail, schema) for detail in details]) from None


def _conform(value: Any, schema: Mapping[str, Any], path: str, empty: list[str]) -> Any:
    """Return `value` as the schema wants it, as far as nothing can be lost by that.

    JSON strings are decoded where the schema has structure, and text is made encodable. Optional fields that are null
    or empty are left out; the paths of the empty ones are added to `empty`.
    """
    wanted = schema.get("type")
    if isinstance(value, str) and wanted in {"object", "array"}:
        value = _decoded(value)
    if wanted == "integer" and isinstance(value, str | float):
        return _whole(value)
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list) and wanted == "array":
        return [_conform(item, schema["items"], f"{path}[{place}]", empty) for place, item in enumerate(value)]
    if not isinstance(value, dict) or wanted != "object":
        return value
    required, properties = schema.get("required", ()), schema.get("properties", {})
    kept: dict[str, Any] = {}
    for name, item in value.items():
        inner = f"{path}.{name}".removeprefix(".")
        if name in properties and name not in required:
            if item is None:
                continue
            if _decoded(item) == [] or (isinstance(item, str) and is_blank(item)):
                empty.append(inner)
                continue
        kept[well_formed(name)] = _conform(item, properties.get(name, {}), inner, empty)
    return kept


def _decoded(text: Any) -> Any:
    """Return the object or array that a JSON string holds, or the value itself if it is nothing of that kind."""
    try:
        value = json.loads(text) if isinstance(text, str) and text.lstrip()[:1] in {"[", "{"} else text
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


def _whole(value: str | float) -> Any:
    """Return the whole number that a float or a string stands for, as some hosts send it; else the value itself."""
    try:
        return int(value) if float(value) == int(value) else value
    except (ValueError, OverflowError):
        return value


def _problem(detail: Any, schema: Mapping[str, Any]) -> str:
    """Return one line about one of pydantic's findings: the path as the API's users write it, and what to change."""
    place = tuple(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    path = _path(place)
    if kind == "extra_forbidden":
        return f"{path}: unknown argument; {_hint(str(place[-1]), _names_at(schema, place[:-1]), schema)}"
    if kind == "value_error":
        # The request models' own checks name the field themselves: "value: must be ..."
        text = str(context["error"])
        return f"{path}.{text}" if path else text
    wanted = _schema_at(schema, place)
    if kind == "missing":
        text = "missing (required)"
    elif kind == "unusable":
        text = detail["msg"]
    elif kind in _BOUNDS:
        text = _BOUNDS[kind].format(**context)
    elif "enum" in wanted:
        text = f"must be {_alternatives(wanted['enum'])}"
    else:
        text = _TYPES.get(wanted.get("type", ""), "is not a value that the API takes")
        if wanted.get("type") == "object":
            text += f" with {', '.join(wanted['properties'])}"
        if isinstance(detail["input"], str) and wanted.get("type") in {"array", "object"}:
            text += "; it came as text that is not JSON"
    return f"{path}: {text}"


def _hint(name: str, known: list[str], schema: Mapping[str, Any]) -> str:
    """Return where that very name belongs, else the nearest name that is known here, else all that are."""
    if homes := [path for path in _paths(schema) if path.rpartition(".")[2] == name]:
        return f"it belongs at {homes[0]}"
    plain = {re.sub(r"[^a-z0-9]", "", each.lower()): each for each in known}
    near = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", name.lower()), plain, n=1, cutoff=0.6)
    return f"did you mean {plain[near[0]]}?" if near else f"known here: {', '.join(known)}."


def _paths(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield every property in a schema, such as `personas[].sources`."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}{name}"
        yield from _paths(inner, f"{path}{name}.")
        yield from _paths(inner.get("items", {}), f"{path}{name}[].")


def _path(place: tuple[str | int, ...]) -> str:
    """Return a path such as `personas[0].sources[1].type`. Names may be anything, so they are cleaned and bounded."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{shorten(clean(part[:200]), 60)}" for part in place)
    return "".join(parts).removeprefix(".")


def _schema_at(schema: Mapping[str, Any], place: tuple[str | int, ...]) -> Mapping[str, Any]:
    for part in place:
        schema = schema.get("items", {}) if isinstance(part, int) else schema.get("properties", {}).get(part, {})
    return schema


def _names_at(schema: Mapping[str, Any], place: tuple[str | int, ...]) -> list[str]:
    return list(_schema_at(schema, place).get("properties", {}))


def _alternatives(values: list[str]) -> str:
    return f"{', '.join(values[:-1])} or {values[-1]}"
