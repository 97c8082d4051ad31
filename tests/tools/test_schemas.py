"""The published schemas are plain, and say what the request models check."""

import inspect
import json
import typing
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, ValidationError

from octave_mcp.octave.models import GenerateRequest
from octave_mcp.tools import schemas
from octave_mcp.tools.schemas import GENERATE_PERSONAS

FORBIDDEN = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "title", "additionalProperties", "null"}


def keywords(schema: Any) -> Iterator[str]:
    """Every keyword and type in a schema; names of properties are no keywords."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            yield name
            if name == "properties":
                for inner in value.values():
                    yield from keywords(inner)
            else:
                yield from keywords(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from keywords(item)
    elif isinstance(schema, str) and schema == "null":
        yield schema


INPUTS = [schemas.GENERATE_PERSONAS, schemas.GET_GENERATION, schemas.GET_PERSONA, schemas.LIST_PERSONAS]
INPUTS += [schemas.LIST_LIBRARY, schemas.CHECK_WORKSPACE]
RESULTS = [schema for name, schema in vars(schemas).items() if name.isupper() and name.endswith("_RESULT")]


@pytest.mark.parametrize("schema", INPUTS + RESULTS)
def test_schemas_have_nothing_that_makes_a_client_drop_the_tool(schema: dict[str, Any]) -> None:
    """And they are valid JSON Schema."""
    assert not FORBIDDEN & set(keywords(schema))
    jsonschema.Draft202012Validator.check_schema(schema)


def properties(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of a schema, with its path."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}{name}", inner
        yield from properties(inner, f"{path}{name}.")
    if "items" in schema:
        yield from properties(schema["items"], path)


def test_every_field_of_the_input_is_described() -> None:
    """In the words that a model needs."""
    for schema in INPUTS:
        assert all(field.get("description") for path, field in properties(schema) if path), schema
    described = dict(properties(GENERATE_PERSONAS))
    assert all(field.get("description") for field in described.values())
    assert "paid" in described["personas"]["description"]
    for type_ in ("TEXT", "URL", "RESOURCE"):
        assert type_ in described["personas.sources.type"]["description"]


def _fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, bool]]:
    """Every field of a model and of the models in it, with whether it is required."""
    for name, field in model.model_fields.items():
        yield f"{path}{name}", field.is_required()
        for inner in _models_in(field.annotation):
            yield from _fields(inner, f"{path}{name}.")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models_in(part)


def _required(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, bool]]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}{name}", name in schema.get("required", ())
        yield from _required(inner, f"{path}{name}.")
        yield from _required(inner.get("items", {}), f"{path}{name}.")


def test_the_input_schema_has_exactly_the_fields_of_the_request() -> None:
    """The same names, the same ones required."""
    assert dict(_required(GENERATE_PERSONAS)) == dict(_fields(GenerateRequest))


LINKINGS: list[dict[str, Any]] = [
    {"linkingStrategy": {"mode": "ALL"}},
    {"linkingStrategy": {"mode": "SPECIFIC", "offeringOIds": ["o_1"]}},
    {"linkingStrategy": {"mode": "NONE"}},
    {"linkingStrategy": "ALL"},
    {"linkingStrategy": {}},
    {"playbookOId": "pb_1"},
    {"brandVoiceOId": 1},
    {"primaryOfferingOId": []},
]
BODIES: list[dict[str, Any]] = [
    {"personas": [{"sources": [{"type": kind, "value": value}]}]}
    for kind in ("TEXT", "URL", "RESOURCE", "FILE", "", None)
    for value in ("https://example.com", "", 3)
] + [{"personas": [{"sources": [{"type": "TEXT", "value": "x"}]}], **more} for more in LINKINGS]


@pytest.mark.parametrize("body", BODIES, ids=json.dumps)
def test_schema_and_request_agree_on_what_is_valid(body: dict[str, Any]) -> None:
    """A client that checks arguments itself comes to the same answer."""
    by_schema = jsonschema.Draft202012Validator(GENERATE_PERSONAS).is_valid(body)
    try:
        GenerateRequest.model_validate(body)
    except ValidationError:
        assert not by_schema
    else:
        assert by_schema
