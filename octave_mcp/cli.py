"""The command `octave-personas-mcp`: an MCP server over stdio, and the commands in `octave_mcp.commands`.

A client waits for the server's first answer at every chat, so a command's module is imported only when it is run.
"""

import argparse
import errno
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from itertools import takewhile
from typing import Any, NoReturn

from octave_mcp import __version__
from octave_mcp.commands import COMMANDS, WITH_SANDBOX
from octave_mcp.commands.process import FAILED, INTERRUPTED
from octave_mcp.observability.environment import drop_unusable_variables
from octave_mcp.streams import prepare_standard_streams

_NO_COMMAND = re.compile(r"argument COMMAND: invalid choice: '(.*?)'")

DESCRIPTION = """\
Build buyer personas in Octave from a chat.

Without a command this is an MCP server over stdin and stdout, which your assistant starts. To try it without a key:

  octave-personas-mcp demo
  octave-personas-mcp config claude-code --sandbox
"""

EPILOG = """\
Settings come from the environment. Those that most people need:

  OCTAVE_API_KEY                    the API key of your Octave workspace (in Octave: Settings > API Keys)
  OCTAVE_API_KEY_FILE               a file that holds only the key, instead
  OCTAVE_MCP_MAX_PERSONAS_PER_CALL  most personas that one call may create (25)
  OCTAVE_MCP_MAX_PERSONAS_PER_DAY   most personas created in any 24 hours (no limit)
  OCTAVE_MCP_MAX_CREDITS_PER_DAY    most credits spent in any 24 hours (no limit)
  OCTAVE_MCP_CONFIRM                never, ask or require: ask the person before credits are spent (never)

octave-personas-mcp COMMAND --help shows the options of a command.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Return its exit code: 0; 1 if not all is well; 2 for input or settings that cannot be used.

    A signal's code is 128 and its number: 130 for Ctrl-C.
    """
    os.umask(0o077)  # what any command writes is this user's alone, from its first byte
    prepare_standard_streams()
    drop_unusable_variables()  # before anything imports OpenTelemetry
    try:
        return _run(_parser().parse_args(arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except (OSError, ExceptionGroup) as error:
        problem = _explanation(error)
        if problem is None:
            raise
        sys.stderr.write(problem)
        return FAILED
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in sys.stdlib_module_names:
            raise
        sys.stderr.write(f"octave-personas-mcp: this Python has no module {error.name}: use another Python.\n")
        return FAILED
    finally:
        _leave_stdout()


def _run(options: argparse.Namespace) -> int:
    code = int(options.run(options))
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()  # not before this is it known that stdout took everything
    return code


class _Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, and what a misspelt command or option was to be."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and end with exit code 2."""
        if found := _NO_COMMAND.search(message):
            message = f'unknown command "{found[1]}": {_meant(found[1], [*COMMANDS, *self.options()])}'
        self.exit(2, f"{self.prog}: {message}\n")

    def options(self) -> list[str]:
        """Return the long names of the options."""
        return [name for name in self._option_string_actions if name.startswith("--")]

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments, all of which have to be known: a command takes all that follow its name."""
        parsed, unknown = super().parse_known_args(args, namespace)
        self.refuse(unknown)
        return parsed, unknown

    def refuse(self, unknown: Sequence[str]) -> None:
        """Print what the first of these could be, and end with exit code 2; return if there is none."""
        name = unknown[0].partition("=")[0] if unknown else ""
        if name.startswith("-"):
            self.error(f"unknown option {name}: {_meant(name, self.options())}")
        if unknown:
            self.error(f'unexpected argument "{unknown[0]}": text with spaces has to be in quotes')


def _meant(given: str, known: Sequence[str]) -> str:
    """Return the nearest name that is known, or all of them."""
    near = get_close_matches(given, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"


class _CommandParser(_Parser):
    """The parser of one command, whose module is imported once its arguments are parsed."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Declare the command's arguments, and parse them."""
        name = self.prog.rpartition(" ")[2]
        module = import_module(f"octave_mcp.commands.{name}")
        module.add_arguments(self)
        self.set_defaults(run=module.run)
        if name in WITH_SANDBOX:  # before the command or after it; what is absent here changes nothing there
            self.add_argument("--sandbox", action="store_true", default=argparse.SUPPRESS, help="use sample data")
        # Before argparse finds that something is missing: it may be what a misspelt option was to be.
        given = [word.partition("=")[0] for word in takewhile(lambda word: word != "--", args)]
        self.refuse([name for name in given if name.startswith("--") and name not in self.options()])
        return super().parse_known_args(args, namespace)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="octave-personas-mcp",
        usage="%(prog)s [--sandbox] [--folder PATH] [COMMAND ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="version", version=f"octave-personas-mcp {__version__}")
    parser.add_argument("--sandbox", action="store_true", help="use sample data: no key, no network, no costs")
    parser.add_argument(
        "--folder", action="append", metavar="PATH", help="a folder whose files may be sources; may be repeated"
    )
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", prog="octave-personas-mcp", parser_class=_CommandParser
    )
    for name, purpose in COMMANDS.items():
        commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.", allow_abbrev=False)
    return parser


def _serve(options: argparse.Namespace) -> int:
    from octave_mcp.commands.stdio import serve_over_stdio  # noqa: PLC0415 - no other command needs it

    return serve_over_stdio(sandbox=options.sandbox, folders=options.folder)


def _explanation(error: Exception) -> str | None:
    """Return what to print if stdout takes no more or the current folder was removed; "" if stdout's reader is gone.

    Returns None for every other error.
    """
    if isinstance(error, ExceptionGroup):
        problems = [_explanation(one) for one in error.exceptions]
        return None if None in problems else max(filter(None, problems), default="")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        return "octave-personas-mcp: stdout cannot be written to: the disk is full.\n"
    if isinstance(error, FileNotFoundError) and error.filename is None:  # only a question for the folder has no name
        return "octave-personas-mcp: the current folder was removed: change to another one.\n"
    return "" if isinstance(error, BrokenPipeError) else None


def _leave_stdout() -> None:
    """Have the interpreter's own flush, at its end, find a stdout that takes it."""
    try:
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):  # closed from the start, or by its reader, or full
        with suppress(AttributeError, OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
