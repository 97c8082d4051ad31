"""How these tests talk to a sandbox: with a real HTTP client."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from octave_mcp.sandbox import build_sandbox

Call = Callable[..., Awaitable[httpx.Response]]
Generate = Callable[..., Awaitable[list[dict[str, Any]]]]


@pytest.fixture
def app() -> Starlette:
    """A sandbox as it comes."""
    return build_sandbox()


@pytest.fixture
def call() -> Call:
    """Call a path of a sandbox; a body makes it a POST."""

    async def call_app(app: Starlette, path: str, *, key: str | None = "any", **options: Any) -> httpx.Response:
        headers = {} if key is None else {"api_key": key}
        method = options.pop("method", "POST" if {"json", "content"} & options.keys() else "GET")
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers) as client:
            return await client.request(method, f"/api/v2/{path}", **options)

    return call_app


@pytest.fixture
def generate(app: Starlette, call: Call) -> Generate:
    """Generate a persona from each text (or source), with the body's other fields by name."""

    async def generate_from(*sources: str | dict[str, str], name: str | None = None, **rest: Any) -> Any:
        given = [{"type": "TEXT", "value": each} if isinstance(each, str) else each for each in sources]
        named = {} if name is None else {"name": name}
        body = {"personas": [{**named, "sources": [source]} for source in given], **rest}
        answer = await call(app, "persona/generate", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    return generate_from
