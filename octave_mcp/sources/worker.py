"""The process that converts files of a format which can be hostile: `python -m octave_mcp.sources.worker`.

It reads a line of JSON for each file from stdin (`format`, and `content` in base64), and writes a line of JSON for each
to stdout (`text` and `note`, or `problem`). Its memory and processor time are limited. It opens no file but those of
its libraries, and no connection. Its environment has no key.
"""

import base64
import json
import os
import re
import sys
from contextlib import suppress
from typing import Any

from octave_mcp.sources.documents import document_text, load_converters
from octave_mcp.sources.formats import DOCUMENTS, Format
from octave_mcp.sources.markup import email_text, html_text
from octave_mcp.sources.plain_text import NotText, check_sendable

MAX_MEMORY_BYTES = 2 * 2**30
"""Most memory of the process, where the system enforces it (Linux does): the libraries alone take some 300 MB."""

CPU_SECONDS = 120
"""Most processor time: a process that nobody waits for any more ends by itself."""

NO_MEMORY = "needs too much memory to be converted: save its text alone"
UNREADABLE = "cannot be read as {format}: it may be damaged, or protected by a password"

_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile")
_UNSENDABLE = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")
"""Characters that converters leave behind and no text has."""

_OPENING = frozenset({"open", "os.listdir", "os.scandir"})


def main() -> None:
    """Convert what comes on stdin, one file after the other."""
    _limit()
    files = [json.loads(line) for line in sys.stdin.buffer]
    if any(file["format"] in DOCUMENTS for file in files):
        with suppress(ImportError):  # each file reports it
            load_converters()
    sys.addaudithook(_refuse_access)
    for file in files:
        answer = convert(Format(file["format"]), base64.b64decode(file["content"]))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def convert(found: Format, content: bytes) -> dict[str, str]:
    """Return the text of a file and a note about it, or the problem in words."""
    try:
        if found is Format.HTML:
            text, note = html_text(content)
        elif found is Format.EMAIL:
            text, note = email_text(content)
        else:
            text, note = document_text(found, content), f"converted from {found}"
        text = _UNSENDABLE.sub("", text)
        check_sendable(text)
    except NotText as problem:
        return {"problem": str(problem)}
    except MemoryError:
        return {"problem": NO_MEMORY}
    except Exception:  # noqa: BLE001 - what such libraries raise for a damaged file is anything
        return {"problem": UNREADABLE.format(format=found)}
    return {"text": text, "note": note}


def _limit() -> None:
    with suppress(ImportError):  # Windows has no such limits
        import resource  # noqa: PLC0415 - as above

        for kind, most in ((resource.RLIMIT_AS, MAX_MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_SECONDS)):
            with suppress(OSError, ValueError):  # macOS refuses the first
                resource.setrlimit(kind, (most, most))


_LIBRARIES = tuple(os.path.realpath(folder) + os.sep for folder in {sys.prefix, sys.base_prefix, *sys.path} if folder)


def _refuse_access(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise PermissionError where a document would have a file opened, a program started or a connection made."""
    if event.startswith(_FORBIDDEN):
        raise PermissionError(event)
    if event in _OPENING and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or not f"{path}{os.sep}".startswith(_LIBRARIES):
            raise PermissionError(event)


if __name__ == "__main__":
    main()
