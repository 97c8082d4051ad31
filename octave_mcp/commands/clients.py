"""What each MCP client's configuration of this server looks like, and where it goes.

`octave-personas-mcp config`, the README and `examples/` all say what stands here. No secret is ever part of it: a
client that can fill one in is told the name of the variable that holds it, and the others get a
placeholder that the server refuses by name. Each client's keys are those of the source that its comment names; what a
client does not need is left out.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["BY_NAME", "CLIENTS", "KEY", "NAME", "TOKEN", "Client", "Secret", "Wanted", "configuration", "own_command"]

NAME = "octave-personas"
"""What the server is called in every configuration."""

STARTUP_SECONDS = 30
"""The server starts in about one; the first time after an update, on a busy machine, in several."""

CALL_SECONDS = 60
"""For one call, which answers within OCTAVE_MCP_WAIT_SECONDS, 45 by default."""


@dataclass(frozen=True)
class Secret:
    """Something that no configuration may hold unless its client leaves no other way."""

    variable: str
    words: str
    header: str
    scheme: str = ""

    @property
    def input(self) -> str:
        """What VS Code calls it."""
        return self.variable.lower().replace("_", "-")


KEY = Secret("OCTAVE_API_KEY", "Octave API key", "X-Octave-Api-Key")
TOKEN = Secret("OCTAVE_MCP_TOKEN", "bearer token", "Authorization", "Bearer ")


@dataclass(frozen=True)
class Wanted:
    """What a configuration is for: a process that the client starts, or, with a `url`, a server of a team's."""

    command: tuple[str, ...] = ("octave-personas-mcp",)
    sandbox: bool = False
    key_file: str | None = None
    url: str | None = None
    caller: Secret | None = TOKEN
    """What says who is calling that server."""

    @property
    def secret(self) -> Secret | None:
        """What the client has to hand on."""
        if self.url is not None:
            return self.caller
        return None if self.sandbox or self.key_file else KEY

    @property
    def arguments(self) -> list[str]:
        """What follows the program's name."""
        return [*self.command[1:], *(["--sandbox"] if self.sandbox else [])]


@dataclass(frozen=True)
class Client:
    """One client. Paths begin with `~` for the home folder; on Windows they are written as its users know them."""

    name: str
    title: str
    servers: str
    """The key under which its file lists servers."""
    home: Mapping[str, str] = field(default_factory=dict)
    """The file for all projects, by `sys.platform`; under the empty name, on any other."""
    opens: str = ""
    """What in the client itself opens that file."""
    project: str = ""
    """The file for one project, from its folder."""
    stdio: Mapping[str, str] = field(default_factory=dict)
    http: Mapping[str, str] = field(default_factory=dict)
    url: str = "url"
    fill: str = ""
    """How its file says that a variable's value belongs there; empty where it cannot."""
    bridged: bool = False
    """Its file takes no address, so a bridge speaks HTTP for it."""
    asks: bool = False
    """It asks for a secret itself, and keeps it."""
    toml: bool = False
    on_desktop: bool = False
    """It is started by a click, so that it does not see what a shell sets."""
    own: Callable[[Wanted], list[str] | None] = lambda _: None
    """The command with which it adds a server itself."""
    then: str = ""
    """What makes it see the server."""
    notes: tuple[str, ...] = ()

    def value(self, secret: Secret) -> str:
        """What stands in its file in place of a secret."""
        return self.fill.format(variable=secret.variable, input=secret.input) or f"<your {secret.words}>"

    def where(self, platform: str) -> list[str]:
        """The places where its configuration may go, the one for all projects first."""
        path = self.home.get(platform, self.home.get("", ""))
        if platform == "win32":
            path = path.replace("~", "%USERPROFILE%").replace("/", "\\")
        opened = self.opens and f"the file that {self.opens} opens"
        everywhere = f"{path} ({opened})" if path and opened else path or opened
        return [place for place in (everywhere, self.project and f"{self.project} in a project's folder") if place]


# --- What goes into a file --------------------------------------------------------------------------------------------


def configuration(client: Client, wanted: Wanted) -> str:
    """The text of a file that holds nothing else. All of it is ASCII, so that no shell and no encoding spoils it."""
    if client.toml:
        return _toml(f"{client.servers}.{NAME}", _codex_entry(wanted))
    asked = wanted.secret if client.asks else None
    inputs = {"inputs": [_question(asked)]} if asked else {}
    return json.dumps({**inputs, client.servers: {NAME: _entry(client, wanted)}}, indent=2) + "\n"


def _entry(client: Client, wanted: Wanted) -> dict[str, object]:
    """A server, as those clients write it that have JSON."""
    secret = wanted.secret
    if wanted.url is None:
        environment = {"OCTAVE_API_KEY_FILE": wanted.key_file} if wanted.key_file else {}
        if secret:
            environment = {secret.variable: client.value(secret)}
        command = {"command": wanted.command[0], "args": wanted.arguments}
        return {**client.stdio, **command, **({"env": environment} if environment else {})}
    if client.bridged:
        return _bridge(client, wanted.url, secret)
    headers = {"headers": {secret.header: f"{secret.scheme}{client.value(secret)}"}} if secret else {}
    return {**client.http, client.url: wanted.url, **headers}


def _bridge(client: Client, url: str, secret: Secret | None) -> dict[str, object]:
    """`mcp-remote`, from npm. It fills in variables itself; a space in an argument would be lost on Windows."""
    arguments = ["-y", "mcp-remote", url]
    if secret is None:
        return {"command": "npx", "args": arguments}
    header = f"{secret.header}:${{{secret.variable}}}"
    environment = {secret.variable: f"{secret.scheme}{client.value(secret)}"}
    return {"command": "npx", "args": [*arguments, "--header", header], "env": environment}


def _question(secret: Secret) -> dict[str, object]:
    return {"type": "promptString", "id": secret.input, "description": secret.words, "password": True}


def _codex_entry(wanted: Wanted) -> dict[str, object]:
    """Without `required` the first turn begins before the server is ready, and knows none of its tools."""
    secret = wanted.secret
    settings: dict[str, object] = {
        "required": True,
        "startup_timeout_sec": STARTUP_SECONDS,
        "tool_timeout_sec": CALL_SECONDS,
    }
    if wanted.url is None:
        command = {"command": wanted.command[0], "args": wanted.arguments}
        named = {"env_vars": [secret.variable]} if secret else {}
        environment = {"env": {"OCTAVE_API_KEY_FILE": wanted.key_file}} if wanted.key_file else {}
        return {**command, **named, **settings, **environment}
    if secret is TOKEN:
        return {"url": wanted.url, "bearer_token_env_var": secret.variable, **settings}
    headers = {"env_http_headers": {secret.header: secret.variable}} if secret else {}
    return {"url": wanted.url, **settings, **headers}


def _toml(name: str, table: Mapping[str, object]) -> str:
    """A table; those in it come last, each under its own heading."""
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"[{name}]", *(f"{key} = {_toml_value(value)}" for key, value in plain.items())]
    inner = [_toml(f"{name}.{key}", value) for key, value in table.items() if isinstance(value, Mapping)]
    return "\n".join([*lines, "", *inner])


def _toml_value(value: object) -> str:
    if isinstance(value, str):
        return '"' + "".join(map(_toml_character, value)) + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    return str(value).lower()


def _toml_character(character: str) -> str:
    """JSON's escapes would do, but for what it writes as two halves."""
    if character in '"\\':
        return f"\\{character}"
    return character if " " <= character <= "~" else f"\\U{ord(character):08X}"


# --- What adds a server without a file --------------------------------------------------------------------------------


def own_command(client: Client, wanted: Wanted) -> list[str] | None:
    """The client's own command for it, where it has one that can say all of this without a secret in it."""
    return client.own(wanted)


def _claude_add(wanted: Wanted) -> list[str] | None:
    entry = json.dumps(_entry(BY_NAME["claude-code"], wanted))
    return ["claude", "mcp", "add-json", "--scope", "user", NAME, entry]


def _gemini_add(wanted: Wanted) -> list[str] | None:
    client, secret = BY_NAME["gemini-cli"], wanted.secret
    start = ["gemini", "mcp", "add", "--scope", "user"]
    if wanted.url is not None:
        header = ["--header", f"{secret.header}: {secret.scheme}{client.value(secret)}"] if secret else []
        return [*start, "--transport", "http", *header, NAME, wanted.url]
    variable = f"{KEY.variable}={client.value(KEY)}" if secret else f"OCTAVE_API_KEY_FILE={wanted.key_file}"
    environment = [] if wanted.sandbox else ["--env", variable]
    arguments = ["--", *wanted.arguments] if wanted.arguments else []
    return [*start, *environment, NAME, wanted.command[0], *arguments]


def _code_add(wanted: Wanted) -> list[str] | None:
    if wanted.secret:  # it has to be asked for, which only a file can say
        return None
    return ["code", "--add-mcp", json.dumps({"name": NAME, **_entry(BY_NAME["vscode"], wanted)})]


# --- The clients ------------------------------------------------------------------------------------------------------

CLIENTS = (
    # modelcontextprotocol.io, "Connect to local MCP servers"; the bridge: mcp-remote 0.15, README.
    Client(
        name="claude-desktop",
        title="Claude Desktop",
        servers="mcpServers",
        home={
            "darwin": "~/Library/Application Support/Claude/claude_desktop_config.json",
            "win32": "%APPDATA%/Claude/claude_desktop_config.json",
        },
        opens="Settings > Developer > Edit Config",
        bridged=True,
        on_desktop=True,
        then="Quit Claude Desktop altogether, not only its window, and start it again.",
    ),
    # code.claude.com, "Connect Claude Code to tools via MCP"; Claude Code 2.1.197 itself.
    # It waits 30 seconds for a start.
    Client(
        name="claude-code",
        title="Claude Code",
        servers="mcpServers",
        project=".mcp.json",
        stdio={"type": "stdio"},
        http={"type": "http"},
        fill="${{{variable}}}",
        own=_claude_add,
        then="Start claude in that folder and agree to the server; /mcp shows it.",
    ),
    # cursor.com/docs/mcp, "Configuration locations" and "Config interpolation".
    Client(
        name="cursor",
        title="Cursor",
        servers="mcpServers",
        home={"": "~/.cursor/mcp.json"},
        project=".cursor/mcp.json",
        stdio={"type": "stdio"},
        fill="${{env:{variable}}}",
        on_desktop=True,
        then="Cursor's settings list it among the MCP servers; switch it on there.",
    ),
    # microsoft/vscode-docs, docs/copilot/reference/mcp-configuration.md and docs/copilot/customization/mcp-servers.md.
    Client(
        name="vscode",
        title="VS Code",
        servers="servers",
        opens="MCP: Open User Configuration",
        project=".vscode/mcp.json",
        stdio={"type": "stdio"},
        http={"type": "http"},
        fill="${{input:{input}}}",
        asks=True,
        on_desktop=True,
        own=_code_add,
        then="Choose Start above the server in that file, or in the command MCP: List Servers.",
    ),
    # docs.windsurf.com, "Cascade MCP integration"; docs.devin.ai, "MCP configuration", for the other agent.
    Client(
        name="windsurf",
        title="Windsurf",
        servers="mcpServers",
        home={"": "~/.codeium/windsurf/mcp_config.json"},
        url="serverUrl",
        fill="${{env:{variable}}}",
        on_desktop=True,
        then="Refresh the list of MCP servers in Cascade.",
        notes=(
            (
                "Windsurf is called Devin Desktop since June 2026. Its agent Devin Local reads mcpServers in "
                "~/.config/devin/config.json, on Windows %APPDATA%\\devin\\config.json: there an address is `url`, and "
                "a secret is best kept in a file, with --key-file."
            ),
        ),
    ),
    # zed-industries/zed, docs/src/ai/mcp.md and crates/settings_content/src/project.rs, where `args` is not optional.
    Client(
        name="zed",
        title="Zed",
        servers="context_servers",
        home={"": "~/.config/zed/settings.json", "win32": "%APPDATA%/Zed/settings.json"},
        opens="zed: open settings file",
        on_desktop=True,
        then="The Agent Panel's settings show a green dot at the server.",
        notes=("That file holds all of Zed's settings, and may have comments: add to it, do not replace it.",),
    ),
    # google-gemini/gemini-cli, docs/tools/mcp-server.md and docs/reference/configuration.md. Its limit is 10 minutes.
    Client(
        name="gemini-cli",
        title="Gemini CLI",
        servers="mcpServers",
        home={"": "~/.gemini/settings.json"},
        project=".gemini/settings.json",
        url="httpUrl",
        fill="${variable}",
        own=_gemini_add,
        then="gemini mcp list, in a folder that Gemini CLI trusts, shows whether it is connected.",
        notes=("That file holds all of Gemini CLI's settings: add to it, do not replace it.",),
    ),
    # openai/codex, codex-rs/config/src/mcp_types.rs; Codex CLI 0.169 itself. Its own command cannot say `required`.
    Client(
        name="codex-cli",
        title="Codex CLI",
        servers="mcp_servers",
        home={"": "~/.codex/config.toml"},
        project=".codex/config.toml",
        fill="{variable}",
        toml=True,
        then="codex mcp list shows it.",
        notes=("That file holds all of Codex CLI's settings: add to its end. In a project it counts once trusted.",),
    ),
)
"""Every client, in the order in which they are listed."""

BY_NAME = {client.name: client for client in CLIENTS}
