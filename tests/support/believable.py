"""Records of people whom a go-to-market team would write down, and what a reader of each would miss.

They are in `believable_records`, a file each, all invented: different work, countries and languages, short and long
items, questions of every weight in no order. `missed` in a file is a person's judgement, made from the record alone:
the first words of what would be missed most, and of what would be missed least.

`python -m support.believable`, with `tests` on the path, prints how each is condensed, for a person to judge.
"""

import re
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from octave_mcp.octave.models import Persona
from octave_mcp.octave.sections import LIST_SECTIONS
from octave_mcp.personas.summary import Condensed, condense

FOLDER = Path(__file__).parent / "believable_records"

ROOMY = 20_000
"""A budget in estimated tokens, larger than all of them together take."""

LISTS = tuple(section.key for section in LIST_SECTIONS)

_DATE = "2026-03-04T05:06:07.000Z"


@dataclass(frozen=True)
class Believable:
    """A record, and what a reader of it would miss."""

    record: dict[str, Any]
    most: tuple[str, ...]
    """The first words of items that a reader would miss most."""
    least: tuple[str, ...]
    """The first words of items that a reader would miss least."""

    @property
    def persona(self) -> Persona:
        """Return the record as the client would have read it."""
        return Persona.model_validate(self.record)

    def items(self, key: str) -> list[str]:
        """Return the record's items of a section, whole and in its order."""
        data = self.record["data"]
        if key == "description":
            return re.split(r"(?<=[.!?]) +(?=[^a-z])|(?<=[。])(?=.)", self.record["description"])
        if key in LISTS:
            return list(data.get(key, []))
        if key == "customFields":
            return [f"{one['title']}: {', '.join(one['value'])}" for one in data.get(key, []) if one["value"]]
        fit = {"qualifyingQuestions": "GOOD", "disqualifyingQuestions": "BAD"}[key]
        return [one["question"] for one in self.questions(fit)]

    def questions(self, fit: str) -> list[dict[str, Any]]:
        """Return the questions of a fit that are not archived, in the record's order."""
        asked: list[dict[str, Any]] = self.record["qualifyingQuestions"]
        return [one for one in asked if one["fitType"] == fit and not one.get("archivedAt")]

    def whole(self, beginning: str) -> str:
        """Return the one item of the record that begins so."""
        every = [item for key in LISTS for item in self.items(key)]
        every += [one["question"] for one in self.record["qualifyingQuestions"]]
        # A title may be the beginning of another.
        found = [item for item in every if item == beginning] or [item for item in every if item.startswith(beginning)]
        assert len(found) == 1, (beginning, found)
        return found[0]


def _read(number: int, path: Path) -> Believable:
    read = tomllib.loads(path.read_text(encoding="utf-8"))
    missed = read.pop("missed")
    record = {
        "oId": f"pe_{path.stem[:4]}{number:02d}",
        "createdAt": _DATE,
        "deletedAt": None,
        "archivedAt": None,
        "updatedAt": _DATE,
        "unrecognized": False,
        "rejected": False,
        "active": True,
        "user": {"oId": "u_1234", "firstName": "Sam", "lastName": "Example"},
        "workspace": {"oId": "wa_1234"},
    } | read
    return Believable(record, tuple(missed["most"]), tuple(missed["least"]))


BELIEVABLE = tuple(_read(number, path) for number, path in enumerate(sorted(FOLDER.glob("*.toml"))))


@cache
def rungs() -> list[list[Condensed]]:
    """Return all of them condensed together, in less and less room, until only names are left: a list for each room."""
    people = [one.persona for one in BELIEVABLE]
    shown: list[list[Condensed]] = []
    room = ROOMY
    while not shown or shown[-1][0].items:
        shown.append(condense(people, room)[0])
        room = room * 9 // 10
    return shown


def summaries(one: Believable) -> list[Condensed]:
    """Return the persona as it is shown in less and less room."""
    place = BELIEVABLE.index(one)
    return [rung[place] for rung in rungs()]


def _table() -> str:
    """Return the first persona as it is shown alone, the first three together, and all together."""
    people = [one.persona for one in BELIEVABLE]
    shown = [condense(people[:count], 5700) for count in (1, 3, len(people))]
    return "\n\n".join("\n\n".join([*(one.text() for one in some), note]) for some, note in shown)


if __name__ == "__main__":
    sys.stdout.write(f"{_table()}\n")
