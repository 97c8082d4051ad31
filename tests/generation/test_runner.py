"""A request is split, sent a few at a time, and what became of each part is kept in its place."""

import asyncio

import pytest
from pydantic import SecretStr
from support.upstream import Request, Respond, Upstream, answer, by_the_page, error_envelope, page_answer, upstream

from octave_mcp.generation.runner import Generation, Runner
from octave_mcp.octave import errors
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.models import GenerateRequest

pytestmark = pytest.mark.anyio


def asking(*names: str) -> GenerateRequest:
    """A request for a persona of each name, with a field that all share."""
    personas = [{"name": name, "sources": [{"type": "TEXT", "value": "notes"}]} for name in names]
    return GenerateRequest.model_validate({"personas": personas, "playbookOId": "pb_1"})


async def run(
    respond: Respond, request: GenerateRequest, *, concurrency: int = 4, size: int = 1
) -> tuple[Generation, Upstream, list[tuple[int, int]]]:
    """What becomes of the request, what arrived, and the progress that was told."""
    told: list[tuple[int, int]] = []

    async def progress(settled: int, asked: int, _ready: int) -> None:
        told.append((settled, asked))

    async with upstream(respond) as octave, OctaveClient(octave.url, SecretStr("sk-0123456789")) as client:
        runner = Runner(client, concurrency=concurrency, personas_per_request=size)
        return await runner.run(request, progress), octave, told


async def test_each_part_is_a_whole_request_and_its_answer_keeps_its_place() -> None:
    """Whichever is answered first."""
    second_came = asyncio.Event()

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.json["personas"][0]["name"] == "A":
            await asyncio.wait_for(second_came.wait(), 5)
        else:
            second_came.set()
        writer.write(answer(page_answer(request)))

    generation, octave, told = await run(respond, asking("A", "B"))
    assert [one.name for one in generation.personas] == ["A", "B"]
    assert {request.json["playbookOId"] for request in octave.requests} == {"pb_1"}
    assert told == [(1, 2), (2, 2)]


async def test_every_post_has_an_idempotency_key_of_its_own() -> None:
    """Ignored today, right if it ever counts."""
    _, octave, _ = await run(by_the_page, asking("A", "A", "A"))
    assert len({request.header("idempotency-key") for request in octave.requests}) == 3


@pytest.mark.parametrize(("size", "parts"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (5, [5]), (50, [5])])
async def test_a_part_has_as_many_personas_as_the_setting_says(size: int, parts: list[int]) -> None:
    """The last has what is left; progress counts personas."""
    generation, octave, told = await run(by_the_page, asking(*"ABCDE"), size=size, concurrency=1)
    assert [len(request.json["personas"]) for request in octave.requests] == parts
    assert [one.name for one in generation.personas] == list("ABCDE")
    assert told[-1] == (5, 5)


async def test_a_problem_that_every_call_would_meet_stops_what_was_not_sent() -> None:
    """And each that was not sent has that problem."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.number == 1:
            writer.write(answer(error_envelope("No credits"), status=402))
        else:
            writer.write(answer(page_answer(request)))

    generation, octave, _ = await run(respond, asking(*"ABCDE"), concurrency=1)
    assert len(octave.requests) == 2
    assert [type(batch.error) for batch in generation.batches] == [type(None), *[errors.NoCredits] * 4]


@pytest.mark.parametrize("status", [422, 500])
async def test_a_problem_of_one_part_stops_no_other(status: int) -> None:
    """One failure costs one persona."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.number == 1:
            writer.write(answer(error_envelope("No"), status=status))
        else:
            writer.write(answer(page_answer(request)))

    generation, octave, _ = await run(respond, asking(*"ABCDE"), concurrency=1)
    assert len(octave.requests) == 5
    assert [one.name for one in generation.personas] == list("ACDE")


async def test_usage_is_the_sum_of_what_octave_told_also_where_it_made_nothing() -> None:
    """None where it told none; nothing that is no number."""
    usages = iter(['{"usage": 2}', '{"usage": 1.5}', "{}", '{"usage": 3}'])

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        data = "null" if request.number == 3 else f'[{{"oId": "pe_{request.number}"}}]'
        writer.write(answer(f'{{"_metadata": {next(usages)}, "data": {data}}}'.encode()))

    generation, _, _ = await run(respond, asking(*"ABCD"), concurrency=1)
    assert generation.usage == 6.5
    assert isinstance(generation.batches[3].error, errors.NothingMade)


async def test_a_usage_beyond_all_numbers_is_none() -> None:
    """Two of the largest float are no float."""

    async def respond(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b'{"_metadata": {"usage": 1.7e308}, "data": [{"oId": "pe_1"}]}'))

    generation, _, _ = await run(respond, asking("A", "B"))
    assert generation.usage is None
    assert len(generation.personas) == 1, "the same persona twice is one"
