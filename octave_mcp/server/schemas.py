"""The published schemas, exactly as a client reads them.

Written out, since what the SDK derives from a signature (`$ref`, `anyOf` with null, `title`) makes some client drop the
tool, or all of the server's tools. That they say the same as `octave_mcp.octave.models` is a test.
"""

from typing import Any, Final

from octave_mcp.octave.library_kinds import KINDS
from octave_mcp.personas.record import RECORD_SECTIONS

__all__ = [
    "CHECK_WORKSPACE",
    "CHECK_WORKSPACE_RESULT",
    "DEFAULT_LIMIT",
    "GENERATE_PERSONAS",
    "GENERATE_PERSONAS_RESULT",
    "GET_GENERATION",
    "GET_GENERATION_RESULT",
    "GET_PERSONA",
    "GET_PERSONA_RESULT",
    "LIST_LIBRARY",
    "LIST_LIBRARY_RESULT",
    "LIST_PERSONAS",
    "LIST_PERSONAS_RESULT",
    "MAX_LIMIT",
]

Schema = dict[str, Any]

STATUSES = ["complete", "partial", "pending", "failed"]


def _string(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _strings(description: str) -> Schema:
    return {"type": "array", "items": {"type": "string"}, "description": description}


_SOURCE: Final[Schema] = {
    "type": "object",
    "properties": {
        "type": _string(
            "TEXT: value is the material itself. URL: value is a public web page that Octave reads. "
            "RESOURCE: value names a resource that is already in Octave.",
            enum=["TEXT", "URL", "RESOURCE"],
        ),
        "value": _string(
            "The text (notes, a job description, call excerpts; as long as needed), the http(s) address, or the "
            "resource's name or oId.",
            minLength=1,
        ),
    },
    "required": ["type", "value"],
}

_PERSONA: Final[Schema] = {
    "type": "object",
    "properties": {
        "name": _string(
            "Name for the persona in Octave. Give one: without it, a persona whose answer was lost cannot be found."
        ),
        "sources": {
            "type": "array",
            "description": "Material to write this persona from. Prefer TEXT with what the user said or gave you, URL "
            "for pages they named.",
            "items": _SOURCE,
            "minItems": 1,
        },
    },
    "required": ["sources"],
}

GENERATE_PERSONAS: Final[Schema] = {
    "type": "object",
    "properties": {
        "personas": {
            "type": "array",
            "description": "One item for each persona wanted: each makes exactly one, and each is paid for.",
            "items": _PERSONA,
            "minItems": 1,
        },
        "primaryOfferingOId": _string(
            "oId of the offering that the personas are for. Without it, Octave uses the workspace's company."
        ),
        "linkingStrategy": {
            "type": "object",
            "description": "Which offerings the personas are linked to in Octave. Leave out if the user named none.",
            "properties": {
                "mode": _string("ALL: every offering. SPECIFIC: those in offeringOIds.", enum=["ALL", "SPECIFIC"]),
                "offeringOIds": _strings("oIds of the offerings. Required with SPECIFIC, left out with ALL."),
            },
            "required": ["mode"],
        },
        "playbookOId": _string("oId of a playbook to link the personas to."),
        "brandVoiceOId": _string("oId of the brand voice that the personas are written in."),
    },
    "required": ["personas"],
}

_CONDENSED_PERSONA: Final[Schema] = {
    "type": "object",
    "properties": {
        "oId": {"type": "string"},
        "name": {"type": "string"},
        "description": {"type": "string"},
        "leftOut": {
            "type": "object",
            "description": "How many items of each section get_persona shows beside these; of description, sentences.",
        },
    },
}

_NOTES: Final[Schema] = _strings("What to know before using this.")

GENERATE_PERSONAS_RESULT: Final[Schema] = {
    "type": "object",
    "properties": {
        "generationId": _string("For get_generation."),
        "status": _string("failed: none came back; `failed` tells which may exist all the same.", enum=STATUSES),
        "personas": {"type": "array", "items": _CONDENSED_PERSONA},
        "pending": _strings("Items of the request that are still being written, or wait for their turn."),
        "failed": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "personas": _string("Which items of the request."),
                    "problem": _string("What happened, whether a persona may exist, and what to do."),
                },
            },
        },
        "usage": {"type": "number", "description": "Credits, as Octave reported them."},
        "notes": _NOTES,
    },
    "required": ["status", "personas", "notes"],
}

GET_GENERATION: Final[Schema] = {
    "type": "object",
    "properties": {
        "generationId": _string("From a result of generate_personas. Without it, the latest generations are listed."),
    },
}

_UNCOLLECTED: Final[Schema] = {
    "type": "object",
    "properties": {
        "generationId": {"type": "string"},
        "begun": _string("When, in UTC."),
        "unknown": {"type": "integer", "description": "How many may exist, their answers having been lost."},
    },
}

GET_GENERATION_RESULT: Final[Schema] = {
    "type": "object",
    "description": "As of generate_personas; or, without a generationId, the latest generations.",
    "properties": {
        "generationId": {"type": "string"},
        "status": {"type": "string", "enum": STATUSES},
        "personas": {"type": "array", "items": {"type": "object"}},
        "pending": {"type": "array", "items": {"type": "string"}},
        "failed": {"type": "array", "items": {"type": "object"}},
        "usage": {"type": "number"},
        "generations": {"type": "array", "items": _UNCOLLECTED},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["notes"],
}

# --- Look-ups ---------------------------------------------------------------------------------------------------------

MAX_LIMIT = 100
DEFAULT_LIMIT = 20

_PAGE: Final[Schema] = {
    "limit": {"type": "integer", "description": f"Most rows, 1 to {MAX_LIMIT}. Default {DEFAULT_LIMIT}."},
    "offset": {"type": "integer", "description": "Rows to pass over."},
}
_PAGE_RESULT: Final[Schema] = {
    "total": {"type": "integer", "description": "How many there are, if Octave told."},
    "offset": {"type": "integer"},
    "more": _string("The call that shows more; absent at the end."),
    "notes": {"type": "array", "items": {"type": "string"}},
}


def _row(*more: str) -> Schema:
    return {"type": "object", "properties": {name: {"type": "string"} for name in ("oId", "name", *more)}}


GET_PERSONA: Final[Schema] = {
    "type": "object",
    "properties": {
        "oId": _string("From a result, or from list_personas."),
        "sections": {
            "type": "array",
            "items": {"type": "string", "enum": list(RECORD_SECTIONS)},
            "description": "Only these; without it, the whole record.",
        },
    },
    "required": ["oId"],
}

GET_PERSONA_RESULT: Final[Schema] = {
    "type": "object",
    "description": "Sections as in Octave.",
    "properties": {
        "oId": {"type": "string"},
        "name": {"type": "string"},
        "leftOut": {"type": "object", "description": "How many items of each section did not fit."},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["oId", "name", "notes"],
}

LIST_PERSONAS: Final[Schema] = {
    "type": "object",
    "properties": {
        "text": _string("Words to find."),
        "offeringOId": _string("Only those linked to this offering."),
        "playbookOId": _string("Only those linked to this playbook."),
        **_PAGE,
    },
}

LIST_PERSONAS_RESULT: Final[Schema] = {
    "type": "object",
    "properties": {"personas": {"type": "array", "items": _row("description")}, **_PAGE_RESULT},
    "required": ["personas", "notes"],
}

LIST_LIBRARY: Final[Schema] = {
    "type": "object",
    "properties": {
        "kind": _string("Which of the lists.", enum=list(KINDS)),
        "text": _string("Words to find, such as a name."),
        **_PAGE,
    },
    "required": ["kind"],
}

LIST_LIBRARY_RESULT: Final[Schema] = {
    "type": "object",
    "properties": {"rows": {"type": "array", "items": _row("type", "description")}, **_PAGE_RESULT},
    "required": ["rows", "notes"],
}

CHECK_WORKSPACE: Final[Schema] = {"type": "object", "properties": {}}

CHECK_WORKSPACE_RESULT: Final[Schema] = {
    "type": "object",
    "properties": {
        "workspaceName": {"type": "string"},
        "workspaceOId": {"type": "string"},
        "organizationName": {"type": "string"},
        "credits": {"type": "object", "description": "As Octave counts them."},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["notes"],
}
