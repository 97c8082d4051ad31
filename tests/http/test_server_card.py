"""The server card: public, cacheable, and nothing secret in it."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.http import serving

from octave_mcp import __version__
from octave_mcp.http.server_card import MEDIA_TYPE, NAME

pytestmark = pytest.mark.anyio

PUBLIC = "https://personas.example.com/team/mcp"
TOKEN = "token-of-the-first-one"
KEY = "sk-canary-0123456789"
OAUTH = {"oauth_issuer": "https://login.example.com", "oauth_jwks_url": "https://login.example.com/jwks"}


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({}, []),
        ({"tokens": TOKEN, "api_key": KEY}, ["Authorization"]),
        ({"caller_keys": True}, ["X-Octave-Api-Key"]),
        ({**OAUTH, "api_key": KEY}, []),
    ],
    ids=["none", "tokens", "caller keys", "oauth"],
)
async def test_the_card_says_where_the_server_is_and_what_to_send(settings: dict[str, Any], headers: list[str]) -> None:
    """To everybody, from any page, without authentication; no tools, no key, no token."""
    async with serving(public_url=PUBLIC, **settings) as url, httpx.AsyncClient() as http:
        for path in ("/mcp/server-card", "/team/mcp/server-card"):
            answered = await http.get(url.removesuffix("/mcp") + path, headers={"origin": "https://any.example"})
            assert (answered.status_code, answered.headers["content-type"]) == (200, MEDIA_TYPE)
            assert answered.headers["access-control-allow-origin"] == "*"
    card = answered.json()
    assert (card["name"], card["version"]) == (NAME, __version__)
    (remote,) = card["remotes"]
    assert (remote["type"], remote["url"]) == ("streamable-http", PUBLIC)
    assert "2026-07-28" in remote["supportedProtocolVersions"]
    assert [header["name"] for header in remote.get("headers", [])] == headers
    assert all(header["isRequired"] and header["isSecret"] for header in remote.get("headers", []))
    assert "tools" not in card
    assert not any(secret in answered.text for secret in (TOKEN, KEY, "login.example.com"))


async def test_the_card_is_cached_until_it_changes() -> None:
    """Its ETag answers whether it did, in any of the forms that caches send."""
    async with serving(sandbox=True, public_url=PUBLIC) as url, httpx.AsyncClient() as http:
        etag = (await http.get(f"{url}/server-card")).headers["etag"]
        for known, status in ((etag, 304), (f'"other", W/{etag}', 304), ("*", 304), ('"other"', 200)):
            answered = await http.get(f"{url}/server-card", headers={"if-none-match": known})
            assert (known, answered.status_code, answered.headers["etag"]) == (known, status, etag)
        several = await http.get(f"{url}/server-card", headers=[("if-none-match", '"other"'), ("if-none-match", etag)])
        assert several.status_code == 304
        assert (await http.post(f"{url}/server-card")).status_code == 405


async def test_the_scripts_of_any_page_can_use_the_etag() -> None:
    """A browser asks first whether a script may send If-None-Match, and shows it only the headers that are allowed."""
    asked = {"origin": "https://any.example", "access-control-request-method": "GET"}
    asked["access-control-request-headers"] = "if-none-match, mcp-protocol-version"
    async with serving(sandbox=True, public_url=PUBLIC) as url, httpx.AsyncClient() as http:
        allowed = await http.options(f"{url}/server-card", headers=asked)
        assert (allowed.status_code, allowed.text) == (204, "")
        assert allowed.headers["access-control-allow-headers"] == "*, authorization"  # which `*` does not cover
        assert "GET" in allowed.headers["access-control-allow-methods"]
        card = await http.get(f"{url}/server-card")
        again = await http.get(f"{url}/server-card", headers={"if-none-match": card.headers["etag"]})
        for answered in (allowed, card, again):
            assert answered.headers["access-control-allow-origin"] == "*"
            assert answered.headers["access-control-expose-headers"] == "etag"
        refused = await http.options(url, headers=asked)
        assert "access-control-allow-origin" not in refused.headers, "the endpoint itself stays closed"


async def test_there_is_no_card_without_a_public_url() -> None:
    """It could not say where the server is."""
    async with serving(sandbox=True) as url, httpx.AsyncClient() as http:
        assert (await http.get(f"{url}/server-card")).status_code == 404


def test_the_card_has_the_name_of_the_registry() -> None:
    """A client may have both."""
    listed = json.loads((Path(__file__).parents[2] / "deploy" / "server.json").read_text(encoding="utf-8"))
    assert listed["name"] == NAME
