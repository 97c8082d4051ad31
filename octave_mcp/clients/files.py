"""The configuration files of MCP clients: find them, read them, and add a server without losing anything of them.

A file that cannot be added to without a loss, such as YAML, is refused: a person then adds the entry by hand.
"""

import json
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from octave_mcp.clients.entries import configuration, document
from octave_mcp.clients.json_text import parsed, with_item, with_member
from octave_mcp.clients.model import Client, Connection, Entry
from octave_mcp.values import expand_home

MAX_FILE_BYTES = 16_000_000
"""Bound on what is read of a file. Settings of people have some kilobytes."""


class CannotWrite(Exception):
    """The file cannot be read, or not be changed without a loss. Nothing was changed, and the text says why."""


class NameTaken(CannotWrite):
    """The file has a server of this name that says something else."""


def client_file(client: Client, *, project: bool = False) -> Path | None:
    """Return the file of a client: for all projects, or for the project in this folder; None if it has none here.

    Raises ValueError if the home folder is not known.
    """
    text = client.project if project else client.file(sys.platform)
    return expand_home(os.path.expandvars(text)).absolute() if text else None


def read_servers(client: Client, path: Path) -> dict[str, Entry]:
    """Return the servers in a file by name; none if there is no file. Raises CannotWrite.

    Comments and trailing commas in JSON are passed over: whether the client allows them is seen when it starts.
    """
    servers = _servers(client, path, _parsed(client, _text(path), lenient=True))
    return {str(name): entry for name, entry in servers.items() if isinstance(entry, dict)}


def write_entry(client: Client, connection: Connection, path: Path, *, replace: bool = False) -> Path | None:
    """Add a connection to a client's file, which is created if there is none. Return its backup, if there was one.

    The file is replaced in one step, by one with the same permissions. A link stays a link. An entry of this name that
    says something else is only changed with `replace`. Raises CannotWrite.
    """
    if client.format == "yaml":
        raise CannotWrite(f"{client.title}'s file is YAML, which cannot be changed here without losing its comments")
    try:
        path = path.resolve()
    except (OSError, RuntimeError):  # Python 3.13 raises the one, those before it the other
        raise CannotWrite(f"{path} cannot be read: its links lead nowhere") from None
    before = _text(path)
    content = _parsed(client, before)
    servers = _servers(client, path, content)
    wanted = client.entry(client, connection)
    found = servers.get(connection.name)
    if found == wanted:
        return None
    if found is not None and not replace:
        raise NameTaken(
            f"{path} already has a server {connection.name}, with other content. Replace it with --replace, or choose "
            "another name with --name"
        )
    if client.format == "toml":
        after = _with_toml(client, connection, before)
    else:
        after = _with_json(client, connection, before, content)
    expected = content | {client.servers: servers | {connection.name: wanted}}
    # VS Code's questions for values are in `inputs`, where one may be new. All else has to be as it was.
    if {**_parsed(client, after), "inputs": None} != {**expected, "inputs": None}:
        raise CannotWrite(f"{client.servers} in this file cannot be added to without changing something else")
    try:
        return _replace(path, after)
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written: {error.strerror}") from None


def _with_json(client: Client, connection: Connection, before: str, content: Mapping[str, Any]) -> str:
    """Return a JSON file's text with the connection in it. Nothing else in it changes."""
    addition = document(client, connection)
    text = before if before.strip("\ufeff \t\r\n") else "{}\n"
    text = with_member(text, (client.servers, connection.name), addition[client.servers][connection.name])
    inputs = content.get("inputs", [])
    for one in addition.get("inputs", ()):
        if not isinstance(inputs, list):
            raise CannotWrite("inputs in this file is not a list")
        if one["id"] not in {known.get("id") for known in inputs if isinstance(known, dict)}:
            text = with_item(text, ("inputs",), one) if "inputs" in content else with_member(text, ("inputs",), [one])
    return text


def _with_toml(client: Client, connection: Connection, before: str) -> str:
    """Return a TOML file's text with the connection's table at its end, and without another of its name."""
    kept: list[str] = []
    dropped = False
    tail: list[str] = []
    for line in before.splitlines(keepends=True):
        if line.lstrip().startswith("["):
            dropped = _is_table_of(line, client.servers, connection.name)
            kept += tail
            tail = []
        if not dropped:
            kept.append(line)
        elif line.strip() and not line.lstrip().startswith("#"):
            tail = []
        else:  # before the next table: a comment there may be about that one
            tail.append(line)
    text = "".join(kept + tail)
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    added = f"{gap}{configuration(client, connection)}"
    return text + (added.replace("\n", "\r\n") if "\r\n" in before else added)


def _is_table_of(line: str, servers: str, name: str) -> bool:
    """Return whether a line begins the table of this server, or one in it."""
    try:
        return name in tomllib.loads(line).get(servers, {})
    except ValueError:
        return False


# --- Reading and writing ----------------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    """Return the text of a file; empty if there is none. Raises CannotWrite."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise CannotWrite(f"{path} is too large for a configuration file")
        return content.decode("utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise CannotWrite(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CannotWrite(f"{path} is not UTF-8 text") from None


def _servers(client: Client, path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that a file has under its servers, by name. Raises CannotWrite."""
    servers = content.get(client.servers, {})
    if not isinstance(servers, dict):
        raise CannotWrite(f"{client.servers} in {path} is not an object")
    return servers


def _parsed(client: Client, text: str, *, lenient: bool = False) -> dict[str, Any]:
    """Return what a file's text holds. Raises CannotWrite."""
    if client.format == "yaml":
        raise CannotWrite(f"{client.title}'s file is YAML, which is not read here")
    try:
        if client.format == "toml":
            return tomllib.loads(text.removeprefix("\ufeff"))
        content = parsed(text, lenient=lenient or client.comments)
    except (ValueError, RecursionError) as error:
        if client.format == "toml":
            raise CannotWrite("this file is not valid TOML, or its servers are given in one line") from None
        where = f"line {error.lineno} of this file" if isinstance(error, json.JSONDecodeError) else "this file"
        twice = "" if isinstance(error, json.JSONDecodeError) else ", or has a name twice"
        rule = "" if client.comments else " (comments, and commas before a closing bracket, are not)"
        raise CannotWrite(f"{where} is not valid JSON{twice}{rule}") from None
    if not isinstance(content, dict):
        raise CannotWrite("this file is not a JSON object")
    return content


def _replace(path: Path, text: str) -> Path | None:
    """Replace a file, or create it and its folder. Return the backup. Raises OSError."""
    backup = None
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.open("r+b").close()  # a file that is for reading only is to stay as it is
        prefix = f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}."
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".bak")  # never in place of another
        os.close(handle)
        backup = Path(shutil.copy2(path, name))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - it is a descriptor
            file.write(text.encode())
        if backup:
            shutil.copymode(path, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return backup
