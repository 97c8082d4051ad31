"""The wire, as the API's page has it: strict in what is sent, tolerant in what is understood.

Source: the page of `POST /api/v2/persona/generate`, and Octave's API reference for `RESOURCE` sources, which the page
leaves out. Field names are the API's own, so a model's field is what travels.

Requests refuse what the API does not have. Answers are read from whatever arrives: unknown fields are kept, and a
missing, null or mistyped one becomes empty, because by then the persona has been paid for.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from octave_mcp.text import clean

__all__ = [
    "CustomField",
    "GenerateAnswer",
    "GenerateRequest",
    "LinkingStrategy",
    "Metadata",
    "NonBlank",
    "Persona",
    "PersonaData",
    "PersonaPage",
    "PersonaRequest",
    "QualifyingQuestion",
    "Source",
]

# --- What is sent -----------------------------------------------------------------------------------------------------


def _visible(value: str) -> str:
    if not clean(value):
        raise PydanticCustomError("blank", "must not be blank")
    return value


NonBlank = Annotated[str, StringConstraints(strict=True), AfterValidator(_visible)]
"""A string with at least one visible character: a blank one is paid for and says nothing."""


class _Request(BaseModel):
    """Base of what is sent: no unknown fields, no coercion, no change after the check."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Source(_Request):
    """One piece of material that a persona is written from."""

    type: Literal["TEXT", "URL", "RESOURCE"]
    value: NonBlank
    """The text itself, an http or https address, or the name or oId of a resource in Octave."""

    @model_validator(mode="after")
    def _url_is_a_web_address(self) -> Self:
        if self.type == "URL" and not _is_web_address(self.value):
            raise ValueError("value: must be an http:// or https:// address, without spaces, when type is URL")
        return self


class PersonaRequest(_Request):
    """What one persona is asked for with; each makes one persona."""

    name: NonBlank | None = None
    sources: list[Source] = Field(min_length=1)


class LinkingStrategy(_Request):
    """Which offerings the personas are linked to: `ALL`, or `SPECIFIC` ones, named by oId."""

    mode: Literal["ALL", "SPECIFIC"]
    offeringOIds: list[NonBlank] | None = None

    @model_validator(mode="after")
    def _only_specific_names_offerings(self) -> Self:
        if self.mode == "SPECIFIC" and not self.offeringOIds:
            raise ValueError("offeringOIds: at least one is required when mode is SPECIFIC")
        if self.mode == "ALL" and self.offeringOIds is not None:
            raise ValueError("offeringOIds: leave it out when mode is ALL, or set mode to SPECIFIC")
        return self


class GenerateRequest(_Request):
    """The body of `POST /api/v2/persona/generate`."""

    personas: list[PersonaRequest] = Field(min_length=1)
    primaryOfferingOId: NonBlank | None = None
    linkingStrategy: LinkingStrategy | None = None
    playbookOId: NonBlank | None = None
    brandVoiceOId: NonBlank | None = None

    def body(self) -> dict[str, Any]:
        """The JSON to send. What was left out, or given as None, is absent and never null."""
        return self.model_dump(exclude_none=True)


def _is_web_address(value: str) -> bool:
    if any(character.isspace() or not character.isprintable() for character in value):
        return False
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:  # such as a bracket without its twin, or a port that is none
        return False
    host = parts.hostname or ""
    return parts.scheme.lower() in {"http", "https"} and any(map(str.isalnum, host)) and "," not in host


# --- What is understood -----------------------------------------------------------------------------------------------


def _text(value: object) -> str | None:
    """A string; a number as its digits; anything else as nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(value)


def _texts(value: object) -> list[str]:
    """The non-empty strings of a list, or one string alone."""
    items = value if isinstance(value, list) else [value]
    return [text for item in items if (text := _text(item))]


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: object) -> float | None:
    """A finite number, also where it came as a string; never NaN or Infinity, which are no JSON."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _mapping(value: object) -> object:
    """A mapping (or a model already made of one), else an empty one, so that the model it is for has only defaults."""
    return value if isinstance(value, Mapping | BaseModel) else {}


def _mappings(value: object) -> list[object]:
    return [item for item in value if isinstance(item, Mapping | BaseModel)] if isinstance(value, list) else []


def _custom_fields(value: object) -> list[object]:
    """Custom fields as the page has them (a list of title and value), or as an object of title to value."""
    if isinstance(value, Mapping):
        return [{"title": title, "value": content} for title, content in value.items()]
    return _mappings(value)


Text = Annotated[str | None, BeforeValidator(_text)]
Texts = Annotated[list[str], BeforeValidator(_texts)]
Flag = Annotated[bool | None, BeforeValidator(_flag)]
Number = Annotated[float | None, BeforeValidator(_number)]


class _Answer(BaseModel):
    """Base of what is understood: unknown fields are kept, in `model_extra`."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Metadata(_Answer):
    """`_metadata`, which every answer has. `usage` is in credits."""

    usage: Number = None
    requestId: Text = None
    message: Text = None
    timestamp: Text = None


class QualifyingQuestion(_Answer):
    """A question that tells a good fit from a bad one. `fitType` and `weight` are open sets."""

    question: Text = None
    rationale: Text = None
    fitType: Text = None
    weight: Text = None
    archivedAt: Text = None


class CustomField(_Answer):
    """A field that the workspace added to its personas."""

    title: Text = None
    value: Texts = []


class PersonaData(_Answer):
    """The written part of a persona. `customFields` is a list, however it came."""

    internalName: Text = None
    primaryResponsibilities: Texts = []
    painPoints: Texts = []
    keyConcerns: Texts = []
    keyObjectives: Texts = []
    commonJobTitles: Texts = []
    whyTheyMatterToUs: Texts = []
    whyWeMatterToThem: Texts = []
    customFields: Annotated[list[CustomField], BeforeValidator(_custom_fields)] = []


class User(_Answer):
    """Who a persona belongs to."""

    oId: Text = None
    firstName: Text = None
    lastName: Text = None


class Workspace(_Answer):
    """Where a persona lives."""

    oId: Text = None


class Persona(_Answer):
    """One persona. Dates are seen both as `2021-01-01` and as full timestamps, so they stay text."""

    oId: Text = None
    name: Text = None
    internalName: Text = None
    description: Text = None
    createdAt: Text = None
    deletedAt: Text = None
    archivedAt: Text = None
    updatedAt: Text = None
    unrecognized: Flag = None
    rejected: Flag = None
    active: Flag = None
    data: Annotated[PersonaData, BeforeValidator(_mapping)] = PersonaData()
    qualifyingQuestions: Annotated[list[QualifyingQuestion], BeforeValidator(_mappings)] = []
    user: Annotated[User, BeforeValidator(_mapping)] = User()
    workspace: Annotated[Workspace, BeforeValidator(_mapping)] = Workspace()


def _personas(value: object) -> list[object]:
    """The answer's `data`: a list, null, or (seen on such wires) one object alone."""
    return _mappings(value if isinstance(value, list) else [value])


class GenerateAnswer(_Answer):
    """The answer of `POST /api/v2/persona/generate`. `data` is empty where Octave said null."""

    metadata: Annotated[Metadata, BeforeValidator(_mapping)] = Field(default=Metadata(), alias="_metadata")
    data: Annotated[list[Persona], BeforeValidator(_personas)] = []


class PersonaPage(_Answer):
    """The answer of `GET /api/v2/persona/list`. `hasNext` and `total` are None where Octave left them out."""

    metadata: Annotated[Metadata, BeforeValidator(_mapping)] = Field(default=Metadata(), alias="_metadata")
    hasNext: Flag = None
    total: Number = None
    data: Annotated[list[Persona], BeforeValidator(_mappings)] = []
