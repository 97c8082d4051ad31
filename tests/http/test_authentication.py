"""Authentication over HTTP: tokens, callers' own keys and OAuth; and the answer to whoever is refused."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from support import faults
from support.http import ASKING, HEADERS, called, client, post, result_in, said, serving
from support.upstream import Request, Respond, Upstream, answer, by_the_page, upstream

from octave_mcp.http import credentials, oauth
from octave_mcp.http.credentials import WatchedFile, is_among, read_subject_keys, read_tokens
from octave_mcp.http.settings import Authentication, HttpSettings
from octave_mcp.settings import SettingsError, load

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"
TOKENS = ("token-of-the-first-one", "token-of-the-other-one")


@pytest.fixture(autouse=True)
def _looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes counts at once."""
    monkeypatch.setattr(credentials, "CHECK_SECONDS", 0.0)


# --- Tokens -----------------------------------------------------------------------------------------------------------


async def test_a_token_lets_its_holder_in_and_nobody_else() -> None:
    """Several at a time; the server's key is what Octave sees, and never the token."""
    async with (
        upstream(by_the_page) as octave,
        serving(api_key=KEY, base_url=octave.url, tokens=",".join(TOKENS)) as url,
    ):
        for token in TOKENS:
            asking = {"personas": [{**ASKING["personas"][0], "name": f"for {token[-9:]}"}]}
            # Several spaces are one, as RFC 6750 has it.
            assert not (await called(url, "generate_personas", asking, authorization=f"bearer   {token}"))["isError"]
        wrong = [
            "Bearer token-of-the-first-on",
            f"Bearer {TOKENS[0]}x",
            f"Basic {TOKENS[0]}",
            "Bearer",
            "Bearer ü" * 9,
        ]
        for given in wrong:
            refused = await post(url, "tools/list", authorization=given.encode())  # type: ignore[arg-type]
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith(
                "Bearer",
            )
        assert (await post(url, "tools/list")).status_code == 401
        assert [request.header("api_key") for request in octave.requests] == [KEY, KEY]
        assert not any(TOKENS[0] in str(request.headers) for request in octave.requests)


async def test_tokens_are_rotated_without_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is in the file counts; a file that cannot be read lets nobody in, and the log says so."""
    file = tmp_path / "tokens"
    file.write_text(f"# the team's\n{TOKENS[0]}\n", encoding="utf-8")
    async with serving(sandbox=True, tokens_file=file, local=False, allowed_hosts="x") as url:

        async def statuses() -> list[int]:
            return [(await post(url, "tools/list", authorization=f"Bearer {one}")).status_code for one in TOKENS]

        assert await statuses() == [200, 401]
        file.write_text("\n".join(TOKENS), encoding="utf-8")
        assert await statuses() == [200, 200]
        file.write_text(TOKENS[1], encoding="utf-8")
        assert await statuses() == [401, 200]
        for broken in ("", "# nothing\n", "short", "a token with spaces in it"):
            file.write_text(broken, encoding="utf-8")
            assert await statuses() == [401, 401]
        file.unlink()
        assert await statuses() == [401, 401]
        assert "OCTAVE_MCP_TOKENS_FILE" in caplog.text
        assert "short" not in caplog.text
        file.write_text(TOKENS[0], encoding="utf-8")
        assert await statuses() == [200, 401]


def test_a_file_is_looked_at_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes before a change counts, so that a flood of calls does not read it each time."""
    monkeypatch.setattr(credentials, "CHECK_SECONDS", 1.0)
    (tmp_path / "f").write_text(TOKENS[0], encoding="utf-8")
    moment = [0.0]
    nobody: frozenset[bytes] = frozenset()
    watched = WatchedFile("S", tmp_path / "f", read_tokens, nobody, now=lambda: moment[0])
    assert is_among(TOKENS[0], watched.content())
    (tmp_path / "f").write_text(TOKENS[1], encoding="utf-8")
    assert is_among(TOKENS[0], watched.content())
    moment[0] += 1
    assert is_among(TOKENS[1], watched.content())
    assert not is_among(TOKENS[0], watched.content())


# --- Each caller's own key --------------------------------------------------------------------------------------------


async def test_each_callers_key_is_used_for_their_calls_only() -> None:
    """Without one there is a session all the same, and a text that says what to do."""
    async with upstream(by_the_page) as octave, serving(caller_keys=True, base_url=octave.url) as url:
        for key in ("sk-of-the-first", "sk-of-the-other"):
            async with client(url, x_octave_api_key=key) as one:
                assert not (await one.call_tool("generate_personas", ASKING)).is_error
        assert [request.header("api_key") for request in octave.requests] == ["sk-of-the-first", "sk-of-the-other"]
        async with client(url) as nobody:
            assert len((await nobody.list_tools()).tools) == 6
            result = await nobody.call_tool("list_personas", {})
            assert result.is_error
            assert "X-Octave-Api-Key" in result.content[0].text  # type: ignore[union-attr]
        for bad in ("", "a b", '"quoted"', "${OCTAVE_API_KEY}"):
            result_ = await called(url, "generate_personas", ASKING, x_octave_api_key=bad)
            assert result_["isError"]
            assert "X-Octave-Api-Key" in said(result_)
            assert "Nothing was sent to Octave" in said(result_)
        assert len(octave.requests) == 2


async def test_two_keys_are_one_too_many() -> None:
    """Which of them is meant, nobody can tell."""
    async with serving(caller_keys=True) as url, httpx.AsyncClient() as http:
        twice = [*HEADERS.items(), ("x-octave-api-key", "sk-one"), ("X-Octave-Api-Key", "sk-one")]
        refused = await http.post(url, content="{}", headers=twice)
        assert refused.status_code == 400
        assert "more than once" in refused.text


async def test_a_key_that_would_not_be_used_is_refused() -> None:
    """Otherwise its holder would spend from another account without knowing it."""
    async with upstream(by_the_page) as octave, serving(api_key=KEY, base_url=octave.url) as url:
        refused = await post(url, "tools/list", x_octave_api_key="sk-mine")
        assert refused.status_code == 400
        assert "OCTAVE_MCP_CALLER_KEYS" in refused.text
        # What carries a token elsewhere carries no key here.
        assert not (await called(url, "list_personas", {}, authorization="Bearer sk-mine", api_key="sk-mine"))[
            "isError"
        ]
        assert [request.header("api_key") for request in octave.looked_up] == [KEY]


async def test_a_key_that_octave_refuses_is_told_in_words() -> None:
    """The session goes on."""

    async def refuse(_: Request, writer: Any) -> None:
        writer.write(answer({"message": "Invalid API key"}, status=401))

    async with upstream(refuse) as octave, serving(caller_keys=True, base_url=octave.url) as url:
        octave.look_up = refuse
        async with client(url, x_octave_api_key="sk-wrong") as one:
            for tool, arguments in (("generate_personas", ASKING), ("list_personas", {})):
                result = await one.call_tool(tool, arguments)
                assert "key" in result.content[0].text  # type: ignore[union-attr]
            assert len((await one.list_tools()).tools) == 6


async def test_a_server_without_its_key_says_so() -> None:
    """As over stdio."""
    async with serving() as url, client(url) as one:
        result = await one.call_tool("generate_personas", ASKING)
        assert result.is_error
        assert "OCTAVE_API_KEY" in result.content[0].text  # type: ignore[union-attr]


# --- OAuth ------------------------------------------------------------------------------------------------------------

ISSUER = "https://login.example.com"
PUBLIC = "https://personas.example.com/mcp"


class Issuer:
    """An authorization server's keys, and the tokens that it signs."""

    def __init__(self) -> None:
        """Have one key."""
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.is_down = False
        self.add("first")

    def add(self, kid: str) -> None:
        """Have another key."""
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(self, kid: str = "first", *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that is good, but for what is said otherwise; a claim that is None is left out."""
        now = int(time.time())
        good = {"iss": ISSUER, "aud": PUBLIC, "sub": "ann", "exp": now + 60, "iat": now, "scope": "personas other"}
        said_ = {name: value for name, value in {**good, **claims}.items() if value is not None}
        headers = {name: value for name, value in {"kid": kid, **(header or {})}.items() if value is not None}
        return jwt.encode(said_, self.keys[kid], algorithm="RS256", headers=headers)

    async def __call__(self, _: Request, writer: Any) -> None:
        """Publish the keys."""
        if self.is_down:
            writer.write(answer({"error": "down"}, status=500))
            return
        algorithm = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
        published = [{**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid} for kid, key in self.keys.items()]
        writer.write(answer({"keys": published}))


@asynccontextmanager
async def behind_oauth(
    issuer: Issuer, public: str = PUBLIC, **settings: Any
) -> AsyncIterator[tuple[str, Upstream, Upstream]]:
    """The server's address, the upstream, and where the keys are."""
    async with upstream(by_the_page) as octave, upstream(by_the_page) as login:
        login.look_up = issuer
        known: dict[str, Any] = {"oauth_issuer": ISSUER, "oauth_jwks_url": f"{login.url}/jwks", "public_url": public}
        async with serving(base_url=octave.url, **known, oauth_scopes="personas", **settings) as url:
            yield url, octave, login


async def test_a_good_access_token_lets_in_and_goes_no_further() -> None:
    """With all that it must have; the server's key is what Octave sees."""
    issuer = Issuer()
    async with behind_oauth(issuer, api_key=KEY) as (url, octave, login):
        for claims in ({}, {"aud": [PUBLIC, "other"]}, {"scope": None, "scp": ["personas"]}, {"client_id": "chat"}):
            token = issuer.token(**claims)
            async with client(url, authorization=f"Bearer {token}") as one:
                assert not (await one.call_tool("list_personas", {})).is_error
        assert {request.header("api_key") for request in octave.looked_up} == {KEY}
        assert not any(request.header("authorization") for request in octave.looked_up)
        assert len(login.looked_up) == 1, "keys are fetched once"


BAD: dict[str, Callable[[Issuer], str]] = {
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - 60),
    "not yet": lambda issuer: issuer.token(nbf=int(time.time()) + 90),
    "another's": lambda issuer: issuer.token(iss="https://evil.example"),
    "for another server": lambda issuer: issuer.token(aud="https://other.example.com/mcp"),
    "for a server of a longer name": lambda issuer: issuer.token(aud=f"{PUBLIC}/x"),
    "for nobody": lambda issuer: issuer.token(aud=None),
    "of nobody": lambda issuer: issuer.token(sub=None),
    "for ever": lambda issuer: issuer.token(exp=None),
    "of another key": lambda _: Issuer().token(),
    "of an unknown key": lambda issuer: issuer.token(header={"kid": "none"}),
    "unsigned": lambda _: jwt.encode({"iss": ISSUER, "aud": PUBLIC, "sub": "ann", "exp": 2**33}, "", algorithm="none"),
    "signed with what is public": lambda _: jwt.encode(
        {"iss": ISSUER, "aud": PUBLIC, "sub": "ann", "exp": 2**33},
        "p" * 64,
        algorithm="HS256",
        headers={"kid": "first"},
    ),
    "no token": lambda _: "eyJ.x.y",
}


async def test_a_bad_access_token_does_not() -> None:
    """Whatever is wrong with it; and a client is told where to get one."""
    issuer = Issuer()
    async with behind_oauth(issuer, api_key=KEY) as (url, octave, _):
        for name, made in BAD.items():
            refused = await post(url, "tools/list", authorization=f"Bearer {made(issuer)}")
            assert (name, refused.status_code) == (name, 401)
        challenge = (await post(url, "tools/list")).headers["www-authenticate"]
        assert 'resource_metadata="https://personas.example.com/.well-known/oauth-protected-resource/mcp"' in challenge
        short = await post(url, "tools/list", authorization=f"Bearer {issuer.token(scope='other')}")
        assert (short.status_code, "insufficient_scope" in short.text) == (403, True)
        async with httpx.AsyncClient() as http:
            told = (await http.get(url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp"))).json()
        assert (told["resource"], told["scopes_supported"]) == (PUBLIC, ["personas"])
        assert told["authorization_servers"] == [ISSUER]
        assert not octave.looked_up


REASONS = {
    "expired": "expired",
    "not yet": "not valid yet",
    "another's": "another issuer (iss)",
    "for another server": "another audience (aud)",
    "for nobody": "another audience (aud)",
    "of nobody": "lacks one of the claims",
    "of another key": "signature",
    "of an unknown key": "(kid)",
    "unsigned": "(alg)",
    "no token": "not a well-formed JWT",
}


async def test_a_refusal_says_why_to_its_caller_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """In the challenge, as RFC 6750 has it, and at the log's default level; the token itself is in neither."""
    issuer = Issuer()
    async with behind_oauth(issuer, api_key=KEY) as (url, _, __):
        for name, reason in REASONS.items():
            caplog.clear()
            token = BAD[name](issuer)
            challenge = (await post(url, "tools/list", authorization=f"Bearer {token}")).headers["www-authenticate"]
            (line,) = [one for one in caplog.records if one.name.startswith("octave_mcp")]
            assert reason in challenge
            assert 'error="invalid_token"' in challenge
            assert (line.levelname, reason in line.getMessage()) == ("WARNING", True)
            assert token not in challenge + caplog.text
        nothing = (await post(url, "tools/list")).headers["www-authenticate"]
        assert "error" not in nothing, "whoever sends no token is not told that it is bad"
    assert "OCTAVE_MCP_OAUTH_AUDIENCE" not in caplog.text


async def test_the_log_shows_an_audience_that_the_operator_may_want_to_accept(caplog: pytest.LogCaptureFixture) -> None:
    """Identity providers write different things there, and no document says what until one looks."""
    issuer = Issuer()
    async with behind_oauth(issuer, api_key=KEY) as (url, _, __):
        await post(url, "tools/list", authorization=f"Bearer {issuer.token(aud='api://personas')}")
    assert "api://personas" in caplog.text
    assert "OCTAVE_MCP_OAUTH_AUDIENCE" in caplog.text


AUDIENCES: list[tuple[dict[str, Any], int]] = [
    ({}, 200),
    ({"aud": f"{PUBLIC}/"}, 200),
    ({"aud": "api://personas"}, 200),
    ({"aud": ["x", "account"]}, 200),
    ({"aud": None, "client_id": "account"}, 200),
    ({"aud": None, "client_id": PUBLIC}, 401),
    ({"aud": "other", "client_id": "account"}, 401),
    ({"aud": "api://Personas"}, 401),
    ({"aud": "api://personas/"}, 401),
    ({"aud": "https://personas.example.com"}, 401),
    ({"aud": []}, 401),
    ({"aud": None, "client_id": ["account"]}, 401),
    ({"aud": None, "client_id": {"account": 1}}, 401),
]


async def test_other_audiences_are_accepted_exactly_if_they_are_set() -> None:
    """A provider that writes the client's id in place of the audience is accepted by that id."""
    issuer = Issuer()
    async with behind_oauth(issuer, api_key=KEY, oauth_audience="api://personas, account") as (url, _, __):
        for claims, status in AUDIENCES:
            answered = await post(url, "tools/list", authorization=f"Bearer {issuer.token(**claims)}")
            assert (claims, answered.status_code) == (claims, status)


async def test_a_token_without_a_key_id_is_checked_with_the_only_key() -> None:
    """RFC 7515 has the id optional. With two keys it is needed, and a wrong signature stays one."""
    issuer = Issuer()
    async with behind_oauth(issuer, api_key=KEY) as (url, _, login):
        for token, status in (
            (issuer.token(header={"kid": None}), 200),
            (issuer.token(header={"kid": None}), 200),
            (Issuer().token(header={"kid": None}), 401),
        ):
            assert (await post(url, "tools/list", authorization=f"Bearer {token}")).status_code == status
        assert len(login.looked_up) == 1
    issuer.add("second")
    async with behind_oauth(issuer, api_key=KEY) as (url, _, __):
        refused = await post(url, "tools/list", authorization=f"Bearer {issuer.token(header={'kid': None})}")
        assert (refused.status_code, "(kid)" in refused.text) == (401, True)


async def test_the_keys_are_asked_for_by_name_and_the_log_has_the_status(caplog: pytest.LogCaptureFixture) -> None:
    """Firewalls turn away the standard library's user agent."""
    issuer = Issuer()
    issuer.is_down = True
    async with behind_oauth(issuer, api_key=KEY) as (url, _, login):
        await post(url, "tools/list", authorization=f"Bearer {issuer.token()}")
        (request,) = login.looked_up
        assert (request.header("user-agent") or "").startswith("octave-personas-mcp/")
        assert request.header("accept") == "application/json"
    assert "HTTP status 500" in caplog.text


@pytest.mark.parametrize("public", [PUBLIC, f"{PUBLIC}/"])
async def test_the_resource_metadata_is_found_wherever_clients_look(public: str) -> None:
    """At the path of RFC 9728, with or without a slash, and at the root; from any page."""
    async with behind_oauth(Issuer(), api_key=KEY, public=public) as (url, _, __), httpx.AsyncClient() as http:
        for path in ("", "/mcp", "/mcp/"):
            where = url.replace("/mcp", f"/.well-known/oauth-protected-resource{path}")
            answered = await http.get(where, headers={"origin": "https://any.example"})
            assert (path, answered.status_code, answered.json()["resource"]) == (path, 200, public)
            assert answered.headers["access-control-allow-origin"] == "*"


async def test_keys_that_cannot_be_had_are_no_bad_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that was told to sign in again would do so for ever. It is soon as it was."""
    monkeypatch.setattr(oauth, "JWKS_PAUSE_SECONDS", 0.0)
    issuer = Issuer()
    issuer.is_down = True
    async with behind_oauth(issuer, api_key=KEY) as (url, _, __):
        down = await post(url, "tools/list", authorization=f"Bearer {issuer.token()}")
        assert (down.status_code, down.headers["retry-after"]) == (503, "10")
        issuer.is_down = False
        assert (await post(url, "tools/list", authorization=f"Bearer {issuer.token()}")).status_code == 200


async def test_made_up_tokens_do_not_have_the_keys_fetched_each_time() -> None:
    """Nor does a dead authorization server have every call wait for it."""
    issuer = Issuer()
    async with behind_oauth(issuer, api_key=KEY) as (url, _, login):
        for number in range(5):
            await post(url, "tools/list", authorization=f"Bearer {issuer.token(header={'kid': str(number)})}")
        assert len(login.looked_up) <= 2
    issuer.is_down = True
    async with behind_oauth(issuer, api_key=KEY) as (url, _, login):
        for _ in range(5):
            assert (await post(url, "tools/list", authorization=f"Bearer {issuer.token()}")).status_code == 503
        assert len(login.looked_up) == 1


async def test_a_forged_token_shuts_nobody_out_while_keys_cannot_be_had() -> None:
    """Whose key is known is let in all the same."""
    issuer = Issuer()
    async with behind_oauth(issuer, api_key=KEY) as (url, _, login):
        good = f"Bearer {issuer.token()}"
        assert (await post(url, "tools/list", authorization=good)).status_code == 200
        login.respond = login.look_up = _no_keys
        forged = f"Bearer {Issuer().token(header={'kid': 'another'})}"
        assert (await post(url, "tools/list", authorization=forged)).status_code in {401, 503}
        assert (await post(url, "tools/list", authorization=good)).status_code == 200


@pytest.mark.parametrize("content", [b"[]", b"<html>", b"[" * 200_000, b"{}", b'{"keys": []}'])
async def test_keys_that_are_none_are_keys_that_cannot_be_had(content: bytes) -> None:
    """Whatever is published in their place."""

    async def publish(_: Request, writer: Any) -> None:
        writer.write(answer(content))

    issuer = Issuer()
    async with behind_oauth(issuer, api_key=KEY) as (url, _, login):
        login.look_up = publish
        assert (await post(url, "tools/list", authorization=f"Bearer {issuer.token()}")).status_code == 503


@pytest.mark.parametrize("fault", [faults.resets, faults.resets_in_the_body, faults.closes, faults.talks_garbage])
async def test_keys_whose_connection_breaks_are_keys_that_cannot_be_had(fault: Respond) -> None:
    """The library maps some of these errors, and not that of a reset."""
    issuer = Issuer()
    async with behind_oauth(issuer, api_key=KEY) as (url, _, login):
        login.look_up = fault
        assert (await post(url, "tools/list", authorization=f"Bearer {issuer.token()}")).status_code == 503


async def test_a_token_that_counts_in_words_is_no_servers_error() -> None:
    """As some authorization servers write it."""
    issuer = Issuer()
    async with behind_oauth(issuer, api_key=KEY) as (url, _, __):
        odd = await post(url, "tools/list", authorization=f"Bearer {issuer.token(exp='9999999999')}")
        assert odd.status_code in {200, 401}


async def test_two_tokens_are_one_too_many() -> None:
    """Which of them is meant, nobody can tell."""
    async with serving(sandbox=True, tokens=TOKENS[0]) as url, httpx.AsyncClient() as http:
        one = ("authorization", f"Bearer {TOKENS[0]}")
        assert (await http.post(url, content="{}", headers=[*HEADERS.items(), one, one])).status_code == 400


async def _no_keys(_: Request, writer: Any) -> None:
    writer.transport.abort()


@pytest.mark.parametrize(
    ("given", "published"),
    [
        ("https://Personas.Example.com:443/mcp", "https://personas.example.com/mcp"),
        ("https://personas.example.com", "https://personas.example.com"),
        ("https://personas.example.com:8443/mcp", "https://personas.example.com:8443/mcp"),
        ("http://[::1]:80/mcp", "http://[::1]/mcp"),
    ],
)
def test_the_public_url_is_as_clients_compare_it(given: str, published: str) -> None:
    """Small letters, and no port that goes without saying."""
    assert load(HttpSettings, public_url=given).public_url == published


async def test_each_account_has_the_key_that_is_held_for_it(tmp_path: Path) -> None:
    """And one that has none is told so, in a session."""
    issuer, file = Issuer(), tmp_path / "keys.json"
    file.write_text('{"ann": "sk-of-ann", "bob": "sk-of-bob"}', encoding="utf-8")
    async with behind_oauth(issuer, subject_keys_file=file) as (url, octave, _):

        async def look(subject: str) -> dict[str, Any]:
            token = issuer.token(sub=subject)
            return await called(url, "list_personas", {}, authorization=f"Bearer {token}")

        for subject in ("ann", "bob"):
            assert not (await look(subject))["isError"]
        assert [request.header("api_key") for request in octave.looked_up] == ["sk-of-ann", "sk-of-bob"]
        assert "OCTAVE_MCP_SUBJECT_KEYS_FILE" in said(await look("eve"))
        file.write_text('{"eve": "sk-of-eve"}', encoding="utf-8")
        assert not (await look("eve"))["isError"]
        assert (await look("ann"))["isError"]


# --- Settings ---------------------------------------------------------------------------------------------------------

OAUTH = {"oauth_issuer": ISSUER, "oauth_jwks_url": f"{ISSUER}/jwks", "public_url": PUBLIC}


@pytest.mark.parametrize(
    ("settings", "authentication"),
    [
        ({}, Authentication.NONE),
        ({"api_key": KEY}, Authentication.NONE),
        ({"tokens": TOKENS[0]}, Authentication.TOKENS),
        ({"caller_keys": True}, Authentication.CALLER_KEYS),
        (OAUTH, Authentication.OAUTH),
    ],
)
def test_there_is_one_way_to_authenticate_callers(settings: dict[str, Any], authentication: Authentication) -> None:
    """None, for this machine."""
    assert load(HttpSettings, **settings).authentication is authentication


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"tokens": "tooshort"}, "OCTAVE_MCP_TOKENS contains a token that is shorter than 16"),
        ({"tokens": ","}, "OCTAVE_MCP_TOKENS contains no token"),
        ({"tokens_file": Path("/nowhere/at/all")}, "OCTAVE_MCP_TOKENS_FILE names a file that cannot be read"),
        ({"subject_keys_file": Path(__file__)}, "OCTAVE_MCP_SUBJECT_KEYS_FILE does not contain JSON"),
        ({"tokens": TOKENS[0], "caller_keys": True}, "choose one way"),
        ({**OAUTH, "tokens": TOKENS[0]}, "choose one way"),
        ({"caller_keys": True, "api_key": KEY}, "this server must not have a key"),
        ({"oauth_issuer": ISSUER}, "needs OCTAVE_MCP_OAUTH_JWKS_URL and OCTAVE_MCP_PUBLIC_URL"),
        ({"oauth_scopes": "a"}, "OCTAVE_MCP_OAUTH_SCOPES need OCTAVE_MCP_OAUTH_ISSUER"),
        ({**OAUTH, "oauth_jwks_url": "http://login.example.com/jwks"}, "OCTAVE_MCP_OAUTH_JWKS_URL must be https"),
        ({"public_url": "personas.example.com"}, "OCTAVE_MCP_PUBLIC_URL must be an address"),
        ({"public_url": "https://[x"}, "OCTAVE_MCP_PUBLIC_URL must be an address"),
        ({"allowed_hosts": "*"}, "OCTAVE_MCP_ALLOWED_HOSTS must be names"),
        ({"allowed_hosts": "https://x.example"}, "OCTAVE_MCP_ALLOWED_HOSTS must be names"),
        ({"allowed_origins": "chat.example.com"}, "OCTAVE_MCP_ALLOWED_ORIGINS must be origins"),
        ({"allowed_origins": "https://chat.example.com/x"}, "OCTAVE_MCP_ALLOWED_ORIGINS must be origins"),
        ({"allowed_origins": "*"}, "OCTAVE_MCP_ALLOWED_ORIGINS must be origins"),
        ({"allowed_origins": "https://*"}, "OCTAVE_MCP_ALLOWED_ORIGINS must be origins"),
        ({"allowed_origins": "null"}, "OCTAVE_MCP_ALLOWED_ORIGINS must be origins"),
        ({"oauth_audience": "x"}, "OCTAVE_MCP_OAUTH_AUDIENCE need OCTAVE_MCP_OAUTH_ISSUER"),
        ({"public_url": "https://x.example/mcp?a=b"}, "OCTAVE_MCP_PUBLIC_URL must be an address"),
        ({"public_url": "https://x.example/{path}"}, "OCTAVE_MCP_PUBLIC_URL must be an address"),
    ],
)
def test_settings_that_cannot_be_used_are_told_without_their_values(settings: dict[str, Any], text: str) -> None:
    """At the start, not at the first call."""
    with pytest.raises(SettingsError) as caught:
        load(HttpSettings, **settings)
    assert text in str(caught.value)
    assert TOKENS[0] not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "{}", '{"a": 1}', '{"a": ""}', '{"a": "b c"}', "[" * 100_000])
def test_a_file_of_keys_is_an_object_of_keys(text: str) -> None:
    """And nothing of it is shown."""
    with pytest.raises(ValueError, match="contain"):
        read_subject_keys(text)


async def test_the_public_urls_host_is_taken() -> None:
    """It need not be set twice."""
    async with serving(sandbox=True, public_url=PUBLIC) as url:
        assert result_in(await post(url, "tools/list", host="personas.example.com"))["tools"]
