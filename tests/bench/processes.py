"""The servers, each a process on a port of its own, and what the operating system says of a process."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.postgres import DURABLE_SETTINGS, PostgresServer

HERE: Final = Path(__file__).parent
CONVERTED: Final = HERE / ".venv" / "bin" / "python"
"""The interpreter of the one server that needs packages of its own."""

_PLAIN: Final = HERE / ".plain" / "bin" / "python"
PLAIN: Final = str(_PLAIN if _PLAIN.exists() else sys.executable)
"""The interpreter of all others. It has what a user has: rich, which tools of ours bring, would be loaded by all."""

SOURCES: Final = {"PYTHONPATH": str(HERE.parent.parent)}
"""Where that interpreter finds ours."""

START_SECONDS: Final = 30.0
END_SECONDS: Final = 15.0
LIFTED: Final = {"OCTAVE_MCP_CALLS_AT_ONCE": "1000", "OCTAVE_MCP_CALLS_PER_MINUTE": "100000"}
"""What the server takes from one key is bounded far below what it can do; here all callers have the same key."""

KEY: Final = "sk-bench-0123456789"


@dataclass(frozen=True)
class Column:
    """A server that is measured: how it is called in the tables, and how it is started."""

    name: str
    what: str
    command: tuple[str, ...]
    """Its port is added."""
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Running:
    """A process that listens."""

    port: int
    pid: int


def columns(ours: tuple[str, ...], postgres_url: str) -> list[Column]:
    """Every server that this machine can start. `ours` is the command whose last option takes the port."""
    memory = SOURCES | LIFTED | {"OCTAVE_MCP_STATE_URL": "memory://"}
    wide = {"OCTAVE_MCP_CONCURRENCY": "32"}
    found = [
        Column("thin", "two tools on the same SDK, thin.py", (PLAIN, str(HERE / "thin.py")), {}),
        Column("openapi", "fastmcp's from_openapi, converted.py", (str(CONVERTED), str(HERE / "converted.py")), {}),
        Column("ours", "octave-personas-mcp http, 4 POSTs at once for a key (the default), memory://", ours, memory),
        Column("ours, 32 at once", "the same with OCTAVE_MCP_CONCURRENCY=32", ours, memory | wide),
    ]
    if not CONVERTED.exists():
        found = [one for one in found if one.name != "openapi"]
    stored = SOURCES | LIFTED | {"OCTAVE_MCP_STATE_URL": postgres_url}
    return [*found, Column("ours+postgres", "octave-personas-mcp http with PostgreSQL on this machine", ours, stored)]


def chat_columns(ours: tuple[str, ...], folder: Path) -> list[Column]:
    """Every server that this machine can start over stdio; `folder` is what they have for a home."""
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
    records, apart = folder / "records", {"XDG_DATA_HOME": str(folder / "more data")}
    any_name = home | SOURCES | apart | {"OCTAVE_MCP_ALLOW_SAME_NAME": "true"}
    thin, floor = ((PLAIN, str(HERE / name)) for name in ("thin.py", "floor.py"))
    found = [
        Column("ours", "octave-personas-mcp as it is: all defaults, its ledger in a file", ours, home | SOURCES),
        Column("thin", "two tools on the same SDK, typed with pydantic, thin.py", thin, home),
        Column("openapi", "fastmcp's from_openapi, converted.py", (str(CONVERTED), str(HERE / "converted.py")), home),
        Column("floor", "one tool that does nothing on the same SDK, floor.py", floor, home),
        Column(
            "recording",
            "thin, which records each POST and syncs it to the disk before it is sent, on a connection of its own",
            thin,
            home | {"THIN_RECORDS": str(records)},
        ),
        Column("any name", "ours with OCTAVE_MCP_ALLOW_SAME_NAME=true, so without a look for the name", ours, any_name),
    ]
    return [one for one in found if one.name != "openapi" or CONVERTED.exists()]


def octave_settings(port: int) -> dict[str, str]:
    """What a server is told of its upstream."""
    return {"OCTAVE_API_KEY": KEY, "OCTAVE_BASE_URL": f"http://127.0.0.1:{port}"}


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would change a server, and with these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OCTAVE", "OTEL_", "PYTHON"))}
    return {**kept, **settings}


@asynccontextmanager
async def octave(log: Path, *options: str) -> AsyncIterator[int]:
    """Run the upstream until the block ends. Yields its port."""
    port = free_port()
    command = (sys.executable, "-m", "bench.octave", "--port", f"{port}", *options)
    async with running(command, port, log, {"PYTHONPATH": str(HERE.parent)}):
        yield port


@asynccontextmanager
async def running(
    command: tuple[str, ...], port: int, log: Path, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """Run a command until the block ends, once it listens on the port; `log` gets what it says."""
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said, env=environment(settings or {})
        )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _listens(port):
                if process.returncode is not None:
                    break
                await asyncio.sleep(0.05)
        if process.returncode is not None:
            raise RuntimeError(f"{Path(command[0]).name} ended at once:\n{_end_of(log)}")
        yield Running(port, process.pid)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


@contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL server that syncs each commit to the disk, and yield the address of an empty database."""
    with PostgresServer(DURABLE_SETTINGS) as server:
        yield server.create_database().url


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def resident_bytes(pid: int) -> int:
    """Memory of a process that is not swapped out."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024
    told = subprocess.run(("ps", "-o", "rss=", "-p", str(pid)), capture_output=True, check=True)
    return int(told.stdout) * 1024


def cpu_seconds(pid: int) -> float | None:
    """Processor time that a process has used; None where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return None
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def proportional_bytes(pid: int) -> int | None:
    """The same with each shared page divided by those who share it; None where there is no /proc."""
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    if not rollup.exists():
        return None
    line = next(line for line in rollup.read_text().splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024
