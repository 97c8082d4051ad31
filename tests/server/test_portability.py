"""What is published passes the rules of the strictest clients, whatever tools, prompts and templates there are."""

import copy
import json
import re
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.types import ListToolsResult, Prompt, ResourceTemplate, Tool
from support.portability import (
    INSTRUCTIONS_CHARACTERS,
    LONGEST_NAME,
    PROMPT_RULES,
    SERVER,
    TEMPLATE_RULES,
    TOOL_RULES,
    PromptRule,
    TemplateRule,
    ToolRule,
    arguments_are_described,
    arrays_have_items,
    both_schemas_are_objects,
    description_fits_claude_code,
    description_fits_openai,
    descriptions_are_plain_text,
    descriptions_within_schemas_fit_gpt_4,
    enum_values,
    enums_are_of_words,
    every_node_has_one_type,
    formats_are_those_gemini_knows,
    hints_are_all_said,
    hints_do_not_contradict,
    inner_objects_have_properties,
    keywords_are_those_all_know,
    keywords_stand_with_their_type,
    name_fits_behind_every_prefix,
    name_is_a_plain_word,
    nothing_is_null,
    prompt_is_described,
    prompt_is_named_plainly,
    properties_are_named_plainly,
    schemas_are_shallow,
    schemas_are_small,
    schemas_are_valid,
    template_is_a_uri_template,
    template_is_described,
    title_is_there,
    what_is_required_is_declared,
)
from support.tokens import o200k

from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings

pytestmark = pytest.mark.anyio

Era = Literal["auto", "legacy"]
ERAS: tuple[Era, ...] = ("auto", "legacy")

# Cursor sends a model the first 40 tools of all servers (https://github.com/getsentry/sentry-mcp-stdio/issues/3), VS
# Code 128 (https://github.com/microsoft/vscode-copilot-release/issues/11653). A quarter of the former is inferred.
MOST_TOOLS = 10

# Of all tools together, with calling forced. Source: googleapis/python-genai, issue 2133: 200 passed in each shape that
# was tried, 240 in some.
MOST_ENUM_VALUES = 200

LIST_TOKENS = 2_500  # design.md, in o200k


def connected(era: Era = "auto") -> Client:
    """A client of a fresh server. The sandbox's instructions are the longest ones."""
    return Client(build_server(Settings(sandbox=True)), mode=era)


def names(listed: ListToolsResult) -> list[str]:
    """Of the tools, in the order that they are listed in."""
    return [tool.name for tool in listed.tools]


@pytest.mark.parametrize("rule", TOOL_RULES, ids=lambda rule: rule.__name__)
async def test_no_tool_breaks_a_rule(rule: ToolRule) -> None:
    """Whatever tools are listed, to clients of both eras."""
    for era in ERAS:
        async with connected(era) as client:
            tools = (await client.list_tools()).tools
        assert tools
        assert [broken for tool in tools for broken in rule(tool)] == []


async def test_no_prompt_breaks_a_rule() -> None:
    """And each is there once."""
    for era in ERAS:
        async with connected(era) as client:
            prompts = (await client.list_prompts()).prompts
        assert [broken for prompt in prompts for rule in PROMPT_RULES for broken in rule(prompt)] == []
        assert len({prompt.name for prompt in prompts}) == len(prompts)


async def test_no_resource_template_breaks_a_rule() -> None:
    """And each is there once, by name and by address."""
    for era in ERAS:
        async with connected(era) as client:
            templates = (await client.list_resource_templates()).resource_templates
        assert [broken for template in templates for rule in TEMPLATE_RULES for broken in rule(template)] == []
        assert len({template.name for template in templates}) == len(templates)
        assert len({template.uri_template for template in templates}) == len(templates)


async def test_the_list_is_the_same_each_time() -> None:
    """A client that keeps its prompt in a cache pays for the whole of it when the order changes."""
    lists = []
    for era in ERAS:
        async with connected(era) as client:
            lists += [(await client.list_tools()).tools for _ in range(2)]
    assert [tools for tools in lists if tools != lists[0]] == []


async def test_the_tools_are_few_and_each_is_there_once() -> None:
    """They share a client's limit with the tools of every other server."""
    async with connected() as client:
        listed = await client.list_tools()
    assert len(set(names(listed))) == len(listed.tools) <= MOST_TOOLS
    assert sum(map(enum_values, listed.tools)) <= MOST_ENUM_VALUES


async def test_the_list_of_tools_is_small() -> None:
    """Many clients put all of it before every conversation."""
    async with connected() as client:
        listed = await client.list_tools()
    published = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools]
    assert o200k(json.dumps(published, ensure_ascii=False, separators=(",", ":"))) < LIST_TOKENS


async def test_the_instructions_reach_the_model_whole() -> None:
    """Claude Code cuts them beyond 2 KB."""
    for era in ERAS:
        async with connected(era) as client:
            instructions = client.instructions or ""
        assert 0 < len(instructions.encode()) <= INSTRUCTIONS_CHARACTERS
        assert "```" not in instructions


async def test_the_instructions_tell_of_no_tool_that_is_not_listed() -> None:
    """A model believes them, and calls it."""
    async with connected() as client:
        listed = await client.list_tools()
        told = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", client.instructions or ""))
    assert told
    assert told <= set(names(listed))


async def test_the_server_is_called_what_the_prefixes_are_measured_with() -> None:
    """The number that design.md gives for a tool's name follows from the longest prefix."""
    async with connected() as client:
        assert client.server_info is not None
        assert client.server_info.name == SERVER
    assert LONGEST_NAME == 21


TEXT = {"type": "string", "description": "A text."}
GOOD: dict[str, Any] = {
    "name": "find_things",
    "title": "Find things",
    "description": "Finds things.",
    "annotations": {"readOnlyHint": True, "destructiveHint": False, "openWorldHint": True},
    "inputSchema": {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "description": "Which.", "enum": ["one", "other"]},
            "limit": {"type": "integer", "description": "How many.", "minimum": 1, "maximum": 50},
            "since": {"type": "string", "description": "When.", "format": "date-time"},
            "words": {"type": "array", "description": "Words.", "items": {"type": "string", "minLength": 1}},
        },
        "required": ["kind"],
    },
    "outputSchema": {
        "type": "object",
        "properties": {
            "things": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": TEXT}, "required": ["name"]},
            },
        },
        "required": ["things"],
    },
}


def tool(**changes: Any) -> Tool:
    """The good tool with some fields changed."""
    return Tool.model_validate(copy.deepcopy(GOOD) | changes)


def taking(argument: dict[str, Any], **more: Any) -> Tool:
    """The good tool with one argument instead of its own."""
    return tool(inputSchema={"type": "object", "properties": {"argument": argument}, **more})


def giving(field: dict[str, Any]) -> Tool:
    """The good tool with one field in an object in its result."""
    inner = {"type": "object", "properties": {"field": field}}
    return tool(outputSchema={"type": "object", "properties": {"inner": inner}})


def nested(levels: int) -> dict[str, Any]:
    """Arrays in arrays, so many of them, of text."""
    return {"type": "array", "description": "Deep.", "items": nested(levels - 1)} if levels else TEXT


WRITES = {"readOnlyHint": False, "openWorldHint": True}
BAD_TOOLS: list[tuple[ToolRule, Tool]] = [
    (name_is_a_plain_word, tool(name="find things")),
    (name_is_a_plain_word, tool(name="2nd_thing")),
    (name_is_a_plain_word, tool(name="things.find")),
    (name_is_a_plain_word, tool(name="")),
    (name_is_a_plain_word, tool(name="x" * 65)),
    (name_is_a_plain_word, tool(name="find_things\n")),
    (name_fits_behind_every_prefix, tool(name="x" * 22)),
    (title_is_there, tool(title=None)),
    (title_is_there, tool(title=" ")),
    (title_is_there, tool(title="Find\nthings")),
    (hints_do_not_contradict, tool(annotations=None)),
    (hints_do_not_contradict, tool(annotations={"openWorldHint": True})),
    (hints_do_not_contradict, tool(annotations={"readOnlyHint": True, "destructiveHint": True})),
    (hints_do_not_contradict, tool(annotations=WRITES | {"destructiveHint": False})),
    (hints_do_not_contradict, tool(annotations=WRITES | {"idempotentHint": False})),
    (hints_are_all_said, tool(annotations=None)),
    (hints_are_all_said, tool(annotations={"readOnlyHint": True, "openWorldHint": True})),
    (description_fits_openai, tool(description="x" * 1025)),
    (description_fits_claude_code, tool(description="人" * 683)),
    (descriptions_are_plain_text, tool(description=None)),
    (descriptions_are_plain_text, tool(description="Finds\x1b[1m things")),
    (descriptions_are_plain_text, tool(description="Finds\u200b things")),
    (descriptions_are_plain_text, tool(description="Finds\n```\nthings\n```")),
    (descriptions_are_plain_text, taking({"type": "string", "description": ""})),
    (descriptions_are_plain_text, giving({"type": "string", "description": "Blank at the end. "})),
    (descriptions_within_schemas_fit_gpt_4, taking({"type": "string", "description": "x" * 1025})),
    (arguments_are_described, taking({"type": "string"})),
    (arguments_are_described, taking({"type": "object", "description": "An object.", "properties": {"a": {}}})),
    (both_schemas_are_objects, tool(outputSchema=None)),
    (both_schemas_are_objects, tool(outputSchema={"description": "Anything."})),
    (both_schemas_are_objects, tool(inputSchema={"type": "object"})),
    (both_schemas_are_objects, tool(inputSchema={"type": "array", "items": TEXT})),
    *[
        (both_schemas_are_objects, taking(TEXT, **{keyword: [{"required": ["argument"]}]}))
        for keyword in ("oneOf", "anyOf", "allOf", "not", "enum")
    ],
    (schemas_are_valid, taking({"type": "text"})),
    (schemas_are_valid, taking({"type": "array", "items": [TEXT]})),  # a tuple in draft 7, nothing in 2020-12
    (schemas_are_valid, giving({"type": "string", "required": True})),
    *[
        (keywords_are_those_all_know, taking(TEXT | {keyword: value}))
        for keyword, value in {
            "$ref": "#/$defs/Text",
            "additionalProperties": False,
            "anyOf": [TEXT],
            "allOf": [TEXT],
            "const": "x",
            "default": "x",
            "exclusiveMinimum": 1,
            "oneOf": [TEXT],
            "pattern": "x",
            "title": "Argument",
        }.items()
    ],
    (keywords_are_those_all_know, taking(TEXT, **{"$defs": {"Text": TEXT}})),
    (keywords_are_those_all_know, taking(TEXT, **{"$schema": "https://json-schema.org/draft/2020-12/schema"})),
    (keywords_are_those_all_know, giving(TEXT | {"title": "Field"})),
    (every_node_has_one_type, taking({"description": "Anything."})),
    (every_node_has_one_type, taking({"type": ["string", "null"]})),
    (every_node_has_one_type, taking({"type": "array", "items": {"type": "null"}})),
    (every_node_has_one_type, giving({"type": ["string"]})),
    (every_node_has_one_type, tool(inputSchema={"type": "object", "properties": {"anything": True}})),
    (nothing_is_null, taking(TEXT | {"default": None})),
    (nothing_is_null, giving({"type": "string", "enum": ["one", None]})),
    (arrays_have_items, taking({"type": "array"})),
    (arrays_have_items, giving({"type": "array", "items": {}})),
    (arrays_have_items, taking({"type": "array", "items": [TEXT]})),
    (keywords_stand_with_their_type, taking({"type": "string", "properties": {"a": TEXT}})),
    (keywords_stand_with_their_type, giving({"type": "string", "required": ["a"]})),
    (keywords_stand_with_their_type, taking({"type": "string", "items": TEXT})),
    (inner_objects_have_properties, taking({"type": "object"})),
    (inner_objects_have_properties, taking({"type": "array", "items": {"type": "object", "properties": {}}})),
    (enums_are_of_words, taking({"type": "string", "enum": []})),
    (enums_are_of_words, taking({"type": "string", "enum": ["", "one"]})),
    (enums_are_of_words, taking({"type": "string", "enum": ["one", "one"]})),
    (enums_are_of_words, taking({"type": "integer", "enum": [1, 2]})),
    (enums_are_of_words, taking({"enum": ["one"]})),
    (enums_are_of_words, giving({"type": "string", "enum": "one"})),
    (formats_are_those_gemini_knows, taking(TEXT | {"format": "uri"})),
    (formats_are_those_gemini_knows, giving({"type": "integer", "format": "date-time"})),
    (what_is_required_is_declared, taking(TEXT, required=["other"])),
    (what_is_required_is_declared, taking(TEXT, required=["argument", "argument"])),
    (what_is_required_is_declared, taking({"type": "object", "required": ["a"]})),
    (properties_are_named_plainly, tool(inputSchema={"type": "object", "properties": {"filter[name]": TEXT}})),
    (properties_are_named_plainly, giving({"type": "object", "properties": {"a name": TEXT}})),
    (properties_are_named_plainly, tool(inputSchema={"type": "object", "properties": {"x" * 65: TEXT}})),
    (schemas_are_shallow, taking(nested(5))),
    (schemas_are_small, taking({"type": "object", "properties": {f"a{number}": TEXT for number in range(100)}})),
    (schemas_are_small, taking({"type": "string", "enum": [f"{number:0100}" for number in range(150)]})),
]

ARGUMENT = {"name": "topic", "description": "About what."}
GOOD_PROMPT: dict[str, Any] = {
    "name": "ask_about",
    "title": "Ask",
    "description": "Asks about it.",
    "arguments": [ARGUMENT],
}
BAD_PROMPTS: list[tuple[PromptRule, dict[str, Any]]] = [
    (prompt_is_named_plainly, {"name": "ask about"}),
    (prompt_is_named_plainly, {"arguments": [ARGUMENT | {"name": "the topic"}]}),
    (prompt_is_named_plainly, {"arguments": [ARGUMENT, ARGUMENT]}),
    (prompt_is_described, {"title": None}),
    (prompt_is_described, {"description": None}),
    (prompt_is_described, {"arguments": [{"name": "topic"}]}),
]

GOOD_TEMPLATE = {
    "name": "thing",
    "title": "A thing",
    "description": "All of it.",
    "mimeType": "application/json",
    "uriTemplate": "things://all/{thing_id}",
}
BAD_TEMPLATES: list[tuple[TemplateRule, dict[str, Any]]] = [
    *[
        (template_is_a_uri_template, {"uriTemplate": template})
        for template in (
            "things/{thing}",
            "things://{}",
            "things://{thing",
            "things://thing}",
            "things://a thing/{thing}",
            "things://{thing-id}",
            "things://{thing}{part}",
            "things://{?thing}",
            "things://%zz/{thing}",
            "things://all",
            "things://{thing}/{thing}",
            "things://{thing}\n",
        )
    ],
    (template_is_described, {"title": None}),
    (template_is_described, {"description": ""}),
    (template_is_described, {"mimeType": None}),
]


@pytest.mark.parametrize(("rule", "bad"), BAD_TOOLS, ids=[rule.__name__ for rule, _ in BAD_TOOLS])
def test_a_tool_that_breaks_a_rule_is_found(rule: ToolRule, bad: Tool) -> None:
    """A rule that never fails proves nothing."""
    assert rule(bad) != []


@pytest.mark.parametrize(("rule", "change"), BAD_PROMPTS)
def test_a_prompt_that_breaks_a_rule_is_found(rule: PromptRule, change: dict[str, Any]) -> None:
    """And the same prompt without the change is good."""
    assert rule(Prompt.model_validate(GOOD_PROMPT | change)) != []
    assert rule(Prompt.model_validate(GOOD_PROMPT)) == []


@pytest.mark.parametrize(("rule", "change"), BAD_TEMPLATES)
def test_a_template_that_breaks_a_rule_is_found(rule: TemplateRule, change: dict[str, Any]) -> None:
    """And the same template without the change is good."""
    assert rule(ResourceTemplate.model_validate(GOOD_TEMPLATE | change)) != []
    assert rule(ResourceTemplate.model_validate(GOOD_TEMPLATE)) == []


def test_a_good_tool_breaks_no_rule() -> None:
    """So that each bad one is bad by what was changed; a write and a tool without arguments are good too."""
    nothing = {"type": "object", "properties": {}}
    write = WRITES | {"destructiveHint": False, "idempotentHint": False}
    for good in (tool(), tool(annotations=write), tool(inputSchema=nothing), tool(name="x" * 14), taking(nested(4))):
        assert [broken for rule in TOOL_RULES for broken in rule(good)] == []


def test_each_rule_is_proven_and_names_its_source() -> None:
    """The tables above have something bad for each of them."""
    proven = {rule.__name__ for rule, _ in (*BAD_TOOLS, *BAD_PROMPTS, *BAD_TEMPLATES)}
    rules = (*TOOL_RULES, *PROMPT_RULES, *TEMPLATE_RULES)
    assert {rule.__name__ for rule in rules} == proven
    assert [rule.__name__ for rule in rules if "Source: " not in (rule.__doc__ or "")] == []
