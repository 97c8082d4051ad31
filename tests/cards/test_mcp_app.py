"""The page of the persona cards as clients and hosts receive it."""

import json
from typing import Literal

import pytest
from mcp import Client

from octave_mcp.cards.mcp_app import APP_URI, PAGE
from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings

pytestmark = pytest.mark.anyio

SHOWN = {"generate_personas", "get_generation", "get_persona", "list_personas"}
ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])
MAX_BYTES = 100_000
"""Bytes of the page: a host reads it for each result that it shows."""


@ERAS
async def test_four_tools_name_the_page_that_shows_their_results(era: Literal["auto", "legacy"]) -> None:
    """Both by the key of the stable text and by the flat one of before; the other tools name none."""
    async with Client(build_server(Settings(sandbox=True)), mode=era) as client:
        tools = (await client.list_tools()).tools
    metas = {tool.name: tool.meta for tool in tools if tool.meta}
    assert metas == {name: {"ui": {"resourceUri": APP_URI}, "ui/resourceUri": APP_URI} for name in SHOWN}


@ERAS
async def test_hosts_read_the_page_with_what_it_may_do(era: Literal["auto", "legacy"]) -> None:
    """It may load nothing and call nothing, and asks for no domain."""
    async with Client(build_server(Settings(sandbox=True)), mode=era) as client:
        (listed,) = [one for one in (await client.list_resources()).resources if one.uri == APP_URI]
        (page,) = (await client.read_resource(APP_URI)).contents
    assert listed.mime_type == page.mime_type == "text/html;profile=mcp-app"
    content = page.model_dump()
    assert content["text"] == PAGE.read_text(encoding="utf-8")
    for meta in (listed.meta, page.meta):
        assert meta is not None
        ui = meta["ui"]
        assert ui["csp"] == {"connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": []}
        assert ui["prefersBorder"] is True
        assert "domain" not in ui


async def test_the_server_says_that_it_has_a_page() -> None:
    """In the era in which a server's capabilities name its extensions."""
    async with Client(build_server(Settings(sandbox=True))) as client:
        capabilities = client.server_capabilities
    assert capabilities is not None
    assert "io.modelcontextprotocol/ui" in json.dumps(capabilities.model_dump(mode="json"))


def test_the_page_is_small_and_loads_nothing() -> None:
    """Everything is in it: no address, no evaluation of text as code, no markup from text."""
    page = PAGE.read_text(encoding="utf-8")
    assert len(page.encode()) < MAX_BYTES
    forbidden = ("http:", "https:", "//cdn", "<link", " src=", "@import", "url(", "eval(", "new Function")
    markup = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "setHTML", "DOMParser")
    assert [word for word in (*forbidden, *markup) if word in page.replace("/url\\(/", "")] == []
