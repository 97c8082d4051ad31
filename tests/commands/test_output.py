"""Progress of a command: a line for each change, and nothing if nobody sees it."""

import io
import sys

import pytest

from octave_mcp.commands.output import progress_lines

pytestmark = pytest.mark.anyio


class Terminal(io.StringIO):
    """A stderr that somebody sees."""

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True


async def reported(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO, total: int | None = 2) -> str:
    """Return what is shown of two personas of which one is ready."""
    monkeypatch.setattr(sys, "stderr", stderr)
    show = progress_lines(total)
    await show(0.5, 2, "0 of 2 ready")
    await show(1, 2, "1 of 2 ready")
    await show(1.005, 2, "1 of 2 ready")
    return stderr.getvalue()


@pytest.mark.parametrize(("total", "first"), [(2, ""), (None, "collecting\n0 of 2 ready\n")])
async def test_each_change_is_a_line(monkeypatch: pytest.MonkeyPatch, total: int | None, first: str) -> None:
    """A heartbeat that says nothing new prints nothing."""
    shown = await reported(monkeypatch, Terminal(), total)
    assert shown == (first or "0 of 2 ready\n") + "1 of 2 ready\n"


@pytest.mark.parametrize("stderr", [io.StringIO(), None])
async def test_nothing_is_shown_that_nobody_sees(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO | None) -> None:
    """A file, a pipe, or no stderr at all."""
    monkeypatch.setattr(sys, "stderr", stderr)
    await progress_lines(1)(1, 1, "1 of 1 ready")
    assert stderr is None or stderr.getvalue() == ""
