"""A count of what was bought against what is recorded and told, while everything goes wrong, in the manner of Jepsen.

An upstream journals each persona that it makes and answers as chance has it; several clients ask for the same few
personas, give up, hang up, start anew or are killed; then everything left is collected, and journal, ledger and what
the clients received have to agree. Chance is seeded; what runs at once is ordered by the machine, so that a seed makes
a failure likely to come again, not certain.
"""

import asyncio
import json
import os
import random
import re
import signal
import sqlite3
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent
from pydantic import SecretStr
from support.command import unmeasured
from support.upstream import Request, Upstream, answer, error_envelope, metadata, timestamp, upstream

from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings

KEY = "sk-canary-0123456789"
LEASE_SECONDS = 0.5
"""In place of thirty, in this process; in a process of its own, twice that."""

CALL_SECONDS, LIFE_SECONDS, COLLECT_SECONDS = 15.0, 60.0, 30.0
"""Bounds that nothing should come near: of a call, of a client, and of collecting what is left."""

PROGRAM = f"""
import os, sys
import octave_mcp.generation.throttle as lane
import octave_mcp.generation.recovery as reconciliation
import octave_mcp.generation.service as runner
import octave_mcp.generation.sqlite_operations as operations
from octave_mcp.cli import main
operations.LEASE_SECONDS = runner.LEASE_SECONDS = {2 * LEASE_SECONDS}
lane.UNREACHABLE_PAUSE_SECONDS = lane.BUSY_PAUSE_SECONDS = 0.001
reconciliation.LOOKS = (0.0, 0.1)
with open(os.environ["SOAK_PID_FILE"], "w") as file:
    file.write(str(os.getpid()))
sys.exit(main([]))
"""
"""A server with short leases and pauses that tells its process id."""

RIGHT = {"at once": 8.0, "soon": 5.0, "late": 1.0}
LOST = {"reset": 1, "silence": 1, "half": 1, "500": 1, "502": 1, "garbage": 1, "hang": 0.3, "made late": 0.7}
REFUSED = {"429": 1, "429 long": 0.3, "503": 1, "400": 0.5, "402": 0.3, "422": 1, "nothing": 0.5, "never came": 0.5}


def wishing(*names: str) -> dict[str, Any]:
    """Arguments that ask for a persona of each name."""
    return {"personas": [{"name": name, "sources": [{"type": "TEXT", "value": "notes"}]} for name in names]}


Start = Callable[[], AbstractAsyncContextManager[Client]]
"""Starts a server, or comes to one that is there."""


@dataclass(frozen=True)
class Made:
    """A persona that the upstream made, and charged for: for which key, under which name, and how it answered."""

    oid: str
    name: str
    key: str
    fault: str


class Octave:
    """The upstream: makes a persona, or not, and answers, or not."""

    def __init__(self, chance: random.Random, mark: str = "") -> None:
        """Take where the faults come from; how many come is drawn once. `mark` is in all that is made."""
        self.journal: list[Made] = []
        self.odd: list[str] = []
        self.over = asyncio.Event()
        self._mark = mark
        self._chance = chance
        trouble, refusals = chance.choice([0.0, 0.5, 1.0, 3.0]), chance.choice([0.0, 0.5, 1.5])
        self._faults = {
            **RIGHT,
            **{name: weight * trouble for name, weight in LOST.items()},
            **{name: weight * refusals for name, weight in REFUSED.items()},
        }
        self._under_way = 0
        self._served: Upstream | None = None

    def serves(self, served: Upstream) -> None:
        """Take the server whose library the personas are shown in."""
        self._served = served

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Answer one POST."""
        self._under_way += 1
        try:
            await self._answer(request, writer)
        finally:
            self._under_way -= 1

    async def rest(self) -> None:
        """Return when nothing is under way, so that the journal is complete."""
        self.over.set()
        with anyio.fail_after(CALL_SECONDS):
            while self._under_way:  # noqa: ASYNC110 - a count, of handlers that end by themselves
                await asyncio.sleep(0.01)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        asked, key = request.json["personas"], request.header("idempotency-key")
        if len(asked) != 1 or not key:
            self.odd.append(f"a POST for {len(asked)} personas with the key {key}")
            return
        (fault,) = self._chance.choices(list(self._faults), list(self._faults.values()))
        if fault in REFUSED:
            refuse(fault, writer)
            return
        if fault == "made late":
            await self._pause(self._chance.uniform(0.05, 0.4))
        persona = self._make(asked[0]["name"], key, fault)
        right = answer({"_metadata": metadata(usage=1, timestamp=timestamp()), "data": [persona]})
        if fault in RIGHT:
            await self._pause({"at once": 0.0, "soon": 0.15, "late": 0.9}[fault] * self._chance.uniform(0.2, 1))
            writer.write(right)
        else:
            await self._lose(fault, right, writer)

    async def _lose(self, fault: str, right: bytes, writer: asyncio.StreamWriter) -> None:
        """Have the answer to what was made get lost."""
        await self._pause(self._chance.choice([0.0, 0.0, 0.1]))
        if fault == "reset":
            writer.transport.abort()
        elif fault == "half":
            writer.write(right[: len(right) - self._chance.randrange(1, 60)])
        elif fault == "500":
            writer.write(answer(error_envelope("Oops"), status=500))
        elif fault == "502":
            writer.write(answer(b"<html>Bad gateway</html>", status=502))
        elif fault == "garbage":
            writer.write(answer(b"\x00{]"))
        elif fault == "hang":
            await self._pause(3)

    async def _pause(self, seconds: float) -> None:
        """Wait, though not beyond the end of the round."""
        with anyio.move_on_after(seconds):
            await self.over.wait()

    def _make(self, name: str, key: str, fault: str) -> dict[str, Any]:
        made = Made(f"pe_{self._mark}{len(self.journal):03d}x{self._chance.randrange(16**6):06x}", name, key, fault)
        self.journal.append(made)
        persona = {
            "oId": made.oid,
            "name": name,
            "createdAt": timestamp(),
            "description": f"Signs. {self._mark}",
            "data": {},
        }
        shown = self._chance.choice([0.0, 0.0, 0.2, 0.6, None])
        if shown is not None and self._served is not None:
            asyncio.get_running_loop().call_later(shown, self._served.library.append, persona)
        return persona


def refuse(fault: str, writer: asyncio.StreamWriter) -> None:
    """Make nothing, and say so; or never have got the request."""
    if fault == "never came":
        writer.transport.abort()
    elif fault == "nothing":
        writer.write(answer({"_metadata": metadata(usage=0, message="Made nothing"), "data": None}))
    else:
        waits = {"429": "0", "429 long": "3600", "503": "0"}
        headers = {"retry-after": waits[fault]} if fault in waits else {}
        writer.write(answer(error_envelope("No"), status=int(fault[:3]), headers=headers))


@dataclass
class Seen:
    """All that clients received."""

    oids: set[str] = field(default_factory=set)
    generations: set[str] = field(default_factory=set)
    doubtful: set[tuple[str, int]] = field(default_factory=set)
    """The generation and place of each persona that a result said may have been made."""
    given_up: set[str] = field(default_factory=set)
    """The names in calls that a client gave up: it may have been answered all the same, without receiving it."""
    problems: list[str] = field(default_factory=list)
    foreign: str = ""
    """A mark that nothing of it may have."""

    def take(self, result: CallToolResult) -> list[str]:
        """Note a result. Returns the generations that it lists, where it is a list."""
        text = "".join(block.text for block in result.content if isinstance(block, TextContent))
        content = result.structured_content
        if self.foreign and self.foreign in result.model_dump_json():
            self.problems.append(f"another tenant's: {result.model_dump_json()}")
        if "try again" in f"{text}{json.dumps(content)}".lower():
            self.problems.append(f"a result says to try again: {text}")
        if not isinstance(content, dict):
            if "This server is ending" not in text:
                self.problems.append(f"a call was refused: {text}")
            return []
        if "uncollected" in content:
            return [one["generationId"] for one in content["uncollected"]]
        self.generations.add(content["generationId"])
        for persona in content["personas"]:
            self.oids.add(persona["oId"])
            if persona["oId"] not in text:
                self.problems.append(f"{persona['oId']} is not in the text of its result")
        for one in content.get("failed", ()):
            if "may have been made" in one["problem"]:
                self.doubtful |= {(content["generationId"], place) for place in places(one["personas"])}
        return []


def places(told: str) -> list[int]:
    """The places in words such as `personas[0], personas[3] to personas[9]`."""
    runs = re.findall(r"personas\[(\d+)\](?: to personas\[(\d+)\])?", told)
    return [place for first, last in runs for place in range(int(first), int(last or first) + 1)]


class Host:
    """A host: starts servers on one ledger, one after the other, and calls their tools."""

    def __init__(
        self, seen: Seen, chance: random.Random, names: list[str], *, patient: bool, lossy: bool = False
    ) -> None:
        """Take where to note what comes, the names to wish for, and whether calls are waited for to their end.

        `lossy`: what is between it and its server may lose an answer.
        """
        self.seen = seen
        self._chance = chance
        self._names = names
        self._patient = patient
        self._lossy = lossy
        self._calls: list[asyncio.Task[None]] = []
        self._gone = False

    async def live(self, start: Start, steps: int, *, kill: Callable[[], None] | None = None) -> None:
        """Start a server, call some tools, some at once, and end it, maybe with calls under way."""
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
            await asyncio.gather(*self._calls)
        self._calls.clear()

    async def rest(self) -> None:
        """Return when no call is under way any more, after a life that ended otherwise."""
        await asyncio.gather(*self._calls, return_exceptions=True)
        self._calls.clear()

    async def _step(self, client: Client) -> None:
        chance = self._chance
        patience = None if self._patient or chance.random() < 0.7 else chance.choice([0.0, 0.01, 0.05, 0.15])
        if chance.random() < 0.65:
            some = chance.choices if chance.random() < 0.1 else chance.sample  # twins now and then
            names = some(self._names, k=chance.randint(1, 4))
            await self.call(client, "generate_personas", wishing(*names), names, patience=patience)
        elif self.seen.generations and chance.random() < 0.6:
            one = chance.choice(sorted(self.seen.generations))
            await self.call(client, "get_generation", {"generationId": one}, patience=patience)
        else:
            await self.call(client, "get_generation", {}, patience=patience)

    async def call(
        self,
        client: Client,
        tool: str,
        arguments: dict[str, Any],
        names: Collection[str] = (),
        *,
        patience: float | None = None,
    ) -> list[str]:
        """Call a tool, and note its result; or, out of patience, give it up."""
        call = asyncio.create_task(client.call_tool(tool, arguments))
        await asyncio.wait([call], timeout=CALL_SECONDS if patience is None else patience)
        if not call.done():
            call.cancel()
            self.seen.given_up |= set(names)
            await asyncio.wait([call], timeout=CALL_SECONDS)
            if patience is None:
                self.seen.problems.append(f"{tool} took longer than {CALL_SECONDS} s")
        if call.done() and not call.cancelled():
            if (error := call.exception()) is None:
                return self.seen.take(call.result())
            if not self._gone and not self._lossy:
                self.seen.problems.append(f"{tool} raised {error!r}")
            elif not self._patient or self._lossy:
                self.seen.given_up |= set(names)
        elif call.cancelled() and not self._patient:  # by the end of the client
            self.seen.given_up |= set(names)
        return []

    async def collect(self, client: Client) -> None:
        """Collect what is left, as a host would: by the list, and by every generation that it knows of."""
        self._gone = False
        until = time.monotonic() + COLLECT_SECONDS
        while listed := await self.call(client, "get_generation", {}):
            for generation in listed:
                await self.call(client, "get_generation", {"generationId": generation})
            if time.monotonic() > until:
                self.seen.problems.append(f"still uncollected: {listed}")
                break
            await asyncio.sleep(0.05)
        for generation in sorted(self.seen.generations):
            await self.call(client, "get_generation", {"generationId": generation})


@dataclass
class Recorded:
    """What a ledger's file holds."""

    items: list[dict[str, Any]]
    """In the order in which they were made."""
    places: dict[str, set[tuple[str, int]]]
    """By item: the generation and place of each wish for it."""
    claims: dict[str, str]
    """By oId: the item."""


def recorded(file: Path) -> Recorded:
    """Read a ledger's file."""
    with closing(sqlite3.connect(file)) as rows:
        rows.row_factory = sqlite3.Row
        read = Recorded([dict(row) for row in rows.execute("SELECT * FROM items ORDER BY rowid")], {}, {})
        for generation, place, item in rows.execute("SELECT generation, place, item FROM places"):
            read.places.setdefault(item, set()).add((generation, place))
        read.claims = dict(tuple(row) for row in rows.execute("SELECT oid, item FROM claims"))
    return read


def check(journal: list[Made], found: Recorded, seen: Seen, recalled: Seen) -> tuple[list[str], Counter[str]]:
    """What does not agree, and how much of each there was. `recalled` is what the lost ids gave when asked for."""
    by_key: dict[str, list[Made]] = {}
    for made in journal:
        by_key.setdefault(made.key, []).append(made)
    problems, tally = [*seen.problems, *recalled.problems], Counter({"made": len(journal)})
    keys = {str(uuid.UUID(item["id"])) for item in found.items}
    problems += [f"made for no item: {made}" for made in journal if made.key not in keys]
    problems += [f"told, and never made: {oid}" for oid in seen.oids - {made.oid for made in journal}]
    for item in found.items:
        own = by_key.get(str(uuid.UUID(item["id"])), [])
        told = f"{item['state']} item {item['id']} ({item['name']}), made {own}"
        told += f", handed over at {item['handed_over_at']}"
        tally[item["state"]] += 1
        problems += [f"{wrong}: {told}" for wrong in wrongs(item, own, found)]
        oids = {made.oid for made in own}
        if item["state"] == "done":
            tally["adopted"] += not {made.fault for made in own} & set(RIGHT)
            missing, late = oids - seen.oids, oids - recalled.oids
        elif item["state"] == "unknown":
            wishes = found.places[item["id"]]
            missing = set() if wishes & seen.doubtful else {"doubt"}
            late = set() if wishes & recalled.doubtful else {"doubt"}
        else:
            missing = late = set()
        if missing and item["name"] in seen.given_up and not late:
            tally["left with a call that was given up"] += 1
        elif missing and item["handed_over_at"] is None and found.places[item["id"]] & seen.doubtful:
            tally["found after the last call, and listed for the next"] += 1
        elif missing:
            problems.append(f"never told: {told}")
    problems += repeats(found)
    return problems, tally


def wrongs(item: dict[str, Any], own: list[Made], found: Recorded) -> list[str]:
    """What is wrong with an item, given the personas made for its key."""
    wrong = []
    if len(own) > 1:
        wrong.append("made more than once")
    if item["state"] in {"queued", "sent"}:
        wrong.append("left live")
    if item["state"] == "failed" and own:
        wrong.append("failed, and made")
    if item["state"] == "done":
        kept = {persona["oId"] for persona in json.loads(item["outcome"])["personas"]}
        claimed = {oid for oid, owner in found.claims.items() if owner == item["id"]}
        if kept != {made.oid for made in own} or kept != claimed:
            wrong.append(f"has {kept} and claims {claimed}")
        if {made.name for made in own} - {item["name"]}:
            wrong.append("has a persona of another name")
    return wrong


def repeats(found: Recorded) -> list[str]:
    """Items made though the one before, of the same wish, was there for a caller to be handed, or under way."""
    last: dict[str, dict[str, Any]] = {}
    wrong = []
    for item in found.items:
        before = last.get(item["fingerprint"])
        last[item["fingerprint"]] = item
        if before is None or before["state"] not in {"done", "unknown"} or before["settled_at"] > item["created_at"]:
            continue  # it failed; or it was unknown, and told, before it was found
        if before["handed_over_at"] is None or before["handed_over_at"] > item["created_at"] + CALL_SECONDS:
            wrong.append(f"bought again: {before['id']} was never handed over, and {item['id']} came after it")
    return wrong


async def in_process_round(chance: random.Random, file: Path) -> tuple[list[str], Counter[str]]:
    """Several hosts at once, each with servers in this process, on one ledger."""
    octave, seen = Octave(chance), Seen()
    names = [f"Persona {letter}" for letter in "ABCDEF"[: chance.randint(4, 6)]]
    patient = chance.random() < 0.3
    async with upstream(octave) as served:
        octave.serves(served)
        settings: dict[str, Any] = {"base_url": served.url, "api_key": SecretStr(KEY), "shutdown_seconds": 1}
        settings |= {"state_url": f"sqlite:///{file}", "wait_seconds": 0.3, "log_level": "ERROR"}

        def start() -> Client:
            server = build_server(Settings(**settings, concurrency=chance.choice([1, 2, 4])))
            # Without a wire between them a call runs in its caller's task, and giving up is asyncio's cancel.
            return Client(server) if chance.random() < 0.5 else Client(server, mode="legacy")

        async def host() -> None:
            lives = Host(seen, chance, names, patient=patient)
            for _ in range(chance.randint(1, 3)):
                await lives.live(start, chance.randint(1, 4))

        await asyncio.gather(*(host() for _ in range(chance.randint(2, 3))))
        return await _count(octave, seen, start, file)


async def process_round(chance: random.Random, file: Path) -> tuple[list[str], Counter[str]]:
    """Two hosts at once, each with server processes that are killed, on one ledger."""
    octave, seen = Octave(chance), Seen()
    names = [f"Persona {letter}" for letter in "ABCDEF"]
    async with upstream(octave) as served:
        octave.serves(served)
        own = {"OCTAVE_API_KEY": KEY, "OCTAVE_BASE_URL": served.url, "OCTAVE_MCP_STATE_URL": f"sqlite:///{file}"}
        own |= {"OCTAVE_MCP_WAIT_SECONDS": "0.5", "OCTAVE_MCP_SHUTDOWN_SECONDS": "1", "OCTAVE_MCP_LOG_LEVEL": "ERROR"}

        def start(told: Path) -> Client:
            env = {**unmeasured(), **own, "SOAK_PID_FILE": str(told)}
            return Client(StdioServerParameters(command=sys.executable, args=["-c", PROGRAM], env=env))

        async def host(number: int) -> None:
            lives, told = Host(seen, chance, names, patient=True), file.with_name(f"pid {number}")
            for _ in range(chance.randint(1, 3)):
                await lives.live(
                    lambda: start(told),
                    chance.randint(1, 4),
                    kill=lambda: os.kill(int(told.read_text(encoding="utf-8")), signal.SIGKILL),
                )

        await asyncio.gather(*(host(number) for number in range(2)))
        return await _count(octave, seen, lambda: start(file.with_name("pid")), file)


async def _count(octave: Octave, seen: Seen, start: Callable[[], Client], file: Path) -> tuple[list[str], Counter[str]]:
    """Collect what is left, and compare."""
    recalled = Seen()
    with anyio.fail_after(2 * COLLECT_SECONDS + LIFE_SECONDS):
        async with start() as client:
            await Host(seen, random.Random(0), [], patient=True).collect(client)
            asked = {generation for wishes in recorded(file).places.values() for generation, _ in wishes}
            forgotten = Host(recalled, random.Random(0), [], patient=True)
            for generation in sorted(asked - seen.generations):
                await forgotten.call(client, "get_generation", {"generationId": generation})
        await octave.rest()
    problems, tally = check(octave.journal, recorded(file), seen, recalled)
    return problems + octave.odd, tally
