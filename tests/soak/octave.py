"""An upstream that creates a persona, or not, and answers, or not, as chance has it. It journals what it accepted."""

import asyncio
import random
from dataclasses import dataclass
from typing import Any

import anyio
from support.upstream import Request, Upstream, answer, error_envelope, metadata, timestamp

CREATED = {"at once": 8.0, "soon": 5.0, "late": 1.0}
"""How likely each way to answer well is."""

_ONE_EACH = ("reset", "silence", "half", "500", "502", "a cache's 503", "garbage")
LOST = {**dict.fromkeys(_ONE_EACH, 1.0), "hang": 0.3, "created late": 0.7}
"""How likely each way is to create a persona and lose the answer."""

REFUSED = {"429": 1, "429 long": 0.3, "503": 1, "400": 0.5, "402": 0.3, "422": 1, "nothing": 0.5, "never came": 0.5}
"""How likely each way is to create nothing."""

UNREADABLE = 0.1
"""How often the list of personas cannot be read."""

LATE_SECONDS = 0.3
"""How long after a request its persona is created at the latest, and how long after that it is in the list."""


@dataclass(frozen=True)
class Accepted:
    """A POST whose persona was created, and charged for: the persona, the POST's key, and how it was answered."""

    oid: str
    name: str
    key: str
    fault: str


class Octave:
    """The upstream of one round."""

    def __init__(self, chance: random.Random, mark: str = "") -> None:
        """Draw once how many faults there are. `mark` is in everything that is created."""
        self.journal: list[Accepted] = []
        self.problems: list[str] = []
        self.ending = asyncio.Event()
        self._mark = mark
        self._chance = chance
        trouble, refusals = chance.choice([0.0, 0.5, 1.0, 3.0]), chance.choice([0.0, 0.5, 1.5])
        self._faults = {
            **CREATED,
            **{name: weight * trouble for name, weight in LOST.items()},
            **{name: weight * refusals for name, weight in REFUSED.items()},
        }
        self._in_progress = 0
        self._upstream: Upstream | None = None

    def use(self, upstream: Upstream) -> None:
        """Answer look-ups through this server, whose library the personas come into."""
        self._upstream = upstream
        upstream.look_up = self.look_up

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Answer one POST."""
        self._in_progress += 1
        try:
            await self._answer(request, writer)
        finally:
            self._in_progress -= 1

    async def look_up(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Answer one look-up."""
        assert self._upstream is not None
        if self._chance.random() < UNREADABLE and not self.ending.is_set():
            writer.write(answer(error_envelope("No list now"), status=500))
        else:
            await self._upstream.list_personas(request, writer)

    async def finish(self) -> None:
        """Return when no request is in progress, so that the journal is complete."""
        self.ending.set()
        with anyio.fail_after(15):
            while self._in_progress:  # noqa: ASYNC110 - a count, of handlers that end by themselves
                await asyncio.sleep(0.01)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        requested, key = request.json["personas"], request.header("idempotency-key")
        if len(requested) != 1 or not key:
            self.problems.append(f"a POST for {len(requested)} personas with the key {key}")
            return
        (fault,) = self._chance.choices(list(self._faults), list(self._faults.values()))
        if fault in REFUSED:
            _refuse(fault, writer)
            return
        if fault == "created late":
            await self._pause(self._chance.uniform(0.05, LATE_SECONDS))
        persona = self._create(requested[0].get("name", "Somebody"), key, fault)
        content = answer({"_metadata": metadata(usage=1, timestamp=timestamp()), "data": [persona]})
        if fault in CREATED:
            await self._pause({"at once": 0.0, "soon": 0.15, "late": 0.9}[fault] * self._chance.uniform(0.2, 1))
            writer.write(content)
        else:
            await self._lose(fault, content, writer)

    async def _lose(self, fault: str, content: bytes, writer: asyncio.StreamWriter) -> None:
        """Lose the answer to a request whose persona was created."""
        await self._pause(self._chance.choice([0.0, 0.0, 0.1]))
        if fault == "reset":
            writer.transport.abort()
        elif fault == "half":
            writer.write(content[: len(content) - self._chance.randrange(1, 60)])
        elif fault == "500":
            writer.write(answer(error_envelope("Something went wrong"), status=500))
        elif fault == "502":
            writer.write(answer(b"<html>Bad gateway</html>", status=502))
        elif fault == "a cache's 503":
            writer.write(answer(b"<html>Backend fetch failed</html>", status=503, headers={"retry-after": "0"}))
        elif fault == "garbage":
            writer.write(answer(b"\x00{]"))
        elif fault == "hang":
            await self._pause(3)

    async def _pause(self, seconds: float) -> None:
        """Wait, though not beyond the end of the round."""
        with anyio.move_on_after(seconds):
            await self.ending.wait()

    def _create(self, name: str, key: str, fault: str) -> dict[str, Any]:
        oid = f"pe_{self._mark}{len(self.journal):03d}x{self._chance.randrange(16**6):06x}"
        self.journal.append(Accepted(oid, name, key, fault))
        description = f"Signs. {self._mark}"
        persona = {"oId": oid, "name": name, "createdAt": timestamp(), "description": description, "data": {}}
        assert self._upstream is not None
        shown = self._chance.choice([0.0, 0.0, LATE_SECONDS / 2, LATE_SECONDS])
        asyncio.get_running_loop().call_later(shown, self._upstream.library.append, persona)
        return persona


def _refuse(fault: str, writer: asyncio.StreamWriter) -> None:
    """Create nothing, and say so; or end the connection before the request has come."""
    if fault == "never came":
        writer.transport.abort()
    elif fault == "nothing":
        writer.write(answer({"_metadata": metadata(usage=0, message="Created nothing"), "data": None}))
    else:
        waits = {"429": "0", "429 long": "3600", "503": "0"}
        headers = {"retry-after": waits[fault]} if fault in waits else {}
        writer.write(answer(error_envelope("No"), status=int(fault[:3]), headers=headers))
