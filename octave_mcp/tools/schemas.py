"""The published schemas, exactly as a client reads them.

They are written out because what the SDK derives from a signature (`$ref`, `anyOf` with null, `title`) makes some
clients drop the tool, or all tools of the server. A test holds them to `octave_mcp.octave.models`.
"""

from typing import Any, Final

from octave_mcp.octave.library_kinds import KINDS
from octave_mcp.personas.record import RECORD_SECTIONS
from octave_mcp.results.failures import Code, Retry

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
            "Name for the persona in Octave. Without one, a persona whose answer was lost cannot be looked for."
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
            "description": "One item for each persona: each creates exactly one, and each is paid for.",
            "items": _PERSONA,
            "minItems": 1,
        },
        "primaryOfferingOId": _string(
            "oId of the offering that is the context for the writing; it links nothing. Without it, Octave uses the "
            "workspace's company."
        ),
        "linkingStrategy": {
            "type": "object",
            "description": "Which offerings the personas are linked to in Octave's library; it does not change the "
            "writing.",
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

_NOTES: Final[Schema] = {"type": "array", "items": {"type": "string"}}

GENERATE_PERSONAS_RESULT: Final[Schema] = {
    "type": "object",
    "properties": {
        "generationId": _string("For get_generation."),
        "status": _string("failed: none was created; `failed` says whether one may exist.", enum=STATUSES),
        "personas": {"type": "array", "items": _CONDENSED_PERSONA},
        "pending": _strings("Items of the request that are being written, or wait for their turn."),
        "failed": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "personas": _string("Which items of the request."),
                    "problem": _string("What happened, and what to do."),
                    "code": {"type": "string", "enum": [code.value for code in Code]},
                    "mayExist": {"type": "boolean", "description": "Whether a persona may have been created."},
                    "retry": {"type": "string", "enum": [retry.value for retry in Retry]},
                    "retryAfterSeconds": {"type": "integer"},
                },
            },
        },
        "usage": {"type": "number", "description": "Credits charged for this call, so far if it is pending."},
        "notes": _NOTES,
    },
    "required": ["status", "personas", "notes"],
}

GET_GENERATION: Final[Schema] = {
    "type": "object",
    "properties": {
        "generationId": _string("From a result of generate_personas. Without it, the latest calls are listed."),
    },
}

_LISTED: Final[Schema] = {
    "type": "object",
    "properties": {
        "generationId": {"type": "string"},
        "at": {"type": "string"},
        "status": {"type": "string", "enum": STATUSES},
        **{
            state: {"type": "array", "items": {"type": "string"}}
            for state in ("created", "pending", "unknown", "failed")
        },
    },
}

GET_GENERATION_RESULT: Final[Schema] = {
    "type": "object",
    "properties": {
        "generationId": {"type": "string"},
        "status": {"type": "string", "enum": STATUSES},
        "personas": {"type": "array", "items": {"type": "object"}},
        "pending": {"type": "array", "items": {"type": "string"}},
        "failed": {"type": "array", "items": {"type": "object"}},
        "usage": {"type": "number"},
        "generations": {"type": "array", "items": _LISTED},
        "notes": _NOTES,
    },
    "required": ["notes"],
}

# --- Look-ups ---------------------------------------------------------------------------------------------------------

MAX_LIMIT = 100
DEFAULT_LIMIT = 20

_PAGE: Final[Schema] = {
    "limit": {"type": "integer", "description": f"Rows at most, 1 to {MAX_LIMIT}. Default {DEFAULT_LIMIT}."},
    "offset": {"type": "integer", "description": "Rows to skip."},
}
_PAGE_RESULT: Final[Schema] = {
    "total": {"type": "integer", "description": "How many there are, if Octave reported it."},
    "offset": {"type": "integer"},
    "more": _string("The call that shows more; absent at the end."),
    "notes": _NOTES,
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
    "properties": {
        "oId": {"type": "string"},
        "name": {"type": "string"},
        "leftOut": {"type": "object", "description": "How many items of each section did not fit."},
        "notes": _NOTES,
    },
}

LIST_PERSONAS: Final[Schema] = {
    "type": "object",
    "properties": {
        "text": _string("Words of a name or job title, or an acronym."),
        "offeringOId": _string("Only those linked to this offering."),
        "playbookOId": _string("Only those linked to this playbook."),
        **_PAGE,
    },
}

LIST_PERSONAS_RESULT: Final[Schema] = {
    "type": "object",
    "properties": {"personas": {"type": "array", "items": _row("description")}, **_PAGE_RESULT},
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
}

CHECK_WORKSPACE: Final[Schema] = {"type": "object", "properties": {}}

CHECK_WORKSPACE_RESULT: Final[Schema] = {
    "type": "object",
    "properties": {
        "workspaceName": {"type": "string"},
        "workspaceOId": {"type": "string"},
        "organizationName": {"type": "string"},
        "balance": {"type": "number", "description": "Credits left."},
        "credits": {"type": "object"},
        "notes": _NOTES,
    },
}
