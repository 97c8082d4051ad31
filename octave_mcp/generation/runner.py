"""Splits a request into POSTs, sends a few at a time, and keeps what became of each.

Each item of `personas` makes one persona, so a POST for each keeps the meaning, and buys concurrency, true progress,
and failures that cost one persona instead of all of them. Nothing is repeated from here.
"""

import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from uuid import uuid4

import anyio

from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.errors import NothingMade, OctaveError
from octave_mcp.octave.models import GenerateAnswer, GenerateRequest, Persona

__all__ = ["Batch", "Generation", "Progress", "Runner"]

Progress = Callable[[int, int, int], Awaitable[None]]
"""Told how many personas are settled, of how many, and how many were made, each time that some are settled."""


@dataclass
class Batch:
    """One POST: the places in the request that it asks for, and what became of it.

    Exactly one of `answer` and `error` is set once it is settled. Where an earlier batch met a problem that this one
    would have met too, `error` is that problem, and nothing was sent.
    """

    places: range
    request: GenerateRequest
    answer: GenerateAnswer | None = None
    error: OctaveError | None = None


@dataclass(frozen=True)
class Generation:
    """All that became of a request, in the order asked."""

    batches: tuple[Batch, ...]

    @property
    def asked(self) -> int:
        """How many personas were asked for."""
        return sum(len(batch.places) for batch in self.batches)

    @cached_property
    def personas(self) -> list[Persona]:
        """The personas that Octave made, each once."""
        found: dict[object, Persona] = {}
        for batch in self.batches:
            for persona in batch.answer.data if batch.answer else ():
                found.setdefault(persona.oId or id(persona), persona)
        return list(found.values())

    @property
    def usage(self) -> float | None:
        """Credits, as Octave told them; None where it told none."""
        usages = [batch.answer.metadata.usage for batch in self.batches if batch.answer]
        usages += [batch.error.usage for batch in self.batches if isinstance(batch.error, NothingMade)]
        told = [usage for usage in usages if usage is not None]
        return sum(told) if told and math.isfinite(sum(told)) else None


class Runner:
    """Runs requests against one client. `concurrency` bounds the POSTs under way at once, over all calls."""

    def __init__(self, client: OctaveClient, *, concurrency: int, personas_per_request: int) -> None:
        """Use `client`, which stays the caller's to open and close."""
        self._client = client
        self._concurrency = concurrency
        self._limiter = anyio.CapacityLimiter(concurrency)
        self._personas_per_request = personas_per_request

    async def run(self, request: GenerateRequest, progress: Progress) -> Generation:
        """Generate what is asked for. Never raises `OctaveError`: each batch holds its own."""
        batches = tuple(_split(request, self._personas_per_request))
        waiting = iter(batches)
        settled = ready = 0
        stopped_by: OctaveError | None = None

        async def work() -> None:
            nonlocal settled, ready, stopped_by
            for batch in waiting:
                async with self._limiter:
                    if stopped_by:
                        batch.error = stopped_by
                    else:
                        await self._send(batch)
                if batch.error and batch.error.meets_every_call:
                    stopped_by = batch.error
                settled += len(batch.places)
                ready += len(batch.answer.data) if batch.answer else 0
                await progress(settled, len(request.personas), ready)

        # A call waits at the limiter with a few workers and not with all its batches, so that a large call and a small
        # one take turns.
        async with anyio.create_task_group() as tasks:
            for _ in range(min(self._concurrency, len(batches))):
                tasks.start_soon(work)
        return Generation(batches)

    async def _send(self, batch: Batch) -> None:
        try:
            batch.answer = await self._client.generate(batch.request, idempotency_key=str(uuid4()))
        except OctaveError as error:
            batch.error = error


def _split(request: GenerateRequest, size: int) -> Iterator[Batch]:
    count = len(request.personas)
    for start in range(0, count, size):
        places = range(start, min(start + size, count))
        part = request.model_copy(update={"personas": request.personas[places.start : places.stop]})
        yield Batch(places, part)
