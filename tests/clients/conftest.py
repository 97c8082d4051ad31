"""Two clients that take a minute start before the first of these tests, and their tests come last."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest
from support.npm import node
from support.typescript import ClientRun, run_typescript_client

Early = dict[str, Future[ClientRun]]


def _waits(item: pytest.Item) -> bool:
    return "early" in getattr(item, "fixturenames", ())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of these two at the end."""
    items.sort(key=_waits)


@pytest.fixture(scope="session")
def early(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Early]:
    """Run the two clients. A persona takes longer than the client's limit for a request: 60 seconds by default."""
    node()  # here, where the tests can be skipped if npm cannot bring it
    home = str(tmp_path_factory.mktemp("early"))
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("OCTAVE_", "OTEL_"))}
    env = outside | {"HOME": home, "XDG_DATA_HOME": home}
    apart = env | {"OCTAVE_MCP_STATE_URL": "memory://"}  # else the two ask for the same, and share it
    with ThreadPoolExecutor() as beside:
        yield {
            "with its defaults": beside.submit(asyncio.run, run_typescript_client(env, "1", takes=62)),
            "that listens": beside.submit(
                asyncio.run, run_typescript_client(apart, "1", takes=11, patience=9000, listens=True)
            ),
        }


@pytest.fixture(scope="package", autouse=True)
def _begin(request: pytest.FixtureRequest) -> None:
    """Start the two clients if one of their tests is to run, and nothing that they need is missing."""
    if any(map(_waits, request.session.items)):
        with suppress(pytest.skip.Exception):
            request.getfixturevalue("early")
