"""An assistant played from a script: what it does next, given the tools and the tool results that it was shown."""

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


@dataclass
class Assistant:
    """Misspells a field, corrects it, collects what is still being written, and reads the last persona in full."""

    tools: dict[str, Any] = field(default_factory=dict)
    """Each tool's parameters, as the model is sent them."""
    shown: Sequence[str] = ()
    """Every tool result so far, as the model is sent it."""

    def answers(self, request: dict[str, Any]) -> str | dict[str, Any]:
        """Return the next call, or a text when the work is done, to a request for a chat completion."""
        functions = [tool["function"] for tool in request["tools"]]
        self.tools = {function["name"]: function["parameters"] for function in functions}
        self.shown = [_text(message["content"]) for message in request["messages"] if message["role"] == "tool"]
        if len(self.shown) < 2:
            return {"generate_personas": WANTED if self.shown else MISSPELT}
        last = self.shown[-1]
        if "get_generation" in last:
            return {"get_generation": {"generationId": GENERATION.findall(last)[0]}}
        return {"get_persona": {"oId": OID.findall(last)[-1]}} if "get_persona" in last else "Done."


def _text(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
