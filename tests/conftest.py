"""Fixtures for all tests."""

import os
import signal
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.postgres import Database, PostgresServer

from octave_mcp.generation import recovery, throttle
from octave_mcp.octave import lookup_client

settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("any machine")  # one that is busy with something else finds the same bugs, later


def pytest_configure() -> None:
    """Have what tests start end at Ctrl-C and at SIGHUP, also if a shell or `nohup` has its children ignore them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have a file's tests run in one process, where several share the tests: what its fixtures start is started once.

    Those of clients are together, too: they share what begins early.
    """
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(folder if folder == "clients" else str(item.path)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write for `make test` which tests this machine cannot run, and why: a line for each reason."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    )
    lines = [f"Left out, {count} of the tests: {reason}.\n" for reason, count in sorted(reasons.items())]
    (config.rootpath / ".left-out").write_text("".join(lines), encoding="utf-8")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have what a test logged travel from process to process, also where it is no text."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of this process. A test that stops it starts it again."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    """A PostgreSQL database of a test's own."""
    created = postgres.create_database()
    yield created
    postgres.drop_database(created)


@pytest.fixture
def anyio_backend() -> str:
    """Tests run on asyncio, as the server does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the developer's own environment and home hold, a test sees none of it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in [name for name in os.environ if name.startswith(("OCTAVE_", "OTEL_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _own_umask() -> Iterator[None]:
    """A command that runs in this process sets its umask, which must not reach what other tests start."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process nothing waits for its own sake; tests of pauses have a clock that they move."""
    monkeypatch.setattr(throttle, "UNREACHABLE_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(throttle, "BUSY_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(recovery, "FIRST_PAUSES", (0.001, 0.001))
    monkeypatch.setattr(recovery, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(lookup_client, "PAUSE_SECONDS", 0.001)
