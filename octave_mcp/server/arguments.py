"""Arguments as they arrive from models and hosts, made into a request, or into words that say what to change.

The SDK drops unknown arguments without a word; here each is an error, because a misspelt field would be lost and paid
for. What hosts are known to add is let through (dropped, and told). Objects and arrays that arrive as JSON strings are
decoded where the schema wants an object or array, and only there: text that happens to be JSON stays text.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from octave_mcp.octave.decoding import well_formed
from octave_mcp.personas.cleaning import clean, shorten

__all__ = ["ADDED_BY_HOSTS", "ArgumentsError", "read_arguments"]

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
"""More are counted: a model mends one call at a time."""


class ArgumentsError(Exception):
    """The arguments cannot be used. `problems` has one line for each, with its path in the API's terms."""

    def __init__(self, problems: list[str]) -> None:
        """Take the problems; those that differ only in the item they are about are told once."""
        alike: dict[str, list[str]] = {}
        for problem in problems:
            alike.setdefault(re.sub(r"\[\d+\]", "[]", problem), []).append(problem)
        told = [same[0] + (f" (and {len(same) - 1} more like it)" if same[1:] else "") for same in alike.values()]
        left = len(told) - MAX_PROBLEMS
        self.problems = told[:MAX_PROBLEMS] + ([f"and {left} more"] if left > 0 else [])
        super().__init__("; ".join(self.problems))


def read_arguments(
    arguments: Mapping[str, Any], schema: Mapping[str, Any], model: type[_Model]
) -> tuple[_Model, list[str]]:
    """Check `arguments` against `model`, whose published form is `schema`.

    Returns the model and the names of top-level arguments that were dropped, which are in `ADDED_BY_HOSTS`. An
    optional argument given as null counts as left out. Raises ArgumentsError.
    """
    known = schema["properties"]
    dropped = [name for name in arguments if name not in known and name in ADDED_BY_HOSTS]
    kept = {name: value for name, value in arguments.items() if name not in dropped}
    try:
        return model.model_validate(_conform(kept, schema)), dropped
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ArgumentsError([_problem(detail, schema) for detail in details]) from None


def _conform(value: Any, schema: Mapping[str, Any]) -> Any:
    """`value`, its JSON strings decoded where `schema` wants structure, without nulls of optional fields, encodable."""
    wanted = schema.get("type")
    if isinstance(value, str) and wanted in {"object", "array"}:
        value = _decoded(value)
    if wanted == "integer" and isinstance(value, str | float):
        return _whole(value)
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict) and wanted == "object":
        required, properties = schema.get("required", ()), schema.get("properties", {})
        return {
            well_formed(name): _conform(item, properties.get(name, {}))
            for name, item in value.items()
            if item is not None or name in required or name not in properties
        }
    if isinstance(value, list) and wanted == "array":
        return [_conform(item, schema["items"]) for item in value]
    return value


def _decoded(text: str) -> Any:
    """What a JSON string stands for when it is an object or array, else the string itself."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


def _whole(value: str | float) -> Any:
    """The whole number that was meant, by a host that has floats only, or strings; else the value itself."""
    try:
        return int(value) if float(value) == int(value) else value
    except (ValueError, OverflowError):
        return value


def _problem(detail: Any, schema: Mapping[str, Any]) -> str:
    """One line about one of pydantic's findings: the path as the API's users write it, and what to change."""
    place = tuple(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    path = _path(place)
    if kind == "extra_forbidden":
        return f"{path}: unknown argument; {_hint(str(place[-1]), _names_at(schema, place[:-1]), schema)}"
    if kind == "value_error":
        # The request models' own checks, which name the field they are about: "value: must be ..."
        text = str(context["error"])
        return f"{path}.{text}" if path else text
    wanted = _schema_at(schema, place)
    if kind == "missing":
        text = "required, and missing"
    elif kind == "blank":
        required = place[-1] in _schema_at(schema, place[:-1]).get("required", ())
        text = "must not be blank" if required or isinstance(place[-1], int) else "must not be blank; leave it out"
    elif kind in _BOUNDS:
        text = _BOUNDS[kind].format(**context)
    elif "enum" in wanted:
        text = f"must be {_alternatives(wanted['enum'])}"
    else:
        text = _TYPES.get(wanted.get("type", ""), "is not what the API takes")
        if wanted.get("type") == "object":
            text += f" with {', '.join(wanted['properties'])}"
        if isinstance(detail["input"], str) and wanted.get("type") in {"array", "object"}:
            text += "; it came as text that is not JSON"
    return f"{path}: {text}"


def _hint(name: str, known: list[str], schema: Mapping[str, Any]) -> str:
    """Where that very name belongs, else the nearest name that is known here, else all that are."""
    if homes := [path for path in _paths(schema) if path.rpartition(".")[2] == name]:
        return f"it belongs at {homes[0]}"
    plain = {re.sub(r"[^a-z0-9]", "", each.lower()): each for each in known}
    near = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", name.lower()), plain, n=1, cutoff=0.6)
    return f"did you mean {plain[near[0]]}?" if near else f"known here: {', '.join(known)}."


def _paths(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every property in a schema, such as `personas[].sources`."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}{name}"
        yield from _paths(inner, f"{path}{name}.")
        yield from _paths(inner.get("items", {}), f"{path}{name}[].")


def _path(place: tuple[str | int, ...]) -> str:
    """Such as `personas[0].sources[1].type`. Names may be anything, so they are cleaned and bounded."""
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
