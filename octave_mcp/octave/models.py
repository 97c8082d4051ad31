"""Models of `POST /api/v2/persona/generate`: requests are validated strictly, answers are read leniently.

Source: the API's page, and Octave's API reference for `RESOURCE` sources, which the page leaves out. Fields have the
API's own names.

A request with anything that the API does not have is an error. In an answer, unknown fields are kept, and a missing,
null or mistyped one becomes empty: by then the persona has been paid for.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from octave_mcp.octave.lenient_types import Answer, Date, Flag, Text, Texts, WithMetadata, mapping, mappings
from octave_mcp.octave.text import is_blank, is_visible, strip_invisible

# --- Requests ---------------------------------------------------------------------------------------------------------


def _usable(value: str) -> str:
    if is_blank(value):
        raise PydanticCustomError("unusable", "must not be blank")
    if "\0" in value:
        # Databases such as PostgreSQL cannot store it, so Octave may fail after it has charged for the persona.
        raise PydanticCustomError("unusable", "contains the invisible character U+0000 (NUL): send it without")
    return value


NonBlank = Annotated[str, StringConstraints(strict=True), AfterValidator(_usable)]
"""A string with at least one visible character, and without NUL: Octave might charge for a blank one too."""


class _Request(BaseModel):
    """Base of all requests: no unknown fields, no coercion, no change after validation."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Source(_Request):
    """One piece of the material that a persona is written from."""

    takes_files: ClassVar[bool] = False
    """Whether an address may be a `file:` address: only in `octave_mcp.sources`, which puts the file's text here."""

    type: Literal["TEXT", "URL", "RESOURCE"]
    value: NonBlank
    """The text itself, an http or https address, or the name or oId of a resource in Octave."""

    @field_validator("value")
    @classmethod
    def _trim_address(cls, value: str, info: ValidationInfo) -> str:
        """Remove invisible characters around an address, such as line breaks and zero-width spaces."""
        return strip_invisible(value) if info.data.get("type") == "URL" else value

    @model_validator(mode="after")
    def _url_is_a_web_address(self) -> Self:
        if self.type == "URL" and self.value[:5].lower() == "file:":
            if not self.takes_files:
                raise ValueError(f"value: {_NO_FOLDERS}")
        elif self.type == "URL" and not _is_web_address(self.value):
            hidden = next((f" (it contains U+{ord(one):04X})" for one in self.value if not is_visible(one)), "")
            file = " or file: and the name of a file," if self.takes_files else ""
            raise ValueError(
                f"value: must be an http:// or https:// address, without spaces,{file} when type is URL{hidden}"
            )
        return self


_NO_FOLDERS = (
    "file: addresses need folders that may be read: ask the user to set OCTAVE_MCP_FOLDERS, or --folder PATH, where "
    "this server is configured; or send the file's text as TEXT"
)


class PersonaRequest(_Request):
    """One requested persona: the name it shall have, if any, and its material."""

    name: NonBlank | None = None
    sources: list[Source] = Field(min_length=1)


class LinkingStrategy(_Request):
    """The offerings that the personas are linked to: `ALL` of them, or `SPECIFIC` ones by their oIds."""

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
        """Return the JSON to send. What was left out, or given as None, is absent and never null."""
        return self.model_dump(exclude_none=True)


def _is_web_address(value: str) -> bool:
    if any(character.isspace() or not character.isprintable() for character in value):
        return False
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:  # such as an unclosed bracket, or a port that is not a number
        return False
    host = parts.hostname or ""
    return parts.scheme.lower() in {"http", "https"} and any(map(str.isalnum, host)) and "," not in host


# --- Answers ----------------------------------------------------------------------------------------------------------


def _custom_fields(value: object) -> list[object]:
    """Return custom fields as a list of title and value, as on the page, also if they came as an object."""
    if isinstance(value, Mapping):
        return [{"title": title, "value": content} for title, content in value.items()]
    return mappings(value)


class QualifyingQuestion(Answer):
    """A question that shows whether somebody fits the persona.

    `fitType` (GOOD, BAD) and `weight` (LOW, MEDIUM, HIGH, INSTANT_DISQUALIFIER) are open sets.
    """

    question: Text = None
    rationale: Text = None
    fitType: Text = None
    weight: Text = None
    archivedAt: Date = None


class CustomField(Answer):
    """A field that the workspace added to its personas."""

    title: Text = None
    value: Texts = []


class PersonaData(Answer):
    """The written part of a persona; `octave.sections` has the names of its lists. `customFields` is always a list."""

    internalName: Text = None
    buyingRole: Texts = []
    primaryResponsibilities: Texts = []
    painPoints: Texts = []
    keyConcerns: Texts = []
    keyObjectives: Texts = []
    commonJobTitles: Texts = []
    whyTheyMatterToUs: Texts = []
    whyWeMatterToThem: Texts = []
    customFields: Annotated[list[CustomField], BeforeValidator(_custom_fields)] = []


class User(Answer):
    """The user that a persona belongs to."""

    oId: Text = None
    firstName: Text = None
    lastName: Text = None


class WorkspaceRef(Answer):
    """The workspace that a persona belongs to."""

    oId: Text = None


class Persona(Answer):
    """One persona. Dates stay text: they come both as `2021-01-01` and as full timestamps."""

    oId: Text = None
    name: Text = None
    internalName: Text = None
    description: Text = None
    createdAt: Date = None
    deletedAt: Date = None
    archivedAt: Date = None
    updatedAt: Date = None
    unrecognized: Flag = None
    rejected: Flag = None
    active: Flag = None
    data: Annotated[PersonaData, BeforeValidator(mapping)] = PersonaData()
    qualifyingQuestions: Annotated[list[QualifyingQuestion], BeforeValidator(mappings)] = []
    user: Annotated[User, BeforeValidator(mapping)] = User()
    workspace: Annotated[WorkspaceRef, BeforeValidator(mapping)] = WorkspaceRef()


_OWN_FIELDS = ("oId", "name", "internalName", "description")
"""Fields of which a persona has at least one."""


def is_persona(row: object) -> bool:
    """Return whether a row of an answer is a persona, and not an error or an empty object in its place."""
    return isinstance(row, Mapping) and any(row.get(name) for name in _OWN_FIELDS)


def _personas(value: object) -> list[object]:
    """Return the personas in the answer's `data`, which is a list, null, or one persona alone."""
    return [row for row in (value if isinstance(value, list) else [value]) if is_persona(row)]


class GenerateAnswer(WithMetadata):
    """The answer of `POST /api/v2/persona/generate`. `data` is empty if Octave sent null."""

    data: Annotated[list[Persona], BeforeValidator(_personas)] = []
