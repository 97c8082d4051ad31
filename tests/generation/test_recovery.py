"""Recovery of lost answers: what proves that a persona was created, what proves that it was not, and when."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.moved_clock import settle
from support.services import Held, Services, asking, services, until
from support.upstream import Request, answer, error_envelope, page_answer, timestamp

from octave_mcp.generation import preview, recovery
from octave_mcp.generation.outcome import NameExists, NotCreated
from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.records import State
from octave_mcp.ledger.sqlite import SqliteDatabase

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the pauses that the program has, since the clock is moved."""
    monkeypatch.setattr(recovery, "FIRST_PAUSES", (1.0, 3.0))
    monkeypatch.setattr(recovery, "PAUSE_SECONDS", 5.0)


async def no_answer(_: Request, __: asyncio.StreamWriter) -> None:
    """Close the connection without an answer."""


async def server_error(_: Request, writer: asyncio.StreamWriter) -> None:
    """Answer with Octave's own error."""
    writer.write(answer(error_envelope("boom"), status=500))


def listed(here: Services, name: str, *, after: float = 0.5, oid: str = "pe_1", **more: Any) -> None:
    """Have Octave's list show a persona that was created so many seconds from now."""
    at = {"createdAt": timestamp(here.clock.time + after)}
    here.octave.library.append({"oId": oid, "name": name, **at, **more})


# --- Found ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("in_list", "found"),
    [
        ([{"name": "A"}], True),
        ([], False),
        ([{"name": "A", "created": -2}], False),
        ([{"name": "A", "created": 0.5, "whole": True}], True),
        ([{"name": "A", "created": -0.5, "fraction": True}], False),
        ([{"name": "A"}, {"name": "A"}], False),
        ([{"name": "A"}, {"name": "A", "created": -60}], True),
        ([{"name": "a"}, {"name": "A B"}], False),
        ([{"name": "A", "createdAt": "2027-01-15"}], False),
        ([{"name": "A", "createdAt": None}], False),
        ([{"name": "A", "deletedAt": "2027-01-15T09:00:00Z"}], False),
        ([{"name": f"A {number}"} for number in range(220)] + [{"name": "A"}], True),
        ([{"name": "A", "created": 7200}], False),
    ],
)
async def test_a_lost_persona_is_adopted_only_if_it_is_proven(in_list: list[dict[str, Any]], found: bool) -> None:  # noqa: FBT001 - drawn by the table
    """It has the exact name, was created since, and is the only one."""

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        for number, one in enumerate(in_list):
            at = here.clock.time + one.get("created", 0.5)
            stamp = timestamp(at)[:19] + "Z" if one.get("whole") else timestamp(at)
            stamp = timestamp(at)[:19] + ".000Z" if one.get("fraction") else stamp
            here.octave.library.append({"oId": f"pe_{number}", "createdAt": stamp, **one})

    async with services(lose) as here:
        result = await here.passing(here.generate(await here.service(allow_same_name=True), "A"))
        assert [part.state for part in result.parts] == [State.CREATED if found else State.UNKNOWN]
        assert result.parts[0].outcome is not None
        assert result.parts[0].outcome.identified is found
    assert len(here.octave.requests) == 1


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("Head of Procurement 2 ", "Head of Procurement 2"),
        ("Head  of\u00a0Procurement", "Head of Procurement"),
        ("Head\nof Procurement", "Head of Procurement"),
        ("Bu\u0308ro", "B\u00fcro"),
        ("B\u00fcro", "Bu\u0308ro"),
    ],
)
async def test_a_name_is_found_as_octave_may_have_kept_it(asked: str, kept: str) -> None:
    """Trimmed, with its white space folded, or in another form of Unicode."""

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        listed(here, kept)

    async def list_all(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer({"_metadata": {}, "hasNext": False, "data": here.octave.library}))
        assert request.query["text"] == " ".join(request.query["text"].split())

    async with services(lose) as here:
        here.octave.look_up = list_all
        result = await here.passing(here.generate(await here.service(allow_same_name=True), asked))
        assert [one.oId for one in result.personas] == ["pe_1"]


async def test_two_lost_personas_of_one_name_are_not_told_apart() -> None:
    """Two were lost and one was created, so it may be either's; by the same measure as a match."""

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        if not here.octave.library:
            listed(here, "A")

    async with services(lose) as here:
        result = await here.passing(here.generate(await here.service(), "A", " A"))
        assert [part.state for part in result.parts] == [State.UNKNOWN] * 2
        assert {part.search.finding for part in result.parts if part.search} == {"ambiguous"}


@pytest.mark.parametrize(("other", "state"), [("wa_2", State.CREATED), ("wa_1", State.UNKNOWN)])
async def test_lost_personas_of_one_name_are_told_apart_by_their_workspace(
    tmp_path: Path, other: str, state: State
) -> None:
    """Two keys of one workspace see each other's personas; keys of two workspaces do not."""
    workspaces = {"sk-of-the-first": "wa_1", "sk-of-another": other}

    async def lose(request: Request, _: asyncio.StreamWriter) -> None:
        workspace = {"oId": workspaces[request.header("api_key") or ""]}
        listed(here, "CISO", oid=f"pe_{request.number}", workspace=workspace)

    async def list_own(request: Request, writer: asyncio.StreamWriter) -> None:
        own = {"oId": workspaces[request.header("api_key") or ""]}
        writer.write(answer({"data": [one for one in here.octave.library if one["workspace"] == own]}))

    async with services(lose, tmp_path / "ledger") as here:
        here.octave.look_up = list_own
        opened = [await here.service(key, allow_same_name=True) for key in workspaces]
        calls = [here.generate(service, "CISO") for service in opened]
        results = [await here.passing(call) for call in calls]
    assert [part.state for result in results for part in result.parts] == [state] * 2


async def test_the_list_is_read_at_once_after_one_and_three_seconds_and_while_a_call_waits() -> None:
    """And no more when no call waits; the next call goes on."""
    async with services(no_answer) as here:
        service = await here.service(allow_same_name=True)
        call = here.generate(service, "A")
        await until(lambda: len(here.octave.looked_up) == 1)
        reads = []
        for _ in range(46):
            await here.clock.move(1)
            reads.append(len(here.octave.looked_up))
        result = await call
        assert [reads[second - 1] for second in (1, 3, 4, 5, 8, 9, 10, 14)] == [2, 2, 3, 3, 3, 4, 4, 5]
        search = result.parts[0].search
        assert search is not None
        assert (search.finding, search.reads) == ("absent", len(here.octave.looked_up))
        before = len(here.octave.looked_up)
        await here.clock.move(30)
        await here.clock.move(30)
        assert len(here.octave.looked_up) - before <= 1
        listed(here, "A", after=-50)
        again = await here.passing(here.generate(service, "A"))
        assert [one.oId for one in again.personas] == ["pe_1"]
        assert [part.joined for part in again.parts] == [True]
        assert len(here.octave.requests) == 1


@pytest.mark.parametrize("created_at", [timestamp(1_800_000_000.0)[:10], None])
@pytest.mark.parametrize("checked", [True, False])
async def test_a_date_alone_proves_something_only_after_the_name_was_free(
    created_at: str | None,
    checked: bool,  # noqa: FBT001 - both
) -> None:
    """Without that it is neither taken for the persona, nor is the persona said not to exist."""

    async def lose(_: Request, writer: asyncio.StreamWriter) -> None:
        here.octave.library.append({"oId": "pe_1", "name": "A", "createdAt": created_at})
        await server_error(_, writer)

    async with services(lose) as here:
        service = await here.service(allow_same_name=not checked)
        result = await here.passing(here.generate(service, "A"))
        assert [part.state for part in result.parts] == [State.CREATED if checked else State.UNKNOWN]
        await here.clock.move(60)
        later = await here.collect(service, result.id)
        assert [part.state for part in later.parts] == [State.CREATED if checked else State.UNKNOWN]


@pytest.mark.parametrize(("status", "found"), [(None, True), (500, True), (429, True), (404, True)])
async def test_a_reading_that_fails_is_made_again(status: int | None, found: bool) -> None:  # noqa: FBT001 - drawn by the table
    """What took the answer may take the first reading too."""

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        listed(here, "A")

    async def look_up(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.number:
            await here.octave.list_personas(request, writer)
        elif status:
            writer.write(answer(error_envelope("Not now"), status=status, headers={"retry-after": "2"}))

    async with services(lose) as here:
        here.octave.look_up = look_up
        result = await here.passing(here.generate(await here.service(allow_same_name=True), "A"))
        assert [part.state for part in result.parts] == [State.CREATED if found else State.UNKNOWN]
    assert len(here.octave.requests) == 1


class SlowReading(Ledger):
    """A ledger whose reading arrives late, with what was so before, while it is told to."""

    holding: asyncio.Event | None = None
    held: bool = False
    adopted: bool = False

    async def generation(self, *values: Any) -> Any:
        """Read, and return it late."""
        found = await super().generation(*values)
        if self.holding:
            self.held = True
            await self.holding.wait()
        return found

    async def adopt(self, *values: Any) -> Any:
        """Remember that it has happened."""
        match = await super().adopt(*values)
        self.adopted = True
        return match


async def test_what_is_found_while_the_record_is_read_is_reported() -> None:
    """The record as it was before would report a persona as lost that was found."""
    look = asyncio.Event()

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        listed(here, "A", after=1)

    async def look_up(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(look.wait(), 20)
        await here.octave.list_personas(request, writer)

    async with services(lose) as here:
        here.octave.look_up = look_up
        ledger = SlowReading(SqliteDatabase(None, now=here.clock.now))
        call = here.generate(await here.service(ledger=ledger, allow_same_name=True), "A")
        await until(lambda: bool(here.octave.looked_up))
        ledger.holding = reading = asyncio.Event()
        await here.clock.move(5)  # the heartbeat reads
        await until(lambda: ledger.held)
        look.set()
        await until(lambda: ledger.adopted)
        await settle()
        ledger.holding = None
        reading.set()
        result = await call
    assert [(part.state, part.outcome and part.outcome.oids) for part in result.parts] == [(State.CREATED, ["pe_1"])]


@pytest.mark.parametrize("created", [True, False])
@pytest.mark.parametrize("checked", [True, False])
async def test_a_persona_that_another_item_has_is_no_candidate(created: bool, checked: bool) -> None:  # noqa: FBT001 - each
    """Also if it was created before this one was sent: two of one name in one call are sent one after the other."""

    async def lose_the_second(request: Request, writer: asyncio.StreamWriter) -> None:
        if not request.number or created:
            listed(here, "A", after=0, oid=f"pe_{request.number}")
        if not request.number:
            writer.write(answer({"_metadata": {"usage": 1}, "data": [{"oId": "pe_0", "name": "A", "data": {}}]}))
            here.clock.time += 10

    async with services(lose_the_second) as here:
        service = await here.service(concurrency=1, allow_same_name=not checked)
        result = await here.passing(here.generate(service, "A", " A"))
        await here.clock.move(600)
        later = await here.collect(service, result.id)
        assert [part.state for part in later.parts] == [State.CREATED, State.CREATED if created else State.FAILED]


@pytest.mark.parametrize("ahead", [-300, -3, 3, 300])
@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize(("lose", "seconds"), [("error", 60), ("no answer", 600)])
async def test_a_difference_between_the_clocks_loses_no_persona(
    ahead: int,
    checked: bool,  # noqa: FBT001 - both
    lose: str,
    seconds: int,
) -> None:
    """Octave's clock or ours is wrong: the persona is found, or stays unknown; it is never said not to exist."""

    async def create(request: Request, writer: asyncio.StreamWriter) -> None:
        listed(here, "A", after=ahead + 1)
        await (server_error if lose == "error" else no_answer)(request, writer)

    async with services(create) as here:
        here.octave.clock = lambda: here.clock.time + ahead
        service = await here.service(allow_same_name=not checked)
        result = await here.passing(here.generate(service, "A"))
        await here.clock.move(seconds)
        later = await here.collect(service, result.id)
        is_found = checked or ahead > 0
        assert [part.state for part in later.parts] == [State.CREATED if is_found else State.UNKNOWN]


async def test_an_archived_persona_of_the_name_from_long_ago_is_another() -> None:
    """It does not count as one of the name before the request, and must not hold up the item for good."""
    async with services(server_error) as here:
        listed(here, "A", after=-90_000, archivedAt="2027-01-14T09:00:00Z")
        service = await here.service()
        result = await here.passing(here.generate(service, "A"))
        await here.clock.move(60)
        later = await here.collect(service, result.id)
        assert [part.state for part in later.parts] == [State.FAILED]


# --- Not created ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("respond", "seconds"), [(server_error, 60), (no_answer, 600)])
async def test_a_complete_list_without_it_proves_that_nothing_was_created(respond: Any, seconds: float) -> None:
    """But not before Octave can no longer be at work; then the same request is sent."""
    async with services(respond) as here:
        service = await here.service(allow_same_name=True)
        result = await here.passing(here.generate(service, "A"))
        assert [part.state for part in result.parts] == [State.UNKNOWN]
        due = result.parts[0].settles_at
        assert due is not None
        assert abs(due - (1_800_000_000 + seconds)) < 3
        await here.clock.move(due - 48 - here.clock.time)
        early = await here.collect(service, result.id)
        assert [part.state for part in early.parts] == [State.UNKNOWN]
        late = await here.collect(service, result.id)
        assert [part.state for part in late.parts] == [State.FAILED]
        assert here.clock.time - due < 10
        assert late.parts[0].outcome is not None
        assert isinstance(late.parts[0].outcome.error, NotCreated)
        assert len(here.octave.requests) == 1
        assert "text" not in here.octave.looked_up[-1].query, "only the whole list proves it"
        here.octave.respond = by_the_page
        again = await here.generate(service, "A")
        assert [one.name for one in again.personas] == ["A"]
        assert len(here.octave.requests) == 2


async def test_a_clock_that_is_moved_forward_settles_nothing(tmp_path: Path) -> None:
    """What is in progress stays so, in its process and, once the lease is renewed, in others."""
    held = Held()
    async with services(held, tmp_path / "ledger") as here:
        both = [await here.service(allow_same_name=True) for _ in range(2)]
        calls = [here.generate(both[0], "A")]
        await until(lambda: bool(here.octave.requests))
        here.clock.jump(3700)
        calls += [here.generate(service, "A") for service in both]
        await here.clock.move(30)
        held.let_go("A")
        for call in calls:
            result = await here.passing(call)
            assert [part.state for part in result.parts] == [State.CREATED]
            assert result.parts[0].outcome is not None
            assert not result.parts[0].outcome.identified
    assert len(here.octave.requests) == 1


@pytest.mark.parametrize(("respond", "seconds"), [(server_error, 60), (no_answer, 600)])
async def test_a_clock_that_is_moved_forward_begins_the_wait_again(respond: Any, seconds: float) -> None:
    """Octave may be at work all the same, and its list may lag."""
    async with services(respond) as here:
        service = await here.service(allow_same_name=True)
        result = await here.passing(here.generate(service, "A"))
        here.clock.jump(3700)
        moved_at = here.clock.time
        early = await here.collect(service, result.id)
        assert [part.state for part in early.parts] == [State.UNKNOWN]
        assert early.parts[0].settles_at == pytest.approx(moved_at + seconds, abs=15)
        await here.clock.move(moved_at + seconds - here.clock.time)
        late = await here.collect(service, result.id)
        assert [part.state for part in late.parts] == [State.FAILED]


async def by_the_page(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer as the page says."""
    writer.write(answer(page_answer(request)))


@pytest.mark.parametrize("problem", ["too long", "fails", "ambiguous"])
async def test_an_incomplete_list_proves_nothing(problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The item stays unknown, and nothing is sent."""
    monkeypatch.setattr(recovery, "MAX_PAGES", 2)

    async def look_up(request: Request, writer: asyncio.StreamWriter) -> None:
        if problem == "fails":
            writer.write(answer(error_envelope("Not now"), status=503))
        else:
            await here.octave.list_personas(request, writer)

    async with services(server_error) as here:
        service = await here.service(allow_same_name=True)
        result = await here.passing(here.generate(service, "A"))
        if problem == "too long":
            here.octave.library += [{"oId": f"pe_{n}", "name": f"B {n}"} for n in range(1000)]
        if problem == "ambiguous":
            listed(here, "A", after=-44, oid="pe_1")
            listed(here, "A", after=-44, oid="pe_2")
        here.octave.look_up = look_up
        await here.clock.move(60)
        seen = await here.collect(service, result.id)
        again = await here.passing(here.generate(service, "A"))
        for one in (seen, again):
            assert [part.state for part in one.parts] == [State.UNKNOWN]
            assert one.parts[0].search is not None
            finding = "ambiguous" if problem == "ambiguous" else "unreadable"
            assert one.parts[0].search.finding == finding
        assert len(here.octave.requests) == 1


LISTS: dict[str, Any] = {
    "no list": {},
    "null": {"data": None},
    "text": {"data": "none"},
    "an object without a list": {"data": {"message": "Not now"}},
    "another field": {"personas": []},
    "fewer rows than it counts": {"data": [], "total": 3, "hasNext": False},
    "null where it counts some": {"data": None, "total": 3},
    "more rows, and no page has them": {"data": [], "hasNext": True},
    "only ids": {"data": ["pe_1"], "total": 1, "hasNext": False},
    "a row without an oId": {"data": [{"name": "B"}], "total": 1, "hasNext": False},
}


@pytest.mark.parametrize("shape", LISTS)
async def test_a_list_that_cannot_be_read_proves_nothing(shape: str) -> None:
    """Else the same request would create its persona a second time. The next list that can be read settles it."""

    async def look_up(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer({"_metadata": {}, **LISTS[shape]}))

    async with services(server_error) as here:
        service = await here.service(allow_same_name=True)
        result = await here.passing(here.generate(service, "A"))
        here.octave.look_up = look_up
        await here.clock.move(60)
        again = await here.passing(here.generate(service, "A"))
        assert [part.state for part in again.parts] == [State.UNKNOWN]
        assert again.parts[0].search is not None
        assert again.parts[0].search.finding == "unreadable"
        here.octave.look_up = None
        settled = await here.collect(service, result.id)
        assert [part.state for part in settled.parts] == [State.FAILED]
    assert len(here.octave.requests) == 1


@pytest.mark.parametrize(
    "empty",
    [
        {"data": []},
        {"data": None, "total": 0},
        {"data": {"hasNext": False, "total": 0, "data": []}},
        {"data": {"personas": []}},
    ],
)
async def test_an_empty_list_proves_that_nothing_was_created(empty: dict[str, Any]) -> None:
    """In every shape in which a list may come."""

    async def look_up(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer({"_metadata": {}, **empty}))

    async with services(server_error) as here:
        service = await here.service(allow_same_name=True)
        result = await here.passing(here.generate(service, "A"))
        here.octave.look_up = look_up
        await here.clock.move(60)
        settled = await here.collect(service, result.id)
        assert [part.state for part in settled.parts] == [State.FAILED]


@pytest.mark.parametrize("counts", [False, True])
async def test_a_list_that_knows_no_offset_is_complete_if_it_has_as_many_as_it_counts(counts: bool) -> None:  # noqa: FBT001 - both
    """It comes again, whole."""

    async def look_up(request: Request, writer: asyncio.StreamWriter) -> None:
        rows = [] if "text" in request.query else [{"oId": f"pe_{n}", "name": f"B {n}"} for n in range(3)]
        writer.write(answer({"_metadata": {}, "data": rows, **({"total": 4} if counts else {})}))

    async with services(server_error) as here:
        service = await here.service(allow_same_name=True)
        result = await here.passing(here.generate(service, "A"))
        here.octave.look_up = look_up
        await here.clock.move(60)
        settled = await here.collect(service, result.id)
        assert [part.state for part in settled.parts] == [State.UNKNOWN if counts else State.FAILED]


@pytest.mark.parametrize("kept", ["a", None])
async def test_a_persona_whose_name_octave_changed_or_left_out_may_be_the_one(kept: str | None) -> None:
    """So it is neither taken for the one, nor is the request sent again. One that was there before is another."""
    for after, state in ((0.5, State.UNKNOWN), (-60, State.FAILED)):
        async with services(server_error) as here:
            service = await here.service(allow_same_name=True)
            result = await here.passing(here.generate(service, "A"))
            sent_at = result.parts[0].item.sent_at
            assert sent_at is not None
            rows = [{"oId": "pe_1", "name": kept, "createdAt": timestamp(sent_at + after)}]

            async def look_up(_: Request, writer: asyncio.StreamWriter, rows: Any = rows) -> None:
                writer.write(answer({"_metadata": {}, "data": rows, "total": 1, "hasNext": False}))

            here.octave.look_up = look_up
            await here.clock.move(60)
            settled = await here.collect(service, result.id)
            assert [part.state for part in settled.parts] == [state]


async def test_an_item_without_a_name_stays_unknown_and_nothing_waits_for_it() -> None:
    """There is nothing to search for, so the call returns at once."""

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        listed(here, "CFO", after=1)

    async with services(lose) as here:
        service = await here.service()
        for _ in range(2):
            result = await here.generate(service, None)
            assert [(part.state, part.settles_at) for part in result.parts] == [(State.UNKNOWN, None)]
            await here.clock.move(700)
    assert here.octave.looked_up == []
    assert len(here.octave.requests) == 1


# --- Names that exist -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CISO", " ciso\u00a0"])
async def test_nothing_is_sent_for_a_name_that_exists(name: str) -> None:
    """Whatever its case and white space; the others are sent, and the result says which one exists."""
    async with services(by_the_page) as here:
        here.octave.library.append({"oId": "pe_7", "name": "CISO", "createdAt": "2026-01-01"})
        service = await here.service()
        preview = await service.preview(asking(name, "B"))
        assert [part.is_new for part in preview.parts] == [False, True]
        result = await here.generate(service, name, "B")
        assert [part.state for part in result.parts] == [State.FAILED, State.CREATED]
        assert result.parts[0].outcome is not None
        error = result.parts[0].outcome.error
        assert isinstance(error, NameExists)
        assert (error.oid, error.created_at) == ("pe_7", "2026-01-01")
        assert [one["name"] for one in here.octave.asked] == ["B"]
        preview = await service.preview(asking(name, "B"))
        assert [part.earlier is not None for part in preview.parts] == [False, True]


@pytest.mark.parametrize(
    "change", [{"deletedAt": "2026-01-02"}, {"archivedAt": "2026-01-02"}, {"name": "CISO of a bank"}]
)
async def test_other_personas_stop_nothing(change: dict[str, Any]) -> None:
    """Those that are gone, and those of a longer name."""
    async with services(by_the_page) as here:
        here.octave.library.append({"oId": "pe_7", "name": "CISO", **change})
        result = await here.generate(await here.service(), "CISO")
        assert [part.state for part in result.parts] == [State.CREATED]


async def test_the_name_is_looked_for_on_every_page_and_among_everybodys_personas() -> None:
    """Octave may list everything, whatever is searched for."""

    async def look_up(request: Request, writer: asyncio.StreamWriter) -> None:
        assert request.query["queryType"] == "ALL"
        page = int(request.query["offset"]) // 100
        rows = [{"oId": f"pe_{page}_{n}", "name": "A" if (page, n) == (1, 7) else f"A {n}"} for n in range(100)]
        writer.write(answer({"_metadata": {}, "data": rows, "hasNext": page < 3}))

    async with services(by_the_page) as here:
        here.octave.look_up = look_up
        result = await here.generate(await here.service(), "A")
        assert result.parts[0].outcome is not None
        assert isinstance(result.parts[0].outcome.error, NameExists)
    assert here.octave.requests == []


async def test_equal_names_within_one_call_are_allowed() -> None:
    """All names are checked before the first is sent."""

    async def create(request: Request, writer: asyncio.StreamWriter) -> None:
        here.octave.library.append({"oId": f"pe_{request.number}", "name": "A"})
        writer.write(answer(page_answer(request)))

    async with services(create) as here:
        service = await here.service(concurrency=1)
        result = await here.generate(service, "A", "A")
        assert [part.state for part in result.parts] == [State.CREATED] * 2
        more = await here.generate(service, "A", new=True)
        assert [part.state for part in more.parts] == [State.CREATED], "asked for on purpose"
    assert len(here.octave.requests) == 3


@pytest.mark.parametrize("problem", ["fails", "hangs"])
async def test_a_search_for_the_name_that_fails_stops_nothing(problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call goes on, and the outcome says that it is not known."""
    monkeypatch.setattr(preview, "NAME_CHECK_SECONDS", 0.2)

    async def look_up(_: Request, writer: asyncio.StreamWriter) -> None:
        if problem == "hangs":
            await asyncio.sleep(20)
        writer.write(answer(error_envelope("Not now"), status=503))

    async with services(by_the_page) as here:
        here.octave.look_up = look_up
        result = await here.generate(await here.service(), "A")
        assert result.parts[0].outcome is not None
        assert result.parts[0].outcome.name_unchecked
        assert [one.name for one in result.personas] == ["A"]
