"""The command `config`: prints an assistant's configuration of this server, and says where it goes.

The configuration alone goes to stdout, so that it can be sent to a file; all else goes to stderr. It reads no setting,
so no key can be printed. It is imported at every start, for its arguments: what it needs to run is imported then.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octave_mcp.commands.clients import Client, Secret, Wanted

__all__ = ["add_config", "program"]

UNUSABLE = 2
"""The exit code for what was asked for wrongly, as argparse has it."""


def add_config(add_parser: Callable[..., argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """The arguments of the command."""
    parser = add_parser(
        "config",
        help="print an assistant's configuration of this server, and say where it goes",
        description="Prints, with absolute paths, what an assistant needs to start this server, or to reach one over "
        "HTTP. The configuration goes to stdout, where it goes and what to do next to stderr. It never "
        "holds your key: it has the assistant fill it in, or a placeholder.",
    )
    parser.add_argument("client", nargs="?", metavar="CLIENT", help="the assistant; left out, they are listed")
    parser.add_argument("--key-file", metavar="PATH", help="take the Octave API key from this file")
    parser.add_argument("--http", metavar="URL", help="reach a server at this address, in place of starting one")
    parser.add_argument(
        "--auth",
        choices=("token", "key", "none"),
        help="how that server knows who calls: a bearer token, the caller's Octave API key, or OAuth or not at all "
        "(default: token; none on this machine)",
    )
    parser.set_defaults(command=_config)
    return parser


def _config(options: argparse.Namespace) -> int:
    from octave_mcp.commands.clients import BY_NAME, CLIENTS, configuration

    if options.client is None:
        print("\n".join(f"{each.name:<15} {each.title}: {_places(each)}" for each in CLIENTS))
        return 0
    client = BY_NAME.get(options.client)
    if client is None:
        near = get_close_matches(options.client, BY_NAME, n=1)
        meant = f": did you mean {near[0]}?" if near else f"; there are {', '.join(BY_NAME)}"
        return _refused(f"no assistant is called {options.client}{meant}")
    try:
        wanted = _wanted(options)
    except ValueError as problem:
        return _refused(str(problem))
    print(configuration(client, wanted), end="", flush=True)
    print("\n".join(_told(client, wanted)), file=sys.stderr)
    return 0


def _refused(problem: str) -> int:
    print(f"octave-personas-mcp config: {problem}", file=sys.stderr)
    return UNUSABLE


def _wanted(options: argparse.Namespace) -> "Wanted":
    """What the options ask for. Raises ValueError where they contradict each other."""
    from octave_mcp.commands.clients import Wanted

    if options.http is None:
        if options.auth is not None:
            raise ValueError("--auth says how a server over HTTP knows who calls: it needs --http")
        if options.sandbox and options.key_file is not None:
            raise ValueError("--sandbox needs no key: leave --key-file out")
        key_file = None if options.key_file is None else str(Path(options.key_file).expanduser().absolute())
        return Wanted(program(sys.argv[0], sys.executable), sandbox=options.sandbox, key_file=key_file)
    if options.sandbox or options.key_file is not None:
        raise ValueError("a server over HTTP has its own settings: leave --sandbox and --key-file out")
    url, caller = _address(options.http, options.auth)
    return Wanted(url=url, caller=caller)


def _address(text: str, auth: str | None) -> "tuple[str, Secret | None]":
    """Where the server is, and what says who calls. Raises ValueError for what is no address, or would give it away."""
    from octave_mcp.commands.clients import KEY, TOKEN
    from octave_mcp.values import address_in, this_machine

    parts = address_in(text)
    if parts is None or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("--http takes an address such as https://personas.example.com/mcp, with no user and no query")
    local = this_machine(parts.hostname or "")
    caller = {"token": TOKEN, "key": KEY, "none": None}[auth or ("none" if local else "token")]
    if caller and parts.scheme == "http" and not local:
        raise ValueError(f"the {caller.words} would travel readably: --http takes https, but to this machine")
    return parts._replace(path=parts.path.rstrip("/") or "/mcp").geturl(), caller


def program(started_as: str, interpreter: str) -> tuple[str, ...]:
    """This command with its absolute path, links kept: an update moves what a link leads to, not the link."""
    beside = Path(interpreter).parent
    for path in (Path(started_as), beside / "octave-personas-mcp", beside / "octave-personas-mcp.exe"):
        if path.stem == "octave-personas-mcp" and path.is_file():
            return (str(path.absolute()),)
    return (str(Path(interpreter).absolute()), "-m", "octave_mcp")


# --- What to do with it -----------------------------------------------------------------------------------------------


def _told(client: "Client", wanted: "Wanted") -> list[str]:
    """Where it goes, how the secret gets there, and what to do then; a line each."""
    from octave_mcp.commands.clients import NAME, own_command

    lines = ["", f"{client.title}: this goes into {_places(client)}."]
    lines.append(f"Where that file has servers already, put {NAME} beside them in {client.servers}.")
    lines += client.notes
    own = own_command(client, wanted)
    if own:
        lines.append(f"Or, without a file: {_as_typed(own, sys.platform)}")
    lines += _about_secret(client, wanted)
    if wanted.url and client.bridged:
        lines.append(
            f"{client.title}'s file takes no address: mcp-remote, which npx fetches with Node.js, stands between."
        )
    return [*lines, client.then]


def _places(client: "Client") -> str:
    return ", or ".join(client.where(sys.platform))


def _about_secret(client: "Client", wanted: "Wanted") -> list[str]:
    secret = wanted.secret
    if secret is None:
        missing = wanted.key_file is not None and not Path(wanted.key_file).is_file()
        return [f"{wanted.key_file} is not there yet: put the key into it, readable by you alone."] if missing else []
    in_file = "" if wanted.url else " With --key-file PATH a file holds the key instead."
    if client.asks:
        return [f"{client.title} asks for the {secret.words} once, and keeps it safe.{in_file}"]
    if client.fill:
        seen = " A program started by a click often does not see what a shell sets." if client.on_desktop else ""
        return [f"Set {secret.variable} where {client.title} is started: it fills it in.{seen}{in_file}"]
    return [f"Put the {secret.words} in place of {client.value(secret)}: {client.title} cannot fill it in.{in_file}"]


def _as_typed(command: Sequence[str], platform: str) -> str:
    """A command as a shell of this platform takes it."""
    return subprocess.list2cmdline(command) if platform == "win32" else shlex.join(command)
