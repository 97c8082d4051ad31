"""What takes long begins before the first of these tests, goes on beside all others, and is looked at last."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest
from support.npm import node
from support.typescript import Met, meets

Early = dict[str, Future[Met]]


def _waits(item: pytest.Item) -> bool:
    return "early" in getattr(item, "fixturenames", ())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those that wait for it at the end."""
    items.sort(key=_waits)


@pytest.fixture(scope="session")
def early(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Early]:
    """Clients under way. The seconds are longer than what the client has for a request: 60 by default."""
    node()  # here, where the tests can be skipped if npm cannot bring it
    home = str(tmp_path_factory.mktemp("early"))
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("OCTAVE_", "OTEL_"))}
    env = outside | {"HOME": home, "XDG_DATA_HOME": home}
    apart = env | {"OCTAVE_MCP_STATE_URL": "memory://"}  # else the two ask for the same, and share it
    with ThreadPoolExecutor() as beside:
        yield {
            "with its defaults": beside.submit(asyncio.run, meets(env, "1", takes=62)),
            "that listens": beside.submit(asyncio.run, meets(apart, "1", takes=11, patience=9000, listens=True)),
        }


@pytest.fixture(scope="package", autouse=True)
def _begin(request: pytest.FixtureRequest) -> None:
    """Begin them where a test wants them that is still to come, and nothing is missing for them."""
    if any(map(_waits, request.session.items)):
        with suppress(pytest.skip.Exception):
            request.getfixturevalue("early")
