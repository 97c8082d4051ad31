"""Hosts that call the tools as assistants do: the same again, edited, several at once, given up, and killed."""

import asyncio
import random
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import Client
from mcp.types import CallToolResult, TextContent

CALL_SECONDS, LIFE_SECONDS = 20.0, 90.0
"""Bounds that nothing should come near: of a call, and of a client."""

NAMES = [f"Persona {letter}" for letter in "ABCDEF"]

Start = Callable[[], AbstractAsyncContextManager[Client]]
"""Starts a server, or connects to one that is there."""


@dataclass
class Seen:
    """Everything that clients received."""

    foreign: str = ""
    """A mark of what belongs to another tenant, which nothing may have."""
    oids: set[str] = field(default_factory=set)
    generations: set[str] = field(default_factory=set)
    not_created: set[tuple[str, int]] = field(default_factory=set)
    """The generation and position of each persona that a result said does not exist."""
    problems: list[str] = field(default_factory=list)

    def take(self, result: CallToolResult, *, refusals: bool) -> None:
        """Note a result. `refusals`: a call may be refused as a whole, as the database has faults."""
        text = "".join(block.text for block in result.content if isinstance(block, TextContent))
        content = result.structured_content
        if self.foreign and self.foreign in result.model_dump_json():
            self.problems.append(f"another tenant's: {result.model_dump_json()}")
        if not isinstance(content, dict) or "generationId" not in content:
            if not refusals and result.is_error and "shutting down" not in text:
                self.problems.append(f"a call was refused: {text}")
            return
        self.generations.add(content["generationId"])
        for persona in content["personas"]:
            self.oids.add(persona["oId"])
            if persona["oId"] not in text:
                self.problems.append(f"{persona['oId']} is not in the text of its result")
        for one in content.get("failed", ()):
            if one.get("mayExist") is False:
                self.not_created |= {(content["generationId"], place) for place in positions(one["personas"])}


def positions(text: str) -> list[int]:
    """Return the positions in words such as `personas[0], personas[3] to personas[9]`."""
    runs = re.findall(r"personas\[(\d+)\](?:[^,]*? to personas\[(\d+)\])?", text)
    return [place for first, last in runs for place in range(int(first), int(last or first) + 1)]


def asking_for(chance: random.Random, names: list[str]) -> dict[str, Any]:
    """Return arguments for a persona of each name; now and then without the name, or from other notes."""
    personas = []
    for name in names:
        persona = {
            "name": name,
            "sources": [{"type": "TEXT", "value": chance.choice(["notes"] * 5 + ["edited notes"])}],
        }
        if chance.random() < 0.05:
            del persona["name"]
        personas.append(persona)
    return {"personas": personas}


class Host:
    """A host: starts servers on one ledger, one after the other, and calls their tools."""

    def __init__(
        self, seen: Seen, chance: random.Random, *, patient: bool, lossy: bool = False, refusals: bool = False
    ) -> None:
        """Note what comes in `seen`. A patient host waits for each call to its end.

        `lossy`: a connection to its server may break. `refusals`: the database has faults.
        """
        self.seen = seen
        self._chance = chance
        self._patient = patient
        self._lossy = lossy
        self._refusals = refusals
        self._calls: list[asyncio.Task[None]] = []
        self._gone = False

    async def live(self, start: Start, steps: int, *, kill: Callable[[], None] | None = None) -> None:
        """Start a server, call some tools, some at once, and end it, maybe with calls in progress."""
        self._gone = False
        with anyio.fail_after(LIFE_SECONDS):
            async with start() as client:
                for _ in range(steps):
                    call = asyncio.create_task(self._step(client))
                    self._calls.append(call)
                    if self._chance.random() < 0.6:
                        await asyncio.wait([call])
                    else:
                        await asyncio.sleep(self._chance.uniform(0, 0.1))
                if kill:
                    await asyncio.sleep(self._chance.uniform(0, 0.5))
                    self._gone = True
                    kill()
                elif self._patient:
                    await asyncio.gather(*self._calls)
                self._gone = True
            await self.finish()

    async def finish(self) -> None:
        """Return when no call is in progress any more."""
        await asyncio.gather(*self._calls, return_exceptions=self._lossy)
        self._calls.clear()

    async def _step(self, client: Client) -> None:
        chance = self._chance
        patience = None if self._patient or chance.random() < 0.7 else chance.choice([0.0, 0.01, 0.05, 0.15])
        if chance.random() < 0.65:
            some = chance.choices if chance.random() < 0.1 else chance.sample  # equal items now and then
            arguments = asking_for(chance, some(NAMES, k=chance.randint(1, 4)))
            await self.call(client, "generate_personas", arguments, patience=patience)
        elif self.seen.generations and chance.random() < 0.6:
            one = chance.choice(sorted(self.seen.generations))
            await self.call(client, "get_generation", {"generationId": one}, patience=patience)
        else:
            await self.call(client, "get_generation", {}, patience=patience)

    async def call(
        self, client: Client, tool: str, arguments: dict[str, Any], *, patience: float | None = None
    ) -> None:
        """Call a tool and note its result, or give it up when patience ends."""
        call = asyncio.create_task(client.call_tool(tool, arguments))
        await asyncio.wait([call], timeout=CALL_SECONDS if patience is None else patience)
        if not call.done():
            call.cancel()
            await asyncio.wait([call], timeout=CALL_SECONDS)
            if patience is None:
                self.seen.problems.append(f"{tool} took longer than {CALL_SECONDS} s")
        if call.done() and not call.cancelled():
            if (error := call.exception()) is None:
                self.seen.take(call.result(), refusals=self._refusals)
            elif not self._gone and not self._lossy:
                self.seen.problems.append(f"{tool} raised {error!r}")
