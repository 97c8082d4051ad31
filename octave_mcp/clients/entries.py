"""What a client's file says about this server, and what else connects them. No secret is ever part of it."""

import base64
import json
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from octave_mcp.clients.model import KEY, TOKEN, Client, Connection, Entry, Secret

STARTUP_SECONDS = 30
"""Codex's limit for a start. The server starts in about one second; after an update, on a busy machine, in several."""

GOOSE_CALL_SECONDS = 300
"""Goose's limit for a call, which has no default in a file. A call answers within `OCTAVE_MCP_WAIT_SECONDS`, 45."""


# --- A file -----------------------------------------------------------------------------------------------------------


def configuration(client: Client, connection: Connection) -> str:
    """Return the text of a file that holds nothing else. It is ASCII, so that no shell and no encoding spoils it."""
    entry = client.entry(client, connection)
    if client.format == "toml":
        return _toml(f"{client.servers}.{connection.name}", entry)
    if client.format == "yaml":
        return _yaml(document(client, connection))
    return json.dumps(document(client, connection), indent=2) + "\n"


def document(client: Client, connection: Connection) -> Entry:
    """Return the content of a file that holds nothing else."""
    entry = client.entry(client, connection)
    servers = [entry] if client.entry is continue_entry else {connection.name: entry}
    asked = connection.secret if client.asks else None
    inputs = {"inputs": [_question(asked)]} if asked else {}
    return {**inputs, client.servers: servers}


def _question(secret: Secret) -> Entry:
    return {"type": "promptString", "id": secret.input, "description": secret.words, "password": True}


# --- An entry ---------------------------------------------------------------------------------------------------------


def usual_entry(client: Client, connection: Connection) -> Entry:
    """Return an entry as most clients write it: `command`, `args` and `env`, or an address and `headers`."""
    if connection.url is None:
        entry = {**client.stdio, "command": connection.command[0], "args": connection.arguments}
        environment = _environment(client, connection)
        return {**entry, **({"env": environment} if environment else {})}
    if client.bridged:
        return _bridge(client, connection.url, connection.secret)
    headers = _headers(client, connection)
    return {**client.http, client.url: connection.url, **({"headers": headers} if headers else {})}


def opencode_entry(client: Client, connection: Connection) -> Entry:
    """Return opencode's entry: the command is one list."""
    if connection.url is not None:
        return usual_entry(client, connection)
    environment = _environment(client, connection)
    command = {"type": "local", "command": [connection.command[0], *connection.arguments]}
    return {**command, **({"environment": environment} if environment else {})}


def goose_entry(client: Client, connection: Connection) -> Entry:
    """Return Goose's entry: a secret is named only, and Goose asks its store or its environment for it."""
    start: Entry = {"name": connection.name, "enabled": True, "timeout": GOOSE_CALL_SECONDS}
    secret = connection.secret
    if connection.url is None:
        files = {"OCTAVE_API_KEY_FILE": connection.key_file} if connection.key_file else {}
        command = {"type": "stdio", "cmd": connection.command[0], "args": connection.arguments}
        return {**start, **command, "envs": files, "env_keys": [secret.variable] if secret else []}
    headers = _headers(client, connection)
    address = {"type": "streamable_http", "uri": connection.url, "envs": {}}
    return {**start, **address, "env_keys": [secret.variable] if secret else [], "headers": headers}


def continue_entry(client: Client, connection: Connection) -> Entry:
    """Return Continue's entry, which is one of a list and so has its name in it."""
    if connection.url is None:
        return {"name": connection.name, **usual_entry(client, connection)}
    headers = _headers(client, connection)
    options = {"requestOptions": {"headers": headers}} if headers else {}
    return {"name": connection.name, "type": "streamable-http", "url": connection.url, **options}


def codex_entry(_: Client, connection: Connection) -> Entry:
    """Return Codex's entry. Without `required` the first turn may begin before the server's tools are known."""
    secret = connection.secret
    settings: Entry = {"required": True, "startup_timeout_sec": STARTUP_SECONDS}
    if connection.url is None:
        command = {"command": connection.command[0], "args": connection.arguments}
        named = {"env_vars": [secret.variable]} if secret else {}
        environment = {"env": {"OCTAVE_API_KEY_FILE": connection.key_file}} if connection.key_file else {}
        return {**command, **named, **settings, **environment}
    if secret is TOKEN:
        return {"url": connection.url, "bearer_token_env_var": secret.variable, **settings}
    headers = {"env_http_headers": {secret.header: secret.variable}} if secret else {}
    return {"url": connection.url, **settings, **headers}


def _environment(client: Client, connection: Connection) -> dict[str, str]:
    if connection.key_file:
        return {"OCTAVE_API_KEY_FILE": connection.key_file}
    return {KEY.variable: client.value(KEY)} if connection.secret else {}


def _headers(client: Client, connection: Connection) -> dict[str, str]:
    secret = connection.secret
    return {secret.header: f"{secret.scheme}{client.value(secret)}"} if secret else {}


def _bridge(client: Client, url: str, secret: Secret | None) -> Entry:
    """Return an entry for npm's `mcp-remote`. It fills in variables itself, as Windows would lose a space."""
    arguments = ["-y", "mcp-remote", url]
    if secret is None:
        return {"command": "npx", "args": arguments}
    header = f"{secret.header}:${{{secret.variable}}}"
    environment = {secret.variable: f"{secret.scheme}{client.value(secret)}"}
    return {"command": "npx", "args": [*arguments, "--header", header], "env": environment}


# --- The client's own command, and a link -----------------------------------------------------------------------------


def add_claude(client: Client, connection: Connection) -> list[str] | None:
    """Return Claude Code's own command."""
    entry = json.dumps(client.entry(client, connection))
    return ["claude", "mcp", "add-json", "--scope", "user", connection.name, entry]


def add_gemini(client: Client, connection: Connection) -> list[str] | None:
    """Return Gemini CLI's own command."""
    start = ["gemini", "mcp", "add", "--scope", "user"]
    if connection.url is not None:
        headers = _headers(client, connection)
        header = [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
        return [*start, "--transport", "http", *header, connection.name, connection.url]
    environment = [word for item in _environment(client, connection).items() for word in ("--env", "=".join(item))]
    arguments = ["--", *connection.arguments] if connection.arguments else []
    return [*start, *environment, connection.name, connection.command[0], *arguments]


def add_copilot(client: Client, connection: Connection) -> list[str] | None:
    """Return Copilot CLI's own command; for an address there is only its file."""
    if connection.url is not None:
        return None
    environment = [word for item in _environment(client, connection).items() for word in ("--env", "=".join(item))]
    command = [connection.command[0], *connection.arguments]
    return ["copilot", "mcp", "add", connection.name, *environment, "--", *command]


def add_code(client: Client, connection: Connection) -> list[str] | None:
    """Return VS Code's own command; a secret has to be asked for, which only a file can say."""
    if connection.secret:
        return None
    return ["code", "--add-mcp", json.dumps({"name": connection.name, **client.entry(client, connection)})]


def install_link(client: Client, connection: Connection) -> str:
    """Return an address that adds the server to VS Code or Cursor with one click; empty for any other client."""
    entry = json.dumps(client.entry(client, connection), separators=(",", ":"))
    if client.name == "cursor":
        config = base64.b64encode(entry.encode()).decode()
        return "https://cursor.com/en/install-mcp?" + urlencode({"name": connection.name, "config": config})
    if client.name == "vscode":
        asked = {"inputs": json.dumps([_question(connection.secret)])} if connection.secret else {}
        parts = {"name": connection.name, **asked, "config": entry}
        return "https://vscode.dev/redirect/mcp/install?" + urlencode(parts, quote_via=quote)
    return ""


# --- TOML and YAML ----------------------------------------------------------------------------------------------------


def _toml(name: str, table: Mapping[str, object]) -> str:
    """Return a table; the tables in it come last, each under its own heading."""
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"[{name}]", *(f"{key} = {_value(value)}" for key, value in plain.items())]
    inner = [_toml(f"{name}.{key}", value) for key, value in table.items() if isinstance(value, Mapping)]
    return "\n".join([*lines, "", *inner])


def _value(value: object) -> str:
    """Return a text, a list, a number, a truth value or an empty table, as TOML and YAML both write it."""
    if isinstance(value, str):
        return '"' + "".join(map(_character, value)) + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return str(value).lower()


def _character(character: str) -> str:
    """Return a character as TOML and YAML escape it: JSON would write some as two halves."""
    if character in '"\\':
        return f"\\{character}"
    return character if " " <= character <= "~" else f"\\U{ord(character):08X}"


def _yaml(tree: Mapping[str, object], indent: str = "") -> str:
    """Return a mapping as YAML."""
    lines = []
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            lines.append(f"{indent}{key}:\n{_yaml(value, f'{indent}  ')}")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            items = (_yaml(item, f"{indent}    ") for item in value)
            lines.append(f"{indent}{key}:\n" + "".join(f"{indent}  - {item.lstrip()}" for item in items))
        else:
            lines.append(f"{indent}{key}: {_value(value)}\n")
    return "".join(lines)
