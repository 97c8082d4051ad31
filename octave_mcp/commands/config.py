"""The command `config`: print a client's configuration of this server, or write it into the client's file.

The configuration alone goes to stdout, so that it can be sent to a file; all else goes to stderr. It reads no setting,
so no key can be printed.
"""

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from octave_mcp.clients.entries import configuration
from octave_mcp.clients.files import CannotWrite, NameTaken, client_file, write_entry
from octave_mcp.clients.model import KEY, NAME, TOKEN, Client, Connection, Secret
from octave_mcp.clients.table import BY_NAME, CLIENTS
from octave_mcp.values import address_in, expand_home, this_machine

FAILED, UNUSABLE = 1, 2
"""Exit codes: the file could not be written; what was asked for contradicts itself."""

_NAMES = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Names that every client takes, and that need no quotes in TOML."""

_CACHES = {"archive-v0", "builds-v0", "environments-v2"}
"""Folders of uv's cache, in one of which `uvx` keeps the programs that it runs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.description = (
        "Print what an MCP client needs to start this server, or to reach one over HTTP, and say where it goes. The "
        "configuration goes to stdout, all else to stderr. It never holds your key: the client fills it in, or you put "
        "it in place of a placeholder."
    )
    parser.epilog = (
        "Examples: octave-personas-mcp config claude-code; octave-personas-mcp config cursor --sandbox --write; "
        "octave-personas-mcp config claude-desktop --key-file ~/octave.key --write"
    )
    parser.add_argument("client", nargs="?", metavar="CLIENT", help="the client; without it, all are listed")
    parser.add_argument("--write", action="store_true", help="add it to the client's file, and keep a backup")
    parser.add_argument("--project", action="store_true", help="with --write: the file of the project in this folder")
    parser.add_argument("--replace", action="store_true", help="with --write: replace a server of the same name")
    parser.add_argument(
        "--name", default=NAME, help="name of the server, such as one for a second workspace (default: %(default)s)"
    )
    parser.add_argument("--key-file", metavar="PATH", help="take the Octave API key from this file")
    parser.add_argument(
        "--folder", action="append", metavar="PATH", help="a folder whose files may be sources; may be repeated"
    )
    parser.add_argument(
        "--project-folder", action="store_true", help="the same for the folder of whatever project the client has open"
    )
    parser.add_argument("--http", metavar="URL", help="reach a server at this address instead of starting one")
    parser.add_argument(
        "--auth",
        choices=("token", "key", "none"),
        help="with --http: what the server wants of its callers: a bearer token, their own Octave API key, or OAuth or "
        "nothing (default: token; none for this machine)",
    )


def run(options: argparse.Namespace) -> int:
    """Print a client's configuration, or write it. Return the exit code."""
    if options.client is None:
        print("\n".join(f"{each.name:<15} {each.title}: {_places(each)}" for each in CLIENTS))
        return 0
    try:
        client = client_named(options.client)
        connection = _connection(client, options)
    except ValueError as problem:
        return _refused(str(problem), UNUSABLE)
    if options.write:
        return _write(client, connection, options)
    print(configuration(client, connection), end="", flush=True)
    print("\n".join(_advice(client, connection)), file=sys.stderr)
    return 0


def client_named(name: str) -> Client:
    """Return the client of that name. Raises ValueError, which has the nearest names."""
    wanted = "-".join(name.lower().split())
    if wanted in BY_NAME:
        return BY_NAME[wanted]
    near = [known for known in BY_NAME if wanted and known.startswith(wanted)] or get_close_matches(
        wanted, BY_NAME, n=2
    )
    known = f"did you mean {' or '.join(near)}?" if near else f"the clients are {', '.join(BY_NAME)}"
    raise ValueError(f'unknown client "{name}": {known}')


def _refused(problem: str, code: int) -> int:
    print(f"octave-personas-mcp config: {problem}", file=sys.stderr)
    return code


# --- What is asked for ------------------------------------------------------------------------------------------------


def _connection(client: Client, options: argparse.Namespace) -> Connection:
    """Return the connection that the options ask for. Raises ValueError if they contradict each other."""
    if not _NAMES.fullmatch(options.name):
        raise ValueError("--name takes up to 64 letters, digits, - and _")
    if (options.project or options.replace) and not options.write:
        raise ValueError("--project and --replace need --write")
    if options.http is not None:
        if options.sandbox or options.key_file is not None or options.folder or options.project_folder:
            raise ValueError("a server over HTTP has its own settings: only --auth and --name go with --http")
        url, caller = _address(options.http, options.auth)
        return Connection(options.name, url=url, caller=caller)
    if options.auth is not None:
        raise ValueError("--auth requires --http")
    if options.sandbox and options.key_file is not None:
        raise ValueError("--sandbox needs no key: leave --key-file out")
    return Connection(
        options.name,
        started_by(sys.argv[0], sys.executable),
        sandbox=options.sandbox,
        key_file=None if options.key_file is None else _key_file(options.key_file),
        folders=_folders(client, options),
    )


def _key_file(path: str) -> str:
    absolute = expand_home(path).absolute()
    if absolute.is_dir():
        raise ValueError(f"--key-file takes a file, and {absolute} is a folder")
    return str(absolute)


def _folders(client: Client, options: argparse.Namespace) -> tuple[str, ...]:
    folders = [expand_home(folder).absolute() for folder in options.folder or ()]
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"--folder takes a folder, and there is none at {folder}")
    if options.project_folder and not client.project_folder:
        raise ValueError(f"{client.title} has no variable for the folder of a project: name the folder with --folder")
    return (*map(str, folders), *([client.project_folder] if options.project_folder else []))


def _address(text: str, auth: str | None) -> tuple[str, Secret | None]:
    """Return the server's address, and what it wants of callers. Raises ValueError if it would give a secret away."""
    parts = address_in(text)
    if parts is None or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("--http takes an address such as https://personas.example.com/mcp, with no user and no query")
    local = this_machine(parts.hostname or "")
    caller = {"token": TOKEN, "key": KEY, "none": None}[auth or ("none" if local else "token")]
    if caller and parts.scheme == "http" and not local:
        raise ValueError(
            f"use https: over plain http the {caller.words} would be sent unencrypted (http is for this machine only)"
        )
    return parts._replace(path=parts.path.rstrip("/") or "/mcp").geturl(), caller


def started_by(started_as: str, interpreter: str) -> tuple[str, ...]:
    """Return the command that starts this program later too.

    A program that `uvx` keeps in its cache is started through `uvx`, as the cache is emptied now and then. Otherwise
    its absolute path is returned, links kept: an update moves what a link leads to, not the link.
    """
    beside = Path(interpreter).parent
    if _CACHES & set(beside.parts):
        return (shutil.which("uvx") or "uvx", *_source(), "octave-personas-mcp")
    for path in (Path(started_as), beside / "octave-personas-mcp", beside / "octave-personas-mcp.exe"):
        if path.stem == "octave-personas-mcp" and path.is_file():
            return (str(path.absolute()),)
    # -P: without it a module of the folder in which the client starts the server would come first.
    return (str(Path(interpreter).absolute()), "-P", "-m", "octave_mcp")


def _source() -> tuple[str, ...]:
    """Return uvx's options for the place from which this distribution was installed; none for a package index."""
    try:
        origin = json.loads(distribution("octave-personas-mcp").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return ()
    url = str(origin.get("url", ""))
    if "vcs_info" in origin:
        revision = origin["vcs_info"].get("requested_revision")
        return ("--from", f"{origin['vcs_info']['vcs']}+{url}" + (f"@{revision}" if revision else ""))
    return ("--from", url) if url else ()


# --- Writing ----------------------------------------------------------------------------------------------------------


def _write(client: Client, connection: Connection, options: argparse.Namespace) -> int:
    try:
        path = client_file(client, project=options.project)
    except ValueError as problem:
        return _refused(str(problem), UNUSABLE)
    if path is None:
        own = _own_command(client, connection)
        place = "for a project" if options.project else "for all projects on this platform"
        instead = f"Run instead: {own}" if own else f"Leave --write out, and add what is printed to {_places(client)}"
        return _refused(f"{client.title} has no file {place} that this command knows. {instead}", UNUSABLE)
    try:
        backup = write_entry(client, connection, path, replace=options.replace)
    except NameTaken as problem:
        return _refused(f"nothing was changed: {problem}.", FAILED)
    except CannotWrite as problem:
        print(configuration(client, connection), end="", flush=True)
        below = f"If it has {client.servers} already, add only what is below that line."
        return _refused(f"nothing was changed: {problem}. Add the above to {path} yourself. {below}", FAILED)
    kept = f" The file as it was: {backup}." if backup else ""
    print(f"{connection.name} is in {path}.{kept}", file=sys.stderr)
    print("\n".join([*client.notes, *_about_secret(client, connection), client.then]), file=sys.stderr)
    return 0


# --- What to do with it -----------------------------------------------------------------------------------------------


def _advice(client: Client, connection: Connection) -> list[str]:
    """Return what to do with the configuration: a line each."""
    own = _own_command(client, connection)
    first = f"{client.title}: run\n  {own}\nor add the above to {_places(client)}."
    lines = ["", first if own else f"{client.title}: add the above to {_places(client)}."]
    written = "" if client.format == "yaml" else " --write does it for you."
    lines.append(f"If that file has {client.servers} already, add {connection.name} to it.{written}")
    lines += client.notes
    lines += _about_secret(client, connection)
    if connection.url:
        lines.append(f"The address is {connection.url}.")
    if connection.url and client.bridged:
        lines.append(f"{client.title}'s file takes no address, so mcp-remote is between them. It needs Node.js (npx).")
    return [*lines, client.then]


def _own_command(client: Client, connection: Connection) -> str:
    """Return the client's own command as a shell of this platform takes it; empty if there is none."""
    return _as_typed(client.own(client, connection) or (), sys.platform)


def _as_typed(command: Sequence[str], platform: str) -> str:
    return subprocess.list2cmdline(command) if platform == "win32" else shlex.join(command)


def _places(client: Client) -> str:
    return ", or ".join(client.places(sys.platform))


def _about_secret(client: Client, connection: Connection) -> list[str]:
    """Return how the secret gets to the server."""
    secret = connection.secret
    if secret is None:
        missing = connection.key_file is not None and not Path(connection.key_file).is_file()
        return [_how_to_write(str(connection.key_file))] if missing else []
    in_file = "" if connection.url else " With --key-file PATH a file holds the key instead."
    if client.asks:
        return [f"{client.title} asks for the {secret.words} once, and stores it.{in_file}"]
    if client.fill:
        seen = " A program started by a click often does not see what a shell sets." if client.on_desktop else ""
        return [f"Set {secret.variable} where {client.title} is started; it passes the value on.{seen}{in_file}"]
    return [f"Put the {secret.words} in place of {client.value(secret)} in that file.{in_file}"]


def _how_to_write(path: str) -> str:
    """Return how to make a key file that nobody else can read."""
    if sys.platform == "win32":
        return f"{path} does not exist yet. Create it with only the key in it: notepad {path}"
    quoted = shlex.quote(path)
    return f"{path} does not exist yet. Run this, paste the key, press Enter and Ctrl-D: (umask 077; cat > {quoted})"
