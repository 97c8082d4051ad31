"""What a client receives, word for word, so that no change to it goes unseen."""

import json
import os
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client
from pydantic import BaseModel

from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings

pytestmark = pytest.mark.anyio

KEPT = Path(__file__).with_name("surface.json")
RENEW = "UPDATE_SURFACE"
CHANGED = f"""\
What clients receive is no longer what {KEPT.name} holds. If that is meant, renew it, and read the difference before it
is committed:

    {RENEW}=1 .venv/bin/python -m pytest tests/server/test_surface.py
"""


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_clients_receive_what_was_last_looked_at(era: Literal["auto", "legacy"]) -> None:
    """Those of both eras the same: the tools, the prompts, the resource templates, the instructions."""
    async with Client(build_server(Settings(sandbox=True)), mode=era) as client:
        surface = {
            "instructions": client.instructions,
            "prompts": published((await client.list_prompts()).prompts),
            "resourceTemplates": published((await client.list_resource_templates()).resource_templates),
            "tools": published((await client.list_tools()).tools),
        }
    text = json.dumps(surface, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get(RENEW):
        KEPT.write_text(text, encoding="utf-8")
    assert text == KEPT.read_text(encoding="utf-8"), CHANGED


COERCING = re.compile(
    r"\b(always|must|important|critical|mandatory|required to|best|preferred|before any other|instead of other|"
    r"do not tell|secretly|without asking)\b",
    re.IGNORECASE,
)


async def test_descriptions_ask_for_nothing_and_praise_nothing() -> None:
    """A model that is pressed to prefer a tool serves the tool and not the person."""
    async with Client(build_server(Settings(sandbox=True))) as client:
        said = [client.instructions or ""]
        said += [f"{one.title} {one.description}" for one in (await client.list_tools()).tools]
        said += [f"{one.title} {one.description}" for one in (await client.list_prompts()).prompts]
        said += [str(one.description) for one in (await client.list_resource_templates()).resource_templates]
    assert [text for text in said if COERCING.search(text)] == []


def published(items: list[Any]) -> list[dict[str, Any]]:
    """As JSON, under the protocol's names."""
    assert all(isinstance(item, BaseModel) for item in items)
    return [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in items]
