"""Tokens that a model writes for one persona from a long text: the text itself, or the address of its file.

`make bench-files` runs it. Both calls are made, and what reaches Octave has to be the same.
"""

import asyncio
import json
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mcp import Client
from pydantic import SecretStr
from support.tokens import o200k
from support.upstream import by_the_page, upstream

from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings

CHARACTERS: Final = 30_000
"""Of an interview of an hour."""

GOAL: Final = 50
"""At least so many times fewer tokens."""

NAME: Final = "interviews/controller-2026-03.md"

_SPOKEN = (
    "we close the books by hand, and it takes {n} people until the {n}th of the month",
    "the auditors ask for {n} reports, of which nobody here reads more than one",
    "my team exports the invoices to a spreadsheet every {n} days and looks for what does not match",
    "I would pay for anything that saves me those {n} hours, as long as IT does not have to be asked",
    "last year a payment was made twice, {n} thousand euros, and we found it by accident",
    "what I do not want is another portal with {n} passwords",
)


@dataclass(frozen=True)
class Written:
    """Tokens (o200k) of the arguments that a model writes, with the text and with the file's address."""

    with_text: int
    with_address: int

    @property
    def times_fewer(self) -> float:
        """How many times fewer tokens the address takes."""
        return self.with_text / self.with_address


def interview() -> str:
    """Return an interview of that length, the same each time."""
    chance, lines = random.Random(17), ["# Interview with a controller\n"]
    while sum(map(len, lines)) + len(lines) < CHARACTERS:
        lines.append(f"Controller: {chance.choice(_SPOKEN).format(n=chance.randint(2, 90))}.")
    return "\n".join(lines)[:CHARACTERS]


def asking(kind: str, value: str) -> dict[str, Any]:
    """Return the arguments for one persona from one source."""
    return {"personas": [{"name": "Controller, mid-size company", "sources": [{"type": kind, "value": value}]}]}


async def measure(folder: Path) -> Written:
    """Make both calls, with the file in that folder. Raises AssertionError if they do not ask Octave for the same."""
    (folder / NAME).parent.mkdir()
    (folder / NAME).write_text(interview(), encoding="utf-8")
    calls = {"text": asking("TEXT", interview()), "address": asking("URL", f"file:{NAME}")}
    bodies = []
    for arguments in calls.values():
        async with upstream(by_the_page) as octave:
            settings = Settings(base_url=octave.url, api_key=SecretStr("k"), state_url="memory://", folders=(folder,))
            async with Client(build_server(settings)) as client:
                result = await client.call_tool("generate_personas", arguments)
            assert not result.is_error, result
            bodies += [request.json for request in octave.requests]
    assert bodies == [calls["text"]] * 2
    tokens = {name: o200k(json.dumps(arguments, ensure_ascii=False)) for name, arguments in calls.items()}
    return Written(tokens["text"], tokens["address"])


def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder)))
    met = "met" if found.times_fewer >= GOAL else "MISSED"
    print(  # noqa: T201 - the result
        f"Tokens that a model writes for a persona from {CHARACTERS:,} characters: {found.with_text:,} as text, "
        f"{found.with_address} as a file's address: 1 in {found.times_fewer:.0f} (goal: 1 in {GOAL}, {met})."
    )


if __name__ == "__main__":
    _main()
