"""Fixtures for all tests."""

import os

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Tests run on asyncio, as the server does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the developer's own environment holds, a test sees none of it."""
    for name in [name for name in os.environ if name.startswith("OCTAVE_")]:
        monkeypatch.delenv(name)
