"""The client against a real HTTP server: what it sends, what it makes of every answer, what it never does."""

import asyncio
import inspect
import json
import math
import re
import ssl
import time
import traceback
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import httpx
import pytest
import trustme
from pydantic import SecretStr
from support import faults
from support.upstream import (
    Request,
    Respond,
    always,
    answer,
    by_the_page,
    error_envelope,
    metadata,
    page_answer,
    upstream,
)

from octave_mcp import __version__
from octave_mcp.octave import errors, response_body
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.lookup_client import LookupClient
from octave_mcp.octave.models import GenerateAnswer, GenerateRequest

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"
REQUEST = GenerateRequest.model_validate(
    {"personas": [{"name": "CFO", "sources": [{"type": "TEXT", "value": "ü 😀"}]}]}
)


async def generate(url: str, *, deadline_seconds: float = 5.0, key: str | None = KEY) -> GenerateAnswer:
    """One call of a fresh client."""
    secret = None if key is None else SecretStr(key)
    async with OctaveClient(url, secret, deadline_seconds=deadline_seconds) as client:
        return await client.generate(REQUEST, idempotency_key="item-1")


async def fails(respond: Respond, *, deadline_seconds: float = 5.0) -> errors.OctaveError:
    """The error that a call ends with when it is answered so."""
    async with upstream(respond) as octave:
        with pytest.raises(errors.OctaveError) as caught:
            await generate(octave.url, deadline_seconds=deadline_seconds)
        assert len(octave.requests) == 1, "a POST is never repeated"
    assert KEY not in str(caught.value)
    return caught.value


async def test_exactly_the_pages_request_arrives() -> None:
    """Method, path, headers and body; the key in one header, spelt as the page spells it."""
    async with upstream(by_the_page) as octave:
        made = await generate(octave.url)
    (request,) = octave.requests
    assert (request.method, request.target) == ("POST", "/api/v2/persona/generate")
    assert request.json == {"personas": [{"name": "CFO", "sources": [{"type": "TEXT", "value": "ü 😀"}]}]}
    names = [name for name, _ in request.headers]
    assert "api_key" in names
    assert request.header("api_key") == KEY
    assert KEY not in json.dumps([pair for pair in request.headers if pair[0] != "api_key"])
    assert request.header("content-type") == "application/json"
    assert request.header("accept") == "application/json"
    assert request.header("accept-encoding") == "identity"
    assert request.header("x-request-source") == "octave-mcp"
    assert request.header("idempotency-key") == "item-1"
    assert request.header("user-agent") == f"octave-personas-mcp/{__version__}"
    assert request.header("cookie") is None
    assert [one.name for one in made.data] == ["CFO"]
    assert made.metadata.usage == 1


async def test_each_post_travels_on_a_connection_of_its_own() -> None:
    """A stale one cannot be told from a lost answer."""
    async with upstream(by_the_page) as octave, OctaveClient(octave.url, SecretStr(KEY)) as client:
        for _ in range(3):
            await client.generate(REQUEST, idempotency_key="item-1")
        assert octave.connections == 3


async def test_look_ups_share_a_connection_that_no_post_travels_on() -> None:
    """They cost nothing, and are repeated: one that met a stale connection is as well."""
    async with upstream(by_the_page) as octave, OctaveClient(octave.url, SecretStr(KEY)) as client:
        octave.keeps = True
        for _ in range(3):
            await client.list_personas(limit=1, offset=0)
        assert octave.connections == 1
        await client.generate(REQUEST, idempotency_key="item-1")
        await client.generate(REQUEST, idempotency_key="item-2")
        assert octave.connections == 3
        await client.list_personas(limit=1, offset=0)
        assert octave.connections == 3
        keys = [request.header("api_key") for request in [*octave.requests, *octave.looked_up]]
        assert keys == [KEY] * 6


@pytest.mark.parametrize("seen", [True, False])
async def test_a_look_up_finds_its_way_when_the_kept_connection_is_closed(seen: bool) -> None:  # noqa: FBT001 - drawn by the table
    """Before it is sent, which is seen, or while, which is not."""
    async with upstream(by_the_page) as octave, OctaveClient(octave.url, SecretStr(KEY)) as client:
        octave.keeps = True
        reader = LookupClient(client, seconds=20)

        async def look_up(request: Request, writer: asyncio.StreamWriter) -> None:
            if request.number != 1 or seen:
                await octave.list_personas(request, writer)
            octave.keeps = request.number == 0 and not seen

        octave.look_up = look_up
        for _ in range(2):
            await reader.personas(text=None, offering_oid=None, playbook_oid=None, limit=1, offset=0)
            await asyncio.sleep(0.05)
        assert octave.connections == 2
        assert len(octave.looked_up) == (2 if seen else 3)


async def test_a_list_of_personas_says_whose_they_are_where_it_is_told() -> None:
    """Recovery needs everybody's: what Octave lists by default is not published."""
    async with upstream(by_the_page) as octave, OctaveClient(octave.url, SecretStr(KEY)) as client:
        await client.list_personas(query_type="ALL", limit=5, offset=10)
        await client.list_personas(limit=5, offset=0)
    first, second = octave.looked_up
    assert first.query == {"queryType": "ALL", "limit": "5", "offset": "10"}
    assert "queryType" not in second.query


async def test_without_a_key_nothing_is_sent() -> None:
    """The error says so."""
    async with upstream(by_the_page) as octave:
        with pytest.raises(errors.KeyProblem):
            await generate(octave.url, key=None)
        assert octave.connections == 0


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        *((status, {}, errors.InputProblem) for status in (400, 404, 409, 413, 415, 422, 418)),
        *((status, {}, errors.KeyProblem) for status in (401, 403)),
        (402, {}, errors.NoCredits),
        (405, {}, errors.SetupProblem),
        *((status, {}, errors.OutcomeUnknown) for status in (408, 425, 460, 499, 500, 502, 503, 504, 507, 520)),
        (429, {}, errors.Busy),
        (429, {"retry-after": "NaN"}, errors.Busy),
        (503, {"retry-after": "3"}, errors.Busy),
    ],
)
async def test_each_status_is_the_error_that_says_what_to_do(
    status: int, headers: dict[str, str], kind: type[errors.OctaveError]
) -> None:
    """As the table in the design has it, with Octave's own message and request id kept."""
    error = await fails(always(error_envelope("Said by Octave"), status=status, headers=headers))
    assert type(error) is kind
    assert (error.status, error.octave_message, error.request_id) == (status, "Said by Octave", "req_1")


@pytest.mark.parametrize(("usage", "kept"), [(3, 3), (0, None), (-5, None), (1e300, None), ("much", None)])
@pytest.mark.parametrize("status", [422, 500, 200])
async def test_what_octave_charges_for_an_error_is_known(status: int, usage: Any, kept: float | None) -> None:
    """It counts against the limits, unless it is nonsense."""
    error = await fails(always({"_metadata": metadata(usage=usage), "message": "No"}, status=status))
    assert error.usage == kept


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *(("0", 0), ("7", 7), ("1.5", 1.5), ("Mon, 01 Jan 2001 00:00:00 GMT", 0)),
        ("", None),
        *((nonsense, math.inf) for nonsense in ("-1", "NaN", "inf", "1e34", "soon", "9" * 400, "Fri, 99 Foo 2026")),
        *(
            (nonsense, math.inf)
            for nonsense in ("Mon, 01 Jan 100000 00:00:00 GMT", "Mon, 01 Jan 2099 00:00:00 GMT", "86401")
        ),
    ],
)
async def test_how_long_to_wait_is_read_in_all_its_forms(header: str, seconds: float | None) -> None:
    """Seconds or a date; nonsense, and more than a day, is longer than anyone waits."""
    error = await fails(always(error_envelope("Busy"), status=429, headers={"retry-after": header}))
    assert isinstance(error, errors.Busy)
    assert error.retry_after == seconds


async def test_a_date_to_wait_for_is_told_in_seconds_from_now() -> None:
    """By this machine's clock."""
    date = formatdate(time.time() + 3600, usegmt=True)
    error = await fails(always(error_envelope("Busy"), status=429, headers={"retry-after": date}))
    assert isinstance(error, errors.Busy)
    assert error.retry_after == pytest.approx(3600, abs=60)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_a_redirect_is_never_followed(status: int) -> None:
    """The key would go along to wherever it points, and 307 and 308 would send the body again."""
    async with upstream(by_the_page) as elsewhere:
        error = await fails(always(b"", status=status, headers={"location": f"{elsewhere.url}/x"}))
        assert type(error) is errors.SetupProblem
        assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "body", [b"<html>Bad gateway</html>", b"", b'"text"', b"[1]", b"\xff\xfe\xff", json.dumps({"message": 3}).encode()]
)
async def test_an_error_without_octaves_envelope_is_still_its_status(body: bytes) -> None:
    """A gateway answers in HTML."""
    error = await fails(always(body, status=422))
    assert (type(error), error.octave_message) == (errors.InputProblem, None)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<html>Welcome</html>", {}),
        (b"", {}),
        (b'{"data": [{"oId": "pe_1", "na', {}),
        (b"[]", {}),
        (b'"done"', {}),
        (b'{"data": "\xff"}', {}),
        (b"[" * 200_000, {}),
    ],
)
async def test_a_success_that_cannot_be_read_is_an_unknown_outcome(body: bytes, headers: dict[str, str]) -> None:
    """It has been paid for, so it must not look as if nothing had been made."""
    assert type(await fails(always(body, headers=headers))) is errors.OutcomeUnknown


async def test_a_success_without_a_body_is_an_unknown_outcome() -> None:
    """Status 204 says nothing of what was made."""

    async def respond(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    assert type(await fails(respond)) is errors.OutcomeUnknown


@pytest.mark.parametrize("data", [None, []])
async def test_an_answer_without_personas_says_that_nothing_was_made(data: object) -> None:
    """With Octave's own word for why, and what it used all the same."""
    error = await fails(always({"_metadata": metadata(usage=2), "message": "Too little material", "data": data}))
    assert isinstance(error, errors.NothingCreated)
    assert (error.octave_message, error.usage, error.request_id) == ("Too little material", 2, "req_1")


@pytest.mark.parametrize(
    "body", [{}, {"_metadata": metadata()}, {"data": "x"}, {"data": [None]}, {"data": [[]]}, {"data": 3}]
)
async def test_an_answer_that_could_hold_a_persona_is_an_unknown_outcome(body: object) -> None:
    """It must not look as if nothing had been made."""
    assert type(await fails(always(body))) is errors.OutcomeUnknown


@pytest.mark.parametrize("envelope", [error_envelope("Not like this"), {"error": {"message": "Not like this"}}])
async def test_an_error_envelope_with_status_200_is_a_rejection(envelope: dict[str, Any]) -> None:
    """Whatever the status says."""
    error = await fails(always(envelope))
    assert (type(error), error.octave_message) == (errors.InputProblem, "Not like this")


@pytest.mark.parametrize("body", [error_envelope("Accepted"), {"data": None}, {"data": []}, {}])
@pytest.mark.parametrize("status", [202, 206])
async def test_a_request_that_is_only_accepted_has_an_unknown_outcome(status: int, body: dict[str, Any]) -> None:
    """The persona may come later, so it must not be sent again."""
    error = await fails(always(body, status=status))
    assert (type(error), error.status) == (errors.OutcomeUnknown, status)


@pytest.mark.parametrize("content_type", ["text/html", "text/plain; charset=latin-1", ""])
async def test_json_under_a_wrong_content_type_is_read(content_type: str) -> None:
    """It has been paid for."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(page_answer(request), headers={"content-type": content_type}))

    async with upstream(respond) as octave:
        assert len((await generate(octave.url)).data) == 1


async def test_a_byte_order_mark_and_utf_16_are_read() -> None:
    """As JSON, whichever way it was encoded."""
    for encoding in ("utf-8-sig", "utf-16"):
        body = json.dumps({"_metadata": metadata(), "data": [{"oId": "pe_1"}]}).encode(encoding)
        async with upstream(always(body)) as octave:
            assert (await generate(octave.url)).data[0].oId == "pe_1"


@pytest.mark.parametrize(
    "respond",
    [
        *(
            faults.closes,
            faults.resets,
            faults.resets_in_the_body,
            faults.ends_in_the_body,
            faults.ends_in_a_chunk,
            faults.closes_in_an_unmeasured_body,
        ),
        *(faults.talks_garbage, faults.switches_protocols, faults.sends_endless_headers, faults.sends_two_lengths),
    ],
)
async def test_a_broken_answer_is_an_unknown_outcome(respond: Respond) -> None:
    """The request had arrived by then."""
    assert type(await fails(respond)) is errors.OutcomeUnknown


@pytest.mark.parametrize("respond", [faults.is_silent, faults.drips_a_body, faults.drips_informational_answers])
async def test_a_call_ends_at_its_deadline(respond: Respond) -> None:
    """A read timeout is for each chunk, and would never come."""
    error = await fails(respond, deadline_seconds=0.2)
    assert type(error) is errors.OutcomeUnknown
    assert "0.2 seconds" in str(error)


async def test_an_answer_beyond_the_cap_is_unknown_and_is_not_read_to_its_end() -> None:
    """What it would take in memory is bounded by the cap."""
    sent = 0

    async def respond(_: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" " * 1_000_000)
            sent += 1_000_000
            await writer.drain()

    assert type(await fails(respond)) is errors.OutcomeUnknown
    assert sent < 4 * response_body.MAX_ANSWER_BYTES


async def test_an_address_without_a_server_was_never_reached() -> None:
    """So the same call may be made again."""
    async with upstream(by_the_page) as octave:
        pass
    with pytest.raises(errors.Unreachable):
        await generate(octave.url)


@pytest.mark.parametrize("url", ["https://a\x7fb", "https://a\x01"])
async def test_a_base_url_that_cannot_be_read_is_a_setup_problem_of_each_call(url: str) -> None:
    """The client is there all the same: a server has to start, and to say what is wrong."""
    async with OctaveClient(url, SecretStr(KEY)) as client:
        with pytest.raises(errors.SetupProblem, match="base URL"):
            await client.list_personas(limit=1, offset=0)


async def test_a_name_that_is_nowhere_was_never_reached() -> None:
    """`.invalid` is reserved for that."""
    with pytest.raises(errors.Unreachable):
        await generate("https://octave.invalid")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that nobody trusts unless told to."""
    return trustme.CA()


def _serving(authority: trustme.CA, host: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


async def test_a_certificate_that_is_not_trusted_is_a_setup_problem(authority: trustme.CA) -> None:
    """Repeating the call would not help, and nothing was sent."""
    async with upstream(by_the_page, certificate=_serving(authority, "localhost")) as octave:
        with pytest.raises(errors.SetupProblem, match="certificate"):
            await generate(octave.url)
        assert octave.requests == []


@pytest.fixture
def trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The authority is one of the operating system's, for OpenSSL."""
    with authority.cert_pem.tempfile() as path:
        monkeypatch.setenv("SSL_CERT_FILE", path)
        yield


@pytest.mark.usefixtures("trusted")
async def test_certificates_of_the_operating_system_are_trusted(authority: trustme.CA) -> None:
    """So that it works behind a corporate proxy."""
    async with upstream(by_the_page, certificate=_serving(authority, "localhost")) as octave:
        assert len((await generate(octave.url)).data) == 1


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_for_another_host_is_a_setup_problem(authority: trustme.CA) -> None:
    """Although its authority is trusted."""
    async with upstream(by_the_page, certificate=_serving(authority, "octave.example")) as octave:
        with pytest.raises(errors.SetupProblem, match="certificate"):
            await generate(octave.url)


async def test_a_plain_call_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy would read the key."""
    async with upstream(by_the_page) as proxy, upstream(by_the_page) as octave:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        await generate(octave.url)
        assert proxy.connections == 0


FOREIGN = [
    kind
    for kind in (getattr(httpx, name) for name in httpx.__all__)
    if inspect.isclass(kind) and issubclass(kind, Exception)
]


@pytest.mark.parametrize("kind", FOREIGN)
async def test_no_exception_of_the_http_library_leaves_the_client(kind: type[Exception]) -> None:
    """Each is mapped, and none of its words are kept: they may be the peer's."""

    def raises(*_: Any, **__: Any) -> Any:
        request = httpx.Request("POST", "http://localhost")
        parameters = inspect.signature(kind).parameters
        more: dict[str, Any] = {"request": request} if "request" in parameters else {}
        if "response" in parameters:
            more["response"] = httpx.Response(500, request=request)
        raise kind("foreign words", **more) if "message" in parameters else kind(*([] if not parameters else ["x"]))

    async def app(_: Any, __: Any, ___: Any) -> None:
        raises()

    async with OctaveClient("http://localhost", SecretStr(KEY), app=app) as client:
        client._transport._pools["POST"].handle_async_request = raises  # type: ignore[method-assign] # no server makes it raise each
        with pytest.raises(errors.OctaveError) as caught:
            await client.generate(REQUEST, idempotency_key="item-1")
    assert "foreign words" not in str(caught.value)
    assert "foreign words" not in "".join(traceback.format_exception(caught.value))


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    """Its drawing is what a reader goes by: every class, each under its own base."""
    path: list[tuple[int, str]] = []
    drawn: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^ {4}([ |]*\+-- )?(\w+)(?: {2,}|$)", line):
            depth = len(found[1] or "")
            path = [(above, name) for above, name in path if above < depth]
            drawn[found[2]] = path[-1][1] if path else "Exception"
            path.append((depth, found[2]))
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.OctaveError)]
    assert drawn == {one.__name__: one.__mro__[1].__name__ for one in classes}
