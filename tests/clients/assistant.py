"""An assistant played from a script, for any framework: what it does next, given the tool results that it was shown.

It tells what it is shown, the tools first, as `support/program.py` reads it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

TASK = "Build two personas from my notes, and show me one in full."

WANTED = {
    "personas": [{"name": name, "sources": [{"type": "TEXT", "value": "notes"}]} for name in ("quick", "slow")],
}
MISSPELT = {"personas": [{"name": "quick", "sourcs": [{"type": "TEXT", "value": "notes"}]}]}

GENERATION = re.compile(r"\bgen_[\w-]+")
OID = re.compile(r"\bpe_\w+")


@dataclass(frozen=True)
class Call:
    """A tool call."""

    tool: str
    arguments: dict[str, Any]


@dataclass
class Assistant:
    """Misspells a field, corrects it, collects what is still being written, and reads the last persona in full."""

    told: list[str] = field(default_factory=list)

    def next_call(self, tools: dict[str, Any], shown: Sequence[str]) -> Call | None:
        """The next call; None where the work is done. `tools` has each tool's parameters."""
        if not shown:
            tell(tools=tools)
        for one in shown[len(self.told) :]:
            tell(shown=one)
        self.told = list(shown)
        if len(shown) < 2:
            return Call("generate_personas", WANTED if shown else MISSPELT)
        last = shown[-1]
        if "get_generation" in last:
            return Call("get_generation", {"generationId": GENERATION.findall(last)[0]})
        return Call("get_persona", {"oId": OID.findall(last)[-1]}) if "get_persona" in last else None


def tell(**what: Any) -> None:
    """Tell one thing."""
    print(json.dumps(what), flush=True)  # noqa: T201 - how it tells
