"""One browser for all tests of the cards, and a host for each."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client
from support.browser import Browser, browser
from support.cards_host import Host, Tool, open_host

from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings

Opener = Callable[..., Host]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Start the browser once: that takes longer than most of the tests."""
    with browser() as started:
        yield started


@pytest.fixture
def open_cards(chromium: Browser) -> Iterator[Opener]:
    """Open a host with the cards. Each is closed at the end, when nothing may have been blocked or thrown in it."""
    opened: list[Host] = []

    def open_one(tool: Tool | None = None, **options: Any) -> Host:
        opened.append(open_host(chromium, tool, **options))
        return opened[-1]

    yield open_one
    problems = [problem for host in opened for problem in host.page.problems]
    for host in opened:
        host.page.close()
    assert problems == []


@pytest.fixture
def sandbox() -> Iterator[Tool]:
    """Return the tools of a real server, in front of the sandbox."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(build_server(Settings(sandbox=True)))) as client,
    ):

        def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            result = portal.call(client.call_tool, name, arguments)
            return cast("dict[str, Any]", result.model_dump(mode="json", by_alias=True, exclude_none=True))

        yield call
