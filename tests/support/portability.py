"""The rules of the strictest clients, each as a function from what is published to what breaks the rule.

Each rule names its source: the vendor's document, or the thread in which a client or an API was seen to refuse. A
client may have relented since its thread was written, but nobody updates every client. One refused tool often costs the
user all of them, since the whole list goes along with each request. "Inferred" is said where a rule is ours.

Not asked for here: OpenAI's strict mode (`additionalProperties: false`, every property required). Tools of MCP servers
are sent without it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any, Final

from jsonschema import Draft7Validator, Draft202012Validator, SchemaError
from mcp.types import Prompt, ResourceTemplate, Tool

Schema = dict[str, Any]
ToolRule = Callable[[Tool], list[str]]
PromptRule = Callable[[Prompt], list[str]]
TemplateRule = Callable[[ResourceTemplate], list[str]]

SERVER: Final = "octave-personas"
"""What the server is called in the configurations that the README shows, and in its own introduction."""

NAME_CHARACTERS: Final = 64
CONNECTOR: Final = "mcp__" + "0" * 36 + "__"
"""What Claude puts before a tool of a connector that it knows by a UUID: 43 characters."""

LONGEST_NAME: Final = NAME_CHARACTERS - len(CONNECTOR)

INSTRUCTIONS_CHARACTERS: Final = 2048
"""Characters, and bytes, of the instructions that Claude Code keeps, and of a tool's description.

Source: Claude Code's documentation ("2KB each"), docs/mcp.md of the copy claude-code-docs on GitHub;
measured as characters in https://dev.to/rulestack/20-of-20-runs-sent-serverdiscover-to-our-stdio-mcp-server-off-by-default-per-the-docs-and-its-12m2
"""

DESCRIPTION_CHARACTERS: Final = 1024
DEPTH: Final = 5
PROPERTIES: Final = 100
NAMES_AND_ENUMS_CHARACTERS: Final = 15_000
TYPES: Final = frozenset({"object", "array", "string", "integer", "number", "boolean"})
KEYWORDS: Final = frozenset(
    {
        *("type", "description", "enum", "format", "properties", "required", "items"),
        *("minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum"),
    }
)
NOT_AT_THE_TOP: Final = ("oneOf", "anyOf", "allOf", "not", "enum", "if", "then", "else")

# What a client makes of the name of a tool, as `{}`, and how long that may be.
AS_CLIENTS_SAY_IT: Final = {
    # Source: https://github.com/anthropics/claude-code/issues/19882 (over 64, the session breaks; UUIDs as prefixes).
    # That only `mcp__` stands before the UUID is inferred; 21 is the number that design.md gives.
    "Claude, a connector": (CONNECTOR + "{}", NAME_CHARACTERS),
    # Source: https://github.com/ChromeDevTools/chrome-devtools-mcp/issues/1169 and
    # https://github.com/cloudflare/skills/issues/11 (the prefix has the name of the plugin and that of the server).
    "Claude Code, a plugin": (f"mcp__plugin_{SERVER}_{SERVER}__{{}}", NAME_CHARACTERS),
    # Source: microsoft/vscode, src/vs/workbench/contrib/mcp/common/mcpTypes.ts: MaxPrefixLen 18, MaxLength 64.
    "VS Code": ("mcp_" + "0" * 13 + "_{}", NAME_CHARACTERS),
    # Source: https://github.com/ComposioHQ/composio/issues/2788 (a sum of 60 is refused: "exceeds 60 characters").
    "Cursor": (SERVER + "{}", 59),
    # Source: google-gemini/gemini-cli, packages/core/src/tools/mcp-tool.ts (beyond 63 it is cut in the middle), and
    # https://zuplo.com/learn/mcp/compatibility/clients/gemini-cli.md (a prefix of `mcp_`).
    "Gemini CLI": (f"mcp_{SERVER}_{{}}", 63),
}


def name_is_a_plain_word(tool: Tool) -> list[str]:
    """A letter, then letters, digits and underscores; 64 at most.

    Source: OpenAI and Claude take ``[a-zA-Z0-9_-]{1,64}`` (https://github.com/microsoft/semantic-kernel/issues/5320;
    128 of them in newer ones, https://github.com/github/copilot-cli/issues/1879); Gemini wants a letter or an
    underscore first (ccs on GitHub, issue 25); Bedrock's agents want a letter first and no dash
    (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent_ToolSpecification.html).
    """
    return [] if re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]{0,63}", tool.name) else [f"{tool.name}: not a plain word"]


def name_fits_behind_every_prefix(tool: Tool) -> list[str]:
    """As each client says it, it stays within that client's limit.

    Source: beside each entry of `AS_CLIENTS_SAY_IT`.
    """
    said = {client: (pattern.format(tool.name), most) for client, (pattern, most) in AS_CLIENTS_SAY_IT.items()}
    return [
        f"{tool.name}: {len(name)} characters in {client}, where {most} is the most"
        for client, (name, most) in said.items()
        if len(name) > most
    ]


def title_is_there(tool: Tool) -> list[str]:
    """On one line, for the people who are asked to approve a call.

    Source: Anthropic's checklist for its directory, a mirror of anthropics/claude-plugins-official:
    https://git.lucode.dev/anthropics/claude-plugins-official/raw/commit/f4b5494fb45946c1256e883001300dad87ffa036/plugins/mcp-server-dev/skills/build-mcp-app/references/directory-checklist.md
    (which says `annotations.title`; by the specification `title` comes before it).
    """
    title = tool.title or ""
    return [f"{tool.name}: {problem}" for problem in _unplain("title", title)] + (
        [f"{tool.name}: a title of several lines"] if "\n" in title else []
    )


def hints_do_not_contradict(tool: Tool) -> list[str]:
    """Whether it only reads is said, and one that only reads is not said to destroy.

    Source: https://modelcontextprotocol.github.io/kotlin-sdk/kotlin-sdk-core/io.modelcontextprotocol.kotlin.sdk.types/-tool-annotations/index.html
    (`destructiveHint` and `idempotentHint` mean something only where `readOnlyHint` is false; left out, the tool counts
    as destructive). That a write says both is inferred.
    """
    hints = tool.annotations
    if hints is None or hints.read_only_hint is None:
        return [f"{tool.name}: does not say whether it only reads"]
    if hints.read_only_hint:
        return [f"{tool.name}: only reads, and destroys"] if hints.destructive_hint else []
    unsaid = {"destructive": hints.destructive_hint, "idempotent": hints.idempotent_hint}
    return [f"{tool.name}: writes, and does not say whether it is {hint}" for hint in unsaid if unsaid[hint] is None]


def hints_are_all_said(tool: Tool) -> list[str]:
    """The three that a submission to ChatGPT's directory needs on every tool, whatever the default would be.

    Source: openai/plugins, https://skillsauth.com/skills/openai/mcp-tool-hint-justifications
    """
    hints = tool.annotations
    said = {
        "readOnlyHint": hints and hints.read_only_hint,
        "destructiveHint": hints and hints.destructive_hint,
        "openWorldHint": hints and hints.open_world_hint,
    }
    return [f"{tool.name}: leaves {hint} out" for hint in said if said[hint] is None]


def description_fits_openai(tool: Tool) -> list[str]:
    """1,024 characters.

    Source: https://github.com/getsentry/sentry-mcp/issues/106 ("string too long" is an error 400 of the whole request).
    """
    length = len(tool.description or "")
    return [f"{tool.name}: a description of {length} characters"] if length > DESCRIPTION_CHARACTERS else []


def description_fits_claude_code(tool: Tool) -> list[str]:
    """2 KB, the rest is cut off. In bytes, the stricter reading: 1,024 characters of another script may have more.

    Source: beside `INSTRUCTIONS_CHARACTERS`; design.md (measured).
    """
    size = len((tool.description or "").encode())
    return [f"{tool.name}: a description of {size} bytes"] if size > INSTRUCTIONS_CHARACTERS else []


def descriptions_are_plain_text(tool: Tool) -> list[str]:
    """There, with no control characters, nothing invisible, no code fence, and no blanks around it.

    Source: inferred; that an empty one is replaced: microsoft/vscode-copilot-chat,
    src/extension/tools/common/toolSchemaNormalizer.ts
    """
    found = [f"{tool.name}: {problem}" for problem in _unplain("description", tool.description or "")]
    for where, node in _nodes_of(tool):
        if "description" in node:
            found += [f"{where}: {problem}" for problem in _unplain("description", node["description"])]
    return found


def descriptions_within_schemas_fit_gpt_4(tool: Tool) -> list[str]:
    """1,024 characters each.

    Source: microsoft/vscode-copilot-chat, src/extension/tools/common/toolSchemaNormalizer.ts (cut for GPT-4).
    """
    return [
        f"{where}: a description of {len(node['description'])} characters"
        for where, node in _nodes_of(tool)
        if len(str(node.get("description", ""))) > DESCRIPTION_CHARACTERS
    ]


def arguments_are_described(tool: Tool) -> list[str]:
    """Each of them, at any depth; what the items of an array are, its own description says.

    Source: https://developers.openai.com/apps-sdk/plan/tools (describe each argument).
    """
    return [
        f"{where}.{name}: not described"
        for where, node in _nodes(tool.input_schema, f"{tool.name} input")
        for name, inner in _properties(node).items()
        if not inner.get("description")
    ]


def both_schemas_are_objects(tool: Tool) -> list[str]:
    """With `properties`, be they empty, and without alternatives at the top. And both are there.

    Source: https://github.com/langchain-ai/langchainjs/issues/9804 and
    https://github.com/anthropics/claude-code/issues/45106 (alternatives at the top),
    https://github.com/containers/kubernetes-mcp-server/issues/340 (no `properties`),
    mcpx on GitHub, issue 28 (an output schema that is no object costs every tool). That ChatGPT's
    review asks for an output schema: https://www.versuz.dev/skills/openai-plugins-plugins-openai-developers-skills-chatgpt-app-submission
    """
    found = [] if tool.output_schema else [f"{tool.name}: no output schema"]
    for where, schema in _schemas(tool):
        if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
            found.append(f"{where}: not an object with properties")
        found += [f"{where}: {keyword} at the top" for keyword in NOT_AT_THE_TOP if keyword in schema]
    return found


def schemas_are_valid(tool: Tool) -> list[str]:
    """In both drafts that clients check them by.

    Source: https://github.com/anthropics/claude-code/issues/586 (Claude: 2020-12); microsoft/vscode-copilot-chat,
    src/extension/tools/common/toolSchemaNormalizer.ts (VS Code: draft 7).
    """
    found = []
    for where, schema in _schemas(tool):
        for draft in (Draft202012Validator, Draft7Validator):
            try:
                draft.check_schema(schema)
            except SchemaError as error:
                found.append(f"{where}: invalid in {draft.META_SCHEMA['$schema']}: {error.message}")
    return found


def keywords_are_those_all_know(tool: Tool) -> list[str]:
    """What JSON Schema and Gemini's subset of OpenAPI have in common, and no `title`, `default` or `pattern`.

    Source: https://ai.google.dev/api/python/google/ai/generativelanguage/Schema?authuser=0 (the fields of old), and
    https://docs.rs/google-cloud-aiplatform-v1/latest/google_cloud_aiplatform_v1/model/struct.Schema.html (those of
    today); any other is "Cannot find field", as in https://github.com/promptfoo/promptfoo/issues/6902
    (`additionalProperties`), https://github.com/zed-extensions/mcp-server-brave-search/issues/12 (`const`) and
    https://github.com/zendev-sh/goai/pull/108 (`exclusiveMinimum`, `default`). `$ref`:
    https://github.com/anomalyco/opencode/issues/12295; with `anyOf` in Azure's Foundry:
    https://github.com/microsoft-foundry/new-foundry-portal/issues/23. For the output schema: design.md.
    """
    return [f"{where}: {keyword}" for where, node in _nodes_of(tool) for keyword in sorted(node.keys() - KEYWORDS)]


def every_node_has_one_type(tool: Tool) -> list[str]:
    """By name: no list of types, no `null`, and none without.

    Source: google_workspace_mcp on GitHub, issue 1099 (Gemini: a list is an error 400);
    mcp-sequential-thinking on GitHub, issue 12 (Gemini CLI skips a tool with a type missing).
    """
    return [
        f"{where}: of type {node.get('type')!r}"
        for where, node in _nodes_of(tool)
        if not (isinstance(node.get("type"), str) and node["type"] in TYPES)
    ]


def nothing_is_null(tool: Tool) -> list[str]:
    """Neither a default, nor one of an enum's values, nor a keyword's value.

    Source: pi-commandcode-provider on GitHub, pull request 103 (`default: null` had to go for Gemini); else
    design.md.
    """
    return [
        f"{where}: {keyword} holds null"
        for where, node in _nodes_of(tool)
        for keyword, value in node.items()
        if value is None or (isinstance(value, list) and None in value)
    ]


def arrays_have_items(tool: Tool) -> list[str]:
    """A schema, not a list of schemas.

    Source: https://github.com/microsoft/vscode/issues/246119 (VS Code refuses the tool),
    https://github.com/digitalocean-labs/mcp-digitalocean/issues/265 (OpenAI refuses the request);
    https://github.com/kintone/mcp-server/issues/553 (Claude refuses a list).
    """
    return [
        f"{where}: an array without a schema of its items"
        for where, node in _nodes_of(tool)
        if node.get("type") == "array" and not (isinstance(node.get("items"), dict) and node["items"])
    ]


def keywords_stand_with_their_type(tool: Tool) -> list[str]:
    """`properties` and `required` in objects alone, `items` in arrays alone.

    Source: https://github.com/anomalyco/opencode/issues/11889 and https://github.com/anomalyco/opencode/issues/48073
    (Gemini refuses the request).
    """
    wants = {"properties": "object", "required": "object", "items": "array"}
    return [
        f"{where}: {keyword} in what is no {type_}"
        for where, node in _nodes_of(tool)
        for keyword, type_ in wants.items()
        if keyword in node and node.get("type") != type_
    ]


def inner_objects_have_properties(tool: Tool) -> list[str]:
    """Of arguments alone: what comes back may be of any shape, and no model is held to that.

    A tool without arguments is well: clients leave its empty schema out for Gemini.

    Source: mcp-obsidian on GitHub, issue 21 ("should be non-empty for OBJECT type"); the
    exception: langchain for Elixir on GitHub, pull request 183
    """
    return [
        f"{where}: an object without properties"
        for where, node in _nodes(tool.input_schema, f"{tool.name} input")
        if node is not tool.input_schema and node.get("type") == "object" and not _properties(node)
    ]


def enums_are_of_words(tool: Tool) -> list[str]:
    """Strings that are not empty, each once, in what is of type string.

    Source: PasClaw on GitHub, pull request 294 (Gemini: "cannot be empty"),
    https://github.com/microsoft/azure-devops-mcp/issues/145 (numbers), 9router on GitHub, pull request 380
    ("only allowed for STRING type"). That each is there once: JSON Schema.
    """
    return [
        f"{where}: an enum of {node['enum']!r}, of type {node.get('type')!r}"
        for where, node in _nodes_of(tool)
        if "enum" in node and not (node.get("type") == "string" and _are_words(node["enum"]))
    ]


def formats_are_those_gemini_knows(tool: Tool) -> list[str]:
    """Of a string: `date-time`, and no other (`enum` is Gemini's own).

    Source: https://firebase.google.com/docs/reference/js/ai.schemashared (any other makes the request fail).
    """
    return [
        f"{where}: of format {node['format']!r}"
        for where, node in _nodes_of(tool)
        if "format" in node and (node.get("type"), node["format"]) != ("string", "date-time")
    ]


def what_is_required_is_declared(tool: Tool) -> list[str]:
    """Each once, and among the properties of the same object.

    Source: AIStudioToAPI on GitHub, issue 154 (Gemini: "property is not defined").
    """
    return [
        f"{where}: requires {node['required']!r}"
        for where, node in _nodes_of(tool)
        if "required" in node
        and not (_are_words(node["required"]) and set(node["required"]) <= _properties(node).keys())
    ]


def properties_are_named_plainly(tool: Tool) -> list[str]:
    """Letters, digits, underscore, dot and dash; 64 at most. At every depth, though only the top was seen refused.

    Source: appstore-connect-mcp on GitHub, issue 2 (Claude); measured for Bedrock in
    https://github.com/aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws/issues/709
    """
    return [
        f"{where}: a property named {name!r}"
        for where, node in _nodes_of(tool)
        for name in _properties(node)
        if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", name)
    ]


def schemas_are_shallow(tool: Tool) -> list[str]:
    """Five levels of objects and arrays, counted the strictest way, each of them one and the top too.

    Source: https://github.com/tidyverse/ellmer/issues/671 ("6 levels of nesting exceeds limit of 5", OpenAI's
    structured outputs; ten today: https://jsonschemaprofiles.unitvectorylabs.com/schemas/openai). Gemini has
    a limit for functions too, and does not tell it: https://github.com/google-gemini/gemini-cli/issues/5923
    """
    return [f"{where}: {depth} levels" for where, schema in _schemas(tool) if (depth := _depth(schema)) > DEPTH]


def schemas_are_small(tool: Tool) -> list[str]:
    """100 properties; 15,000 characters of names and of enums' values.

    Source: https://community.openai.com/t/measuring-maximum-depth-and-object-properties-in-structured-outputs/918388
    (100 in 2024; 5,000 today, and 15,000 characters for one long enum:
    https://jsonschemaprofiles.unitvectorylabs.com/schemas/openai). 15,000 for all of them is inferred.
    """
    found = []
    for where, schema in _schemas(tool):
        names = [name for _, node in _nodes(schema, where) for name in _properties(node)]
        size = sum(map(len, names + [str(value) for value in _enum_values(schema)]))
        if len(names) > PROPERTIES:
            found.append(f"{where}: {len(names)} properties")
        if size > NAMES_AND_ENUMS_CHARACTERS:
            found.append(f"{where}: {size} characters of names and enums")
    return found


TOOL_RULES: Final[tuple[ToolRule, ...]] = (
    name_is_a_plain_word,
    name_fits_behind_every_prefix,
    title_is_there,
    hints_do_not_contradict,
    hints_are_all_said,
    description_fits_openai,
    description_fits_claude_code,
    descriptions_are_plain_text,
    descriptions_within_schemas_fit_gpt_4,
    arguments_are_described,
    both_schemas_are_objects,
    schemas_are_valid,
    keywords_are_those_all_know,
    every_node_has_one_type,
    nothing_is_null,
    arrays_have_items,
    keywords_stand_with_their_type,
    inner_objects_have_properties,
    enums_are_of_words,
    formats_are_those_gemini_knows,
    what_is_required_is_declared,
    properties_are_named_plainly,
    schemas_are_shallow,
    schemas_are_small,
)


def prompt_is_named_plainly(prompt: Prompt) -> list[str]:
    """It, and each of its arguments, once: a client makes a command of it.

    Source: microsoft/vscode, src/vs/workbench/contrib/mcp/common/mcpTypes.ts (`mcpPromptReplaceSpecialChars`: any other
    character becomes an underscore). That a name begins with a letter and has no dot is inferred.
    """
    names = [argument.name for argument in prompt.arguments or []]
    found = [name for name in (prompt.name, *names) if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}", name)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    return [f"{prompt.name}: {name!r} is not a plain name" for name in found] + [
        f"{prompt.name}: {name!r} twice" for name in repeated
    ]


def prompt_is_described(prompt: Prompt) -> list[str]:
    """With a title, and each of its arguments.

    Source: inferred; the menu of commands shows these to a person.
    """
    found = _unplain("title", prompt.title or "") + _unplain("description", prompt.description or "")
    for argument in prompt.arguments or []:
        found += [f"{argument.name}: {problem}" for problem in _unplain("description", argument.description or "")]
    return [f"{prompt.name}: {problem}" for problem in found]


PROMPT_RULES: Final[tuple[PromptRule, ...]] = (prompt_is_named_plainly, prompt_is_described)


def template_is_a_uri_template(template: ResourceTemplate) -> list[str]:
    """A scheme, then text and simple expressions, each variable once, none straight behind another.

    Source: RFC 6570, sections 2.1 (what a literal may not have) and 2.3 (names of variables); its first level alone,
    since servers and clients stop there: https://raw.githubusercontent.com/devframes/devframe/06d41e39cbabae154ee22addba98c881f2e1c0b0/docs/content/6.errors/DF0084.md
    """
    uri = template.uri_template
    variable = r"\{(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:\.?(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*\}"
    literal = r"(?:[^\x00-\x20\x7f\"'%<>\\^`{|}]|%[0-9A-Fa-f]{2})+"
    found = []
    if not re.fullmatch(rf"[a-z][a-z0-9+.-]*:{literal}(?:{variable}{literal})*(?:{variable})?", uri):
        found.append(f"{template.name}: {uri!r} is no URI template of level 1")
    variables = re.findall(r"\{(.*?)\}", uri)
    if len(set(variables)) != len(variables) or not variables:
        found.append(f"{template.name}: {uri!r} has no variables, or one of them twice")
    return found


def template_is_described(template: ResourceTemplate) -> list[str]:
    """With a title, and the type of what it gives.

    Source: inferred; the type, since without it a client cannot tell text from bytes before it reads.
    """
    found = _unplain("title", template.title or "") + _unplain("description", template.description or "")
    if not re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", template.mime_type or ""):
        found.append(f"of the type {template.mime_type!r}")
    return [f"{template.name}: {problem}" for problem in found]


TEMPLATE_RULES: Final[tuple[TemplateRule, ...]] = (template_is_a_uri_template, template_is_described)


def enum_values(tool: Tool) -> int:
    """How many there are in the tool's input schema."""
    return len(_enum_values(tool.input_schema))


def _schemas(tool: Tool) -> Iterator[tuple[str, Schema]]:
    yield f"{tool.name} input", tool.input_schema
    if tool.output_schema:
        yield f"{tool.name} output", tool.output_schema


def _nodes_of(tool: Tool) -> Iterator[tuple[str, Schema]]:
    for where, schema in _schemas(tool):
        yield from _nodes(schema, where)


def _nodes(schema: Schema, where: str) -> Iterator[tuple[str, Schema]]:
    """The schema and all within it, each with its place. Alternatives are not entered: they are forbidden as such."""
    yield where, schema
    for name, inner in _properties(schema).items():
        yield from _nodes(inner, f"{where}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from _nodes(schema["items"], f"{where}[]")


def _properties(schema: Schema) -> dict[str, Schema]:
    """Each a schema: `true`, which is one too, as the empty one that it stands for."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {name: inner if isinstance(inner, dict) else {} for name, inner in properties.items()}


def _depth(schema: Schema) -> int:
    within = [*_properties(schema).values(), *([schema["items"]] if isinstance(schema.get("items"), dict) else [])]
    return (schema.get("type") in ("object", "array")) + max(map(_depth, within), default=0)


def _enum_values(schema: Schema) -> list[Any]:
    return [value for _, node in _nodes(schema, "") for value in node.get("enum") or ()]


def _are_words(values: Any) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(value, str) and value.strip() for value in values)
        and len(set(values)) == len(values)
    )


def _unplain(what: str, text: Any) -> list[str]:
    if not isinstance(text, str) or not text.strip():
        return [f"no {what}"]
    found = [f"{what} with {char!r}" for char in sorted(set(text) - {"\n"}) if unicodedata.category(char)[0] == "C"]
    if "```" in text or "~~~" in text:
        found.append(f"{what} with a code fence")
    if text != text.strip():
        found.append(f"{what} with blanks around it")
    return found
