"""The command `demo`: the real server as a subprocess, the SDK's real client, and what each side sees.

It needs no key and no network: the server runs with its sandbox.
"""

import argparse
import sys
import textwrap
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent
from pydantic import SecretStr

from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.personas.tokens import estimate
from octave_mcp.sandbox import build_sandbox

_TEXT = (
    "Our best conversations are with the CISO of a regional bank. Every quarter the auditors ask for evidence of "
    "access reviews, and her team spends three weeks collecting screenshots. She worries about vendor risk, and about "
    "alerts that nobody has time to read."
)
_NOTES = (
    "Procurement leads at manufacturers compare five vendors, want one contract, and are measured on savings. They "
    "distrust usage-based pricing, and ask who answers when the line stands still."
)
_PAGE = "https://example.com/customers/hospital-it-operations"

CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("from a text", {"personas": [{"sources": [{"type": "TEXT", "value": _TEXT}]}]}),
    ("from a page's address", {"personas": [{"sources": [{"type": "URL", "value": _PAGE}]}]}),
    (
        "linked to an offering, in the founder's voice",
        {
            "personas": [{"name": "Procurement Lead", "sources": [{"type": "TEXT", "value": _NOTES}]}],
            "primaryOfferingOId": "o_trust",
            "linkingStrategy": {"mode": "SPECIFIC", "offeringOIds": ["o_trust"]},
            "playbookOId": "pb_enterprise",
            "brandVoiceOId": "bv_founder",
        },
    ),
)
"""What the demo asks for; the oIds are the sandbox's."""

MISSPELT = {"personas": [{"sources": [{"type": "TEXT", "valeu": _NOTES}]}]}
"""As a model in a hurry would write it."""

_SHOWN = (
    ("commonJobTitles", "titles"),
    ("keyObjectives", "wants"),
    ("painPoints", "struggles with"),
    ("qualifyingQuestions", "to ask"),
)

_WIDTH = 110


def add_arguments(_: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command: none."""


def run(_: argparse.Namespace) -> int:
    """Run the demo. Return the exit code."""
    anyio.run(run_demo)
    return 0


async def run_demo() -> None:
    """Start the server, list its tools, generate three personas, and print what a person and a model would see."""
    server = StdioServerParameters(command=sys.executable, args=["-P", "-m", "octave_mcp", "--sandbox"])
    raw, condensed = 0, 0
    async with (
        Client(server) as client,
        OctaveClient("http://localhost", SecretStr("demo"), app=build_sandbox()) as octave,
    ):
        _heading("The tools that an assistant is given")
        for tool in (await client.list_tools()).tools:
            print(_wrapped(f"{tool.name}: {_first_sentence(tool.description or '')}"))
        for title, arguments in CALLS:
            result = await client.call_tool("generate_personas", arguments)
            answer = await octave.generate(GenerateRequest.model_validate(arguments), idempotency_key="demo")
            raw += estimate(answer.model_dump_json(by_alias=True, exclude_unset=True))
            text, structured = _channels(result)
            condensed += estimate(text)
            _heading(f"A persona {title}")
            print(_wrapped(f"From: {arguments['personas'][0]['sources'][0]['value']}"))
            print(_as_a_person_sees_it(structured))
        _heading("What a model sees of the last one: this text, or the same as JSON")
        print(_wrapped(text))
        _heading("What costs nothing")
        refused = await client.call_tool("generate_personas", MISSPELT)
        print(_wrapped(f"A misspelt field is refused. {_text(refused)}"))
        again = await client.call_tool("get_generation", {"generationId": structured["generationId"]})
        (persona,) = _channels(again)[1]["personas"]
        print(_wrapped(f"The last result, fetched once more, has the same persona: {_named(persona)}."))
    _heading("Tokens (estimated)")
    saved = f"{raw - condensed} fewer ({1 - condensed / raw:.0%})"
    print(f"Three answers of the API as they are: {raw}. The text that a model sees instead: {condensed}, {saved}.")
    print("All of this is the sandbox's sample data. Octave was not called, and nothing was charged.")
    print("Next: octave-personas-mcp config claude-code --sandbox")


def _first_sentence(text: str) -> str:
    return f"{text.splitlines()[0].split('. ')[0].rstrip('.')}."


def _as_a_person_sees_it(structured: dict[str, Any]) -> str:
    (persona,) = structured["personas"]
    lines = [_named(persona), _wrapped(persona.get("description", ""), indent="  ")]
    for key, label in _SHOWN:
        if items := persona.get(key, [])[:2]:
            lines.append(_wrapped(f"{label}: {'; '.join(items)}", indent="  "))
    return "\n".join(lines)


def _named(persona: dict[str, Any]) -> str:
    return f"{persona['name']} ({persona['oId']})"


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def _channels(result: CallToolResult) -> tuple[str, dict[str, Any]]:
    text = _text(result)
    if result.is_error or result.structured_content is None:
        raise RuntimeError(text)
    return text, result.structured_content


def _heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def _wrapped(text: str, *, indent: str = "") -> str:
    """Return a text in lines of the demo's width. Further lines are indented, so that first words stand out."""
    further = f"{indent}  "
    lines = (
        textwrap.fill(line, _WIDTH, initial_indent=indent, subsequent_indent=further) for line in text.splitlines()
    )
    return "\n".join(lines)
