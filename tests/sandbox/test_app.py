"""The sandbox's routes, in Octave's shapes."""

import json
from datetime import UTC, datetime
from itertools import count
from typing import Any

import anyio
import httpx
import pytest
from sandbox.conftest import Call, Generate
from starlette.applications import Starlette

from octave_mcp.octave.library_kinds import KINDS, Kind
from octave_mcp.octave.models import GenerateAnswer
from octave_mcp.sandbox import Failure, build_sandbox
from octave_mcp.sandbox.library import entries

pytestmark = pytest.mark.anyio

GENERATE = "persona/generate"
SOURCES = [{"type": "TEXT", "value": "VP of Sales professionals who manage enterprise deals and drive revenue growth"}]
BODY: dict[str, Any] = {"personas": [{"sources": SOURCES}]}
MADE_UP = "Sandbox: made-up data, nothing was sent to Octave."
LOOKUPS = ("persona/list", "product/list", "playbook/list", "brand-voice/list", "resource/list", "api-key/validate")


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    """The rows of a list."""
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def names(answer: httpx.Response) -> list[str]:
    """The names in a list."""
    return [row["name"] for row in rows(answer)]


def assert_refused(answer: httpx.Response, status: int, said: str) -> None:
    """The answer is the API's error envelope with that status, and says so much."""
    assert answer.status_code == status
    assert set(answer.json()) == {"_metadata", "message"}
    assert answer.json()["_metadata"]["message"] == MADE_UP
    assert said in answer.json()["message"]


# --- Generating -------------------------------------------------------------------------------------------------------


async def test_the_example_of_the_api_page_makes_two_personas(app: Starlette, call: Call) -> None:
    """The page's own body works, but for the oIds, and each item makes one persona."""
    url = {"type": "URL", "value": "https://example.com/target-customer-profile"}
    body = {
        "primaryOfferingOId": "o_trust",
        "linkingStrategy": {"mode": "ALL"},
        "personas": [{"name": "Enterprise Sales Leader", "sources": SOURCES}, {"sources": [url]}],
        "playbookOId": "pb_enterprise",
        "brandVoiceOId": "bv_founder",
    }
    answer = await call(app, GENERATE, json=body)
    assert [persona["name"] for persona in rows(answer)] == ["Enterprise Sales Leader", "Customer Profile Buyer"]
    assert answer.json()["_metadata"]["usage"] == 2
    assert len(GenerateAnswer.model_validate(answer.json()).data) == 2


@pytest.mark.parametrize("nothing", [{"playbookOId": None}, {"personas": [{"sources": SOURCES, "name": None}]}])
async def test_null_is_refused(app: Starlette, call: Call, nothing: dict[str, Any]) -> None:
    """By the API's page an optional field is left out."""
    answer = await call(app, GENERATE, json={"personas": [{"sources": SOURCES}], **nothing})
    assert_refused(answer, 400, "must not be null.")


async def test_identical_twins_have_oids_of_their_own(generate: Generate) -> None:
    """The same source three times in one call makes three personas."""
    made = await generate("CISO", "CISO", "CISO")
    assert len({persona["oId"] for persona in made}) == 3
    assert all(persona["oId"].startswith("pe_") for persona in made)


async def test_the_same_calls_to_two_fresh_sandboxes_have_the_same_answers(call: Call) -> None:
    """Everything but the clock is the same."""

    def fresh() -> Starlette:
        return build_sandbox(now=lambda: datetime(2026, 1, 2, tzinfo=UTC))

    first, second = [await call(app, GENERATE, json=BODY) for app in (fresh(), fresh())]
    assert first.json() == second.json()
    assert first.json()["_metadata"]["timestamp"] == "2026-01-02T00:00:00.000Z"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "personas: Field required"),
        ({"personas": []}, 400, "personas: "),
        ({"personas": [{"sources": []}]}, 400, "personas[0].sources: "),
        ({"personas": [{"sources": [{"type": "FILE", "value": "x"}]}]}, 400, "personas[0].sources[0].type: "),
        ({**BODY, "brandvoice": "x"}, 400, "brandvoice: Extra inputs are not permitted"),
        ({**BODY, "linkingStrategy": {"mode": "SPECIFIC"}}, 400, "offeringOIds: at least one is required"),
        ({**BODY, "x" * 5000: 1}, 400, "xxx"),
        ({**BODY, "\ud800": 1}, 400, "body: "),
        ({"personas": [{"sources": [{"type": "TEXT", "value": "\ud800"}]}]}, 400, "personas[0].sources[0].value: "),
        ({**BODY, "primaryOfferingOId": "o_1"}, 404, "primaryOfferingOId: not found"),
        ({**BODY, "playbookOId": "o_1"}, 404, "playbookOId: not found"),
        ({**BODY, "brandVoiceOId": "o_1"}, 404, "brandVoiceOId: not found"),
        ({**BODY, "linkingStrategy": {"mode": "SPECIFIC", "offeringOIds": ["o_1"]}}, 404, "offeringOIds: not found"),
        (
            {"personas": [{"sources": [{"type": "RESOURCE", "value": "x"}]}]},
            404,
            "personas[0].sources: no such resource",
        ),
    ],
)
async def test_a_wrong_body_is_refused_and_makes_nothing(
    app: Starlette, call: Call, body: dict[str, Any], status: int, said: str
) -> None:
    """The message names the field, and no credit is taken."""
    before = len(app.state.sandbox.personas)
    answer = await call(app, GENERATE, content=json.dumps(body))
    assert_refused(answer, status, said)
    assert len(answer.json()["message"]) <= 300
    assert len(app.state.sandbox.personas) == before
    assert app.state.sandbox.credits_used == 0


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"null", b"[" * 200_000, b"9" * 5000])
async def test_what_is_no_json_object_is_refused(app: Starlette, call: Call, content: bytes) -> None:
    """Nothing that can be sent crashes the sandbox."""
    assert_refused(await call(app, GENERATE, content=content), 400, "The body ")


async def test_used_up_credits_are_a_402_and_nothing_is_made_by_halves(call: Call) -> None:
    """Two of three credits are left after one persona; three more personas are too many, two are not."""
    app = build_sandbox(credits_total=3)
    await call(app, GENERATE, json=BODY)
    assert_refused(await call(app, GENERATE, json={"personas": BODY["personas"] * 3}), 402, "credits")
    assert len(rows(await call(app, GENERATE, json={"personas": BODY["personas"] * 2}))) == 2
    assert (await call(app, "api-key/validate")).json()["credits"]["totalRemaining"] == 0


async def test_latency_passes_for_each_persona(call: Call) -> None:
    """One persona is answered before two that were asked for at the same time."""
    app = build_sandbox(latency_seconds=0.02)
    finished: list[int] = []

    async def ask(personas: int) -> None:
        await call(app, GENERATE, json={"personas": BODY["personas"] * personas})
        finished.append(personas)

    async with anyio.create_task_group() as group:
        for personas in (4, 1):
            group.start_soon(ask, personas)
    assert finished == [1, 4]


async def test_a_caller_who_hangs_up_finds_the_persona_in_the_list(call: Call) -> None:
    """As with a real service, the work is done and paid for though nobody hears of it."""
    app = build_sandbox(latency_seconds=600)
    with anyio.move_on_after(0.01):
        await call(app, GENERATE, json={"personas": [{"name": "Left Behind", "sources": SOURCES}]})
    assert "Left Behind" in names(await call(app, "persona/list"))
    assert app.state.sandbox.credits_used == 1


# --- Keys, routes and scripted failures -------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "", "  "])
@pytest.mark.parametrize("path", [*LOOKUPS, "persona/get"])
async def test_no_look_up_without_a_key(app: Starlette, call: Call, path: str, key: str | None) -> None:
    """A missing or blank key is refused, and the request is not counted."""
    assert_refused(await call(app, path, key=key), 401, "API key")
    assert app.state.sandbox.requests == []


async def test_no_generation_without_a_key(app: Starlette, call: Call) -> None:
    """The key is looked at before the body."""
    assert_refused(await call(app, GENERATE, key=None, content=b"{"), 401, "API key")


async def test_the_only_good_key_is_the_one_that_was_set() -> None:
    """With a key given, any other is refused."""
    transport = httpx.ASGITransport(build_sandbox(api_key="right"))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox/api/v2/") as client:
        answers = [await client.get("api-key/validate", headers={"api_key": key}) for key in ("wrong", "right")]
    assert [answer.status_code for answer in answers] == [401, 200]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "persona/delete", 404),
        ("GET", "persona/list/", 404),
        ("GET", GENERATE, 405),
        ("POST", "persona/list", 405),
    ],
)
async def test_unknown_routes_have_the_same_envelope(
    app: Starlette, call: Call, method: str, path: str, status: int
) -> None:
    """No redirect and no plain text."""
    assert_refused(await call(app, path, method=method), status, "")


async def test_a_scripted_failure_is_answered_as_often_as_told_and_makes_nothing(call: Call) -> None:
    """Two refusals, then one persona."""
    app = build_sandbox(failures=[Failure(429, "Slow down.", headers={"Retry-After": "7"}, times=2)])
    for _ in range(2):
        answer = await call(app, GENERATE, json=BODY)
        assert_refused(answer, 429, "Slow down.")
        assert answer.headers["retry-after"] == "7"
        assert app.state.sandbox.credits_used == 0
    assert len(rows(await call(app, GENERATE, json=BODY))) == 1


async def test_a_scripted_failure_may_be_of_any_path_and_body(call: Call) -> None:
    """Here a gateway's page, for the list of personas only."""
    page = Failure(
        502, path="/api/v2/persona/list", body=b"<html>Bad gateway</html>", headers={"content-type": "text/html"}
    )
    app = build_sandbox(failures=[page])
    assert (await call(app, "product/list")).status_code == 200
    answer = await call(app, "persona/list")
    assert (answer.status_code, answer.content) == (502, b"<html>Bad gateway</html>")
    assert answer.headers["content-type"] == "text/html"


async def test_requests_are_remembered_without_their_key(call: Call) -> None:
    """Failed ones too; look-ups have an empty body."""
    app = build_sandbox(failures=[Failure(500)])
    await call(app, GENERATE, json=BODY, key="secret-key")
    await call(app, "product/list", key="secret-key")
    seen = [("POST", "/api/v2/persona/generate", BODY), ("GET", "/api/v2/product/list", {})]
    assert app.state.sandbox.requests == seen


async def test_no_more_than_the_last_thousand_requests_are_remembered(app: Starlette) -> None:
    """A sandbox that runs for days does not grow without end."""
    for number in range(1005):
        app.state.sandbox.record_request("GET", f"/{number}", {})
    assert len(app.state.sandbox.requests) == 1000
    assert app.state.sandbox.requests[-1] == ("GET", "/1004", {})


# --- Look-ups ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LOOKUPS)
async def test_each_answer_says_that_it_is_made_up(app: Starlette, call: Call, path: str) -> None:
    """All have the API's metadata, and look-ups cost nothing."""
    metadata = (await call(app, path)).json()["_metadata"]
    assert set(metadata) == {"usage", "requestId", "message", "timestamp"}
    assert (metadata["usage"], metadata["message"]) == (0, MADE_UP)


async def test_a_generated_persona_is_found_by_its_oid(app: Starlette, call: Call, generate: Generate) -> None:
    """`persona/get` has the persona's fields at the top level."""
    [made] = await generate("CISO")
    answer = (await call(app, "persona/get", params={"oId": made["oId"]})).json()
    assert answer.pop("_metadata")["usage"] == 0
    assert answer == made


async def test_getting_a_persona_needs_an_oid_that_exists(app: Starlette, call: Call) -> None:
    """Without one it is a 400, with an unknown one a 404."""
    assert_refused(await call(app, "persona/get"), 400, "oId: required")
    assert_refused(await call(app, "persona/get", params={"oId": "pe_none"}), 404, "no such persona")


async def test_the_library_has_example_personas_and_new_ones_come_first(
    app: Starlette, call: Call, generate: Generate
) -> None:
    """Three are there from the start."""
    examples = ["Head of Customer Success", "Chief Information Security Officer", "VP of Sales"]
    assert names(await call(app, "persona/list")) == examples
    await generate("CISO", name="Newest")
    assert names(await call(app, "persona/list")) == ["Newest", *examples]


async def test_lists_come_in_pages(app: Starlette, call: Call) -> None:
    """`hasNext` and `total` tell what is left."""
    first = (await call(app, "persona/list", params={"limit": 2})).json()
    rest = (await call(app, "persona/list", params={"limit": 2, "offset": 2})).json()
    assert (first["hasNext"], first["total"], len(first["data"])) == (True, 3, 2)
    assert (rest["hasNext"], rest["total"], len(rest["data"])) == (False, 3, 1)


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": "many"}, {"limit": "9" * 5000}, {"offset": -1}, {"limit": "²"}]
)
async def test_a_wrong_page_is_refused(app: Starlette, call: Call, query: dict[str, Any]) -> None:
    """The message names the parameter."""
    assert_refused(await call(app, "persona/list", params=query), 400, f"{next(iter(query))}: must be a whole number")


async def test_personas_are_found_by_text_link_and_owner(app: Starlette, call: Call, generate: Generate) -> None:
    """Each filter of the list leaves what it says."""
    linking = {"mode": "SPECIFIC", "offeringOIds": ["o_launch"]}
    await generate("CISO", name="Linked", linkingStrategy=linking, playbookOId="pb_security")
    await generate("CISO", name="Primary", primaryOfferingOId="o_trust")
    expected: list[tuple[dict[str, str], list[str]]] = [
        ({"text": "LINKED"}, ["Linked"]),
        ({"queryType": "MINE"}, ["Primary", "Linked"]),
        ({"queryType": "MINE", "productOId": "o_trust"}, ["Primary"]),
        ({"queryType": "MINE", "productOId": "o_launch"}, ["Linked"]),
        ({"playbookOId": "pb_security"}, ["Linked"]),
        ({"text": "no such words"}, []),
    ]
    for query, wanted in expected:
        assert names(await call(app, "persona/list", params=query)) == wanted
    assert_refused(await call(app, "persona/list", params={"queryType": "ours"}), 400, "queryType: must be one of")


async def test_offerings_are_found_by_kind_oid_and_text(app: Starlette, call: Call) -> None:
    """Two products and a service, one of them for security."""
    offerings = ["Quillhaven Forecast", "Quillhaven Trust", "Quillhaven Launch"]
    assert names(await call(app, "product/list")) == offerings
    assert names(await call(app, "product/list", params={"type": "SERVICE"})) == ["Quillhaven Launch"]
    assert names(await call(app, "product/list", params={"productOId": "o_trust"})) == ["Quillhaven Trust"]
    assert names(await call(app, "product/list", params={"text": "security"})) == ["Quillhaven Trust"]


async def test_playbooks_are_found_by_their_offering(app: Starlette, call: Call) -> None:
    """The service is sold by one of three playbooks."""
    assert len(rows(await call(app, "playbook/list"))) == 3
    assert names(await call(app, "playbook/list", params={"productOId": "o_launch"})) == ["Mid-Market Quick Start"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_each_kind_has_its_list_in_octaves_shape(app: Starlette, call: Call, kind: Kind) -> None:
    """A kind that is declared is served, with the rows and the filters that it is declared to have."""
    path = kind.path.removeprefix("/api/v2/")
    whole = (await call(app, path)).json()
    page = whole["data"] if kind.nested else whole
    assert [row["oId"] for row in page["data"]] == [entry.oid for entry in entries(kind)]
    assert entries(kind), "a kind without entries cannot be tried out"
    searched = (await call(app, path, params={"text": "no such words"})).json()
    assert bool((searched["data"] if kind.nested else searched)["data"]) is not kind.searchable


async def test_brand_voices_are_nested_and_know_no_text(app: Starlette, call: Call) -> None:
    """Only this list has its rows one level further down; one voice is the default."""
    answer = (await call(app, "brand-voice/list", params={"text": "founder"})).json()
    assert set(answer) == {"_metadata", "data"}
    assert (answer["data"]["hasNext"], answer["data"]["total"]) == (False, 3)
    assert [row["name"] for row in answer["data"]["data"] if row["default"]] == ["Founder's Voice"]


async def test_resources_are_found_by_name_or_oid(app: Starlette, call: Call, generate: Generate) -> None:
    """What the list shows can be used as a source either way."""
    for row in rows(await call(app, "resource/list")):
        for value in (row["oId"], row["name"].upper()):
            [made] = await generate({"type": "RESOURCE", "value": value})
            assert f"Written from the resource {row['name']}." in made["description"]


async def test_the_key_check_tells_the_credits(app: Starlette, call: Call, generate: Generate) -> None:
    """One persona costs one of the thousand credits."""
    await generate("CISO")
    answer = (await call(app, "api-key/validate")).json()
    assert (answer["status"], answer["valid"], answer["workspaceOId"]) == ("ok", True, "wa_sandbox")
    credits_left = answer["credits"]
    assert (credits_left["totalUsed"], credits_left["creditsAvailable"], credits_left["totalMax"]) == (1, 999, 1000)


async def test_each_answer_has_a_request_id_of_its_own(app: Starlette, call: Call) -> None:
    """Errors too."""
    answers = [await call(app, path) for path in ("persona/list", "persona/get", "nowhere")]
    identifiers = [answer.json()["_metadata"]["requestId"] for answer in answers]
    assert identifiers == [f"req_{number:06d}" for number, _ in zip(count(1), answers, strict=False)]
