"""The configuration files of MCP clients: find them, read them, and add a server without losing anything of them.

A file that cannot be kept as it is, such as JSON with comments, is refused: a person then adds the entry by hand.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from octave_mcp.clients.entries import configuration, document
from octave_mcp.clients.model import Client, Connection, Entry
from octave_mcp.values import expand_home

__all__ = ["CannotWrite", "NameTaken", "client_file", "read_servers", "write_entry"]

MAX_FILE_BYTES = 16_000_000
"""Bound on what is read of a file. Settings of people have some kilobytes."""

_NUMBER = re.compile(r'"\\u0000([^"\\]+)\\u0000"')
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')
_INDENT = re.compile(r"^[{\[]\r?\n([ \t]+)\S", re.MULTILINE)


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


def read_servers(client: Client, path: Path, *, lenient: bool = False) -> dict[str, Entry]:
    """Return the servers in a file by name; none if there is no file. Raises CannotWrite.

    With `lenient`, comments and trailing commas in JSON are passed over: the file is only read.
    """
    text = _text(path) if path.exists() else ""
    if lenient and client.format == "json":
        text = _TRAILING_COMMA.sub(r"\1", _COMMENT.sub(r"\1", text))
    servers = _servers(client, path, text)
    return {str(name): entry for name, entry in servers.items() if isinstance(entry, dict)}


def write_entry(client: Client, connection: Connection, path: Path, *, replace: bool = False) -> Path | None:
    """Add a connection to a client's file, which is created if there is none. Return its backup, if there was one.

    The file is replaced in one step, by one with the same permissions. A link stays a link. An entry of this name that
    says something else is only changed with `replace`. Raises CannotWrite.
    """
    if client.format == "yaml":
        raise CannotWrite(f"{client.title}'s file is YAML, which cannot be changed here without losing its comments")
    path = path.resolve()
    before = _text(path) if path.exists() else ""
    wanted = client.entry(client, connection)
    found = _servers(client, path, before).get(connection.name)
    if found == wanted:
        return None
    if found is not None and not replace:
        raise NameTaken(
            f"{path} already has a server {connection.name}, with other content. Replace it with --replace, or choose "
            "another name with --name"
        )
    changed = _with_toml if client.format == "toml" else _with_json
    after = changed(client, connection, before)
    try:
        return _replace(path, after)
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written: {error.strerror}") from None


def _with_json(client: Client, connection: Connection, before: str) -> str:
    """Return a JSON file with the connection in it; its indentation, line ends and numbers stay as they are."""
    content = _json(before, keep_numbers=True)
    addition = document(client, connection)
    content.setdefault(client.servers, {})[connection.name] = addition[client.servers][connection.name]
    if "inputs" in addition:
        inputs = content.setdefault("inputs", [])
        if not isinstance(inputs, list):
            raise CannotWrite("inputs in this file is not a list")
        known = {one.get("id") for one in inputs if isinstance(one, dict)}
        inputs += [one for one in addition["inputs"] if one["id"] not in known]
    found = _INDENT.search(before.removeprefix("\ufeff"))
    text = json.dumps(content, indent=found[1] if found else 2, ensure_ascii=False)
    text = _NUMBER.sub(lambda number: number[1], text) + "\n"
    mark = "\ufeff" if before.startswith("\ufeff") else ""
    return mark + (text.replace("\n", "\r\n") if "\r\n" in before else text)


def _with_toml(client: Client, connection: Connection, before: str) -> str:
    """Return a TOML file with the connection's table at its end."""
    if connection.name in _toml(before).get(client.servers, {}):
        raise CannotWrite(f"the table {client.servers}.{connection.name} has to be removed by hand first")
    gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
    added = f"{gap}{configuration(client, connection)}"
    after = before + (added.replace("\n", "\r\n") if "\r\n" in before else added)
    servers = _toml(after).get(client.servers, {})
    if servers.get(connection.name) != client.entry(client, connection):
        raise CannotWrite(f"{client.servers} in this file cannot be added to at its end")
    return after


# --- Reading and writing ----------------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise CannotWrite(f"{path} is too large for a configuration file")
        return content.decode("utf-8")
    except OSError as error:
        raise CannotWrite(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CannotWrite(f"{path} is not UTF-8 text") from None


def _servers(client: Client, path: Path, text: str) -> dict[str, Any]:
    """Return all that a file's text has under its servers, by name. Raises CannotWrite."""
    servers = _parsed(client, text).get(client.servers, {})
    if not isinstance(servers, dict):
        raise CannotWrite(f"{client.servers} in {path} is not an object")
    return servers


def _parsed(client: Client, text: str) -> Mapping[str, Any]:
    if client.format == "yaml":
        raise CannotWrite(f"{client.title}'s file is YAML, which is not read here")
    return _toml(text) if client.format == "toml" else _json(text)


def _toml(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except ValueError:
        raise CannotWrite("this file is not valid TOML, or its servers are given in one line") from None


def _json(text: str, *, keep_numbers: bool = False) -> dict[str, Any]:
    """Return a JSON object. With `keep_numbers` each number is its digits between two NULs, for `_NUMBER`."""

    def number(digits: str) -> str:
        return f"\0{digits}\0"

    numbers: dict[str, Any] = {"parse_int": number, "parse_float": number} if keep_numbers else {}
    if not text.strip("\ufeff \t\r\n"):
        return {}
    try:
        content = json.loads(
            text.removeprefix("\ufeff"), object_pairs_hook=_each_once, parse_constant=_refuse, **numbers
        )
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise CannotWrite(
            f"this file is not plain JSON{where}: comments, trailing commas or names that come twice would be lost"
        ) from None
    if not isinstance(content, dict):
        raise CannotWrite("this file is not a JSON object")
    return content


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _replace(path: Path, text: str) -> Path | None:
    """Replace a file, or create it and its folder. Return the backup. Raises OSError."""
    backup = None
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        backup = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}.bak")
        shutil.copy2(path, backup)
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
