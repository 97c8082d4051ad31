"""Look-ups are made again where that may help, never where Octave refused, and end in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from pydantic import SecretStr
from support.upstream import Request, Respond, Upstream, always, answer, by_the_page, error_envelope, upstream

from octave_mcp.octave import errors, lookup_client
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.errors import OctaveError
from octave_mcp.octave.library_kinds import BRAND_VOICES, OFFERINGS, PLAYBOOKS, RESOURCES
from octave_mcp.octave.lookup_client import LookupClient

pytestmark = pytest.mark.anyio

VALID = {"_metadata": {}, "valid": True, "workspaceName": "W"}


@asynccontextmanager
async def reading(look_up: Respond, *, seconds: float = 10) -> AsyncIterator[tuple[LookupClient, Upstream]]:
    """A reader of an upstream that answers look-ups so."""
    with anyio.fail_after(20):
        async with upstream(by_the_page) as octave, OctaveClient(octave.url, SecretStr("sk-0123456789")) as client:
            octave.look_up = look_up
            yield LookupClient(client, seconds=seconds), octave


def after(failures: int, failing: Respond) -> Respond:
    """Fail so at first, then answer that the key is valid."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        await (failing if request.number < failures else always(VALID))(request, writer)

    return respond


async def resets(_: Request, writer: asyncio.StreamWriter) -> None:
    """Close without a word."""
    writer.transport.abort()


@pytest.mark.parametrize(
    "failing",
    [
        resets,
        always(error_envelope("Oops"), status=500),
        always(b"<html>", status=502),
        always(b"<html>"),
        always(error_envelope("Slow down"), status=429, headers={"retry-after": "0"}),
        always(error_envelope("Slow down"), status=429),
    ],
)
async def test_what_may_help_is_tried_three_times(failing: Respond) -> None:
    """A look-up changes nothing, so that asking again costs nothing."""
    async with reading(after(2, failing)) as (octaves, octave):
        assert (await octaves.workspace()).workspaceName == "W"
        assert len(octave.looked_up) == 3
    async with reading(failing) as (octaves, octave):
        with pytest.raises(OctaveError):
            await octaves.workspace()
        assert len(octave.looked_up) == 3


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (401, {}, errors.KeyProblem),
        (403, {}, errors.KeyProblem),
        (404, {}, errors.InputProblem),
        (307, {"location": "https://x.example"}, errors.SetupProblem),
        (429, {"retry-after": "700"}, errors.Busy),
    ],
)
async def test_what_octave_refused_is_not_asked_again(
    status: int, headers: dict[str, str], kind: type[OctaveError]
) -> None:
    """Nor what it put off for long."""
    async with reading(always(error_envelope("No"), status=status, headers=headers)) as (octaves, octave):
        with pytest.raises(kind):
            await octaves.workspace()
        assert len(octave.looked_up) == 1


async def test_an_error_that_calls_itself_a_success_is_an_error() -> None:
    """As with the POST."""
    async with reading(always(error_envelope("Not so"))) as (octaves, _):
        with pytest.raises(errors.InputProblem):
            await octaves.workspace()


async def test_all_tries_together_end_in_time() -> None:
    """Whatever the upstream does."""

    async def hang(_: Request, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(20)

    async with reading(hang, seconds=0.1) as (octaves, _):
        with pytest.raises(errors.OutcomeUnknown, match=r"within 0\.1 seconds"):
            await octaves.workspace()


async def test_a_list_is_read_to_its_end_and_no_further_than_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One without an end is cut, and it is known that it was."""
    monkeypatch.setattr(lookup_client, "PAGE_ROWS", 2)
    monkeypatch.setattr(lookup_client, "MAX_PAGES", 3)
    rows = [{"oId": f"bv_{number}", "name": f"Voice {number}"} for number in range(5)]

    async def voices(request: Request, writer: asyncio.StreamWriter) -> None:
        offset = int(request.query["offset"])
        page = {"hasNext": offset + 2 < len(rows), "total": len(rows), "data": rows[offset : offset + 2]}
        writer.write(answer({"_metadata": {}, "data": page}))

    async with reading(voices) as (octaves, octave):
        found, complete = await octaves.all_rows(BRAND_VOICES)
        assert ([row.oId for row in found], complete) == ([row["oId"] for row in rows], True)
        assert [request.path for request in octave.looked_up] == ["/api/v2/brand-voice/list"] * 3
        rows += [{"oId": "bv_x", "name": "X"}] * 9
        found, complete = await octaves.all_rows(BRAND_VOICES)
        assert (len(found), complete) == (6, False)


async def test_what_is_asked_for_leaves_as_the_api_calls_it() -> None:
    """And what is not asked for is left out."""
    async with reading(always({"_metadata": {}, "data": []})) as (octaves, octave):
        await octaves.personas(text="ä & b", offering_oid="o_1", playbook_oid="pb_1", limit=5, offset=10)
        await octaves.personas(text=None, offering_oid=None, playbook_oid=None, limit=5, offset=0)
        await octaves.library(OFFERINGS, text="x", limit=1, offset=0)
        await octaves.library(PLAYBOOKS, text=None, limit=1, offset=0)
        await octaves.library(RESOURCES, text=None, limit=1, offset=0)
        asked = [(request.path, request.query) for request in octave.looked_up]
    listed = {"text": "ä & b", "productOId": "o_1", "playbookOId": "pb_1", "limit": "5", "offset": "10"}
    assert asked == [
        ("/api/v2/persona/list", listed),
        ("/api/v2/persona/list", {"limit": "5", "offset": "0"}),
        ("/api/v2/product/list", {"text": "x", "limit": "1", "offset": "0"}),
        ("/api/v2/playbook/list", {"limit": "1", "offset": "0"}),
        ("/api/v2/resource/list", {"limit": "1", "offset": "0"}),
    ]


@pytest.mark.parametrize("oid", ["../../api-key/validate", "pe_1&limit=9", "a/b?c#d", "pe 1", "\u00fc\u6f22"])
async def test_an_oid_is_a_value_and_never_a_path(oid: str) -> None:
    """Whatever it is made of."""
    async with reading(always({"_metadata": {}, "oId": "pe_1", "name": "A", "data": {}})) as (octaves, octave):
        await octaves.persona(oid)
        (request,) = octave.looked_up
    assert (request.path, request.query) == ("/api/v2/persona/get", {"oId": oid})
