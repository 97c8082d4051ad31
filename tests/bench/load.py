"""The HTTP server under load, beside what else there is, in one run and in turns. `make bench` runs it.

The output tells what stands in the columns. All servers call one upstream (octave.py) that costs next to nothing; its
own rate is reported too. They run at the same time and are measured one after the other, round by round, each round in
another order. A ratio divides two rates of the same round, so that what else the machine does touches both. Times
depend on the machine, ratios less so: quote those. CPU of a call is the server's process alone, in ticks of 10 ms.

Each call asks for a persona of a name that no other has, or for a list, and each answer is checked. `ours` records each
persona before it is sent and once it came, checks arguments and condenses; the others pass JSON on.
"""

import argparse
import asyncio
import json
import shlex
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.about import about, described
from bench.caller import GENERATE, LIST, Call, Connection, Server, asking_for, call_many, names, newest_era
from bench.processes import (
    KEY,
    PLAIN,
    Column,
    columns,
    cpu_seconds,
    free_port,
    octave,
    octave_settings,
    postgres,
    resident_bytes,
    running,
)
from bench.report import Measured, Memory, memory_table, speed_table, summarised

OURS = f"{shlex.quote(PLAIN)} -m octave_mcp http --port"
STEP_CALLS = 5000
"""After each of which memory is looked at."""

MEMORY_CALLERS = 16


@dataclass(frozen=True)
class Started:
    """A column whose server runs."""

    column: Column
    server: Server
    pid: int


class Bench:
    """One run: the upstream, PostgreSQL, the folder for logs, and how to start a server that uses them."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        """Nothing is started yet."""
        self._options, self._folder = options, folder
        self._upstream = 0
        self.columns: list[Column] = []
        self.upstream_rate = 0.0

    @asynccontextmanager
    async def prepared(self) -> AsyncIterator[None]:
        """Start what all servers share."""
        latency = ("--latency", f"{self._options.latency}")
        with postgres() as url:
            async with octave(self._log("octave"), *latency) as port:
                self._upstream = port
                wanted = self._options.only
                every = columns(tuple(shlex.split(self._options.ours)), url)
                self.columns = [one for one in every if wanted is None or one.name in wanted]
                self.upstream_rate = await _rate_of_upstream(port)
                yield

    @asynccontextmanager
    async def started(self, column: Column) -> AsyncIterator[Started]:
        """Start a server and find out what it speaks."""
        port = free_port()
        settings = {**octave_settings(self._upstream), **column.settings}
        async with running((*column.command, f"{port}"), port, self._log(column.name), settings) as it:
            era = await newest_era(port, GENERATE)
            yield Started(column, Server(port, era), it.pid)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


async def _rate_of_upstream(port: int) -> float:
    """Calls a second of the upstream and the callers alone: neither should be what bounds a server."""
    count, callers = 4000, 16

    async def caller() -> None:
        async with Connection(port, "/api/v2/persona/generate") as connection:
            for name, _ in zip(names(), range(count // callers), strict=False):
                status, _, content = await connection.post({"api_key": KEY}, json.dumps(asking_for(name)).encode())
                assert status == 200
                assert json.loads(content)["data"]

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return count / (time.perf_counter() - began)


async def _measure(it: Started, call: Call, callers: int, number: int, seconds: float) -> Measured:
    before = cpu_seconds(it.pid)
    load = await call_many(it.server, call, callers, seconds=seconds)
    after = cpu_seconds(it.pid)
    calls = len(load.latencies)
    return Measured(
        it.column.name,
        call.tool,
        callers,
        number,
        calls,
        calls / load.seconds,
        median(load.latencies) * 1000,
        quantiles(load.latencies, n=20, method="inclusive")[-1] * 1000,
        None if before is None or after is None else (after - before) / calls * 1000,
    )


async def _speeds(bench: Bench, options: argparse.Namespace) -> tuple[list[Measured], dict[str, str]]:
    """Every server under every load, round by round; and what each speaks."""
    measured = []
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(bench.started(column)) for column in bench.columns]
        loads = [(call, callers) for call in (GENERATE, LIST) for callers in options.callers]
        for it in servers:
            for call in (GENERATE, LIST):
                await call_many(it.server, call, 16, calls=options.warm_up)
        for number in range(options.rounds):
            for call, callers in loads:
                _say(f"round {number + 1} of {options.rounds}: {call.tool}, callers: {callers}")
                measured += [
                    await _measure(it, call, callers, number, options.seconds) for it in _turned(servers, number)
                ]
    return measured, {it.column.name: it.server.era.version for it in servers}


def _turned(servers: Sequence[Started], number: int) -> Iterator[Started]:
    """The servers, beginning with another one in each round."""
    first = number % len(servers)
    yield from servers[first:]
    yield from servers[:first]


async def _memory(bench: Bench, options: argparse.Namespace) -> list[Memory]:
    """Resident memory of new processes, after each few thousand calls."""
    found = []
    for column in bench.columns:
        if column.name not in options.memory_of or not options.memory_calls:
            continue
        async with bench.started(column) as it:
            done = 0
            found.append(Memory(column.name, done, resident_bytes(it.pid)))
            while done < options.memory_calls:
                step = min(STEP_CALLS, options.memory_calls - done)
                await call_many(it.server, GENERATE, MEMORY_CALLERS, calls=step)
                done += step
                found.append(Memory(column.name, done, resident_bytes(it.pid)))
                _say(f"memory of {column.name}: {found[-1].resident_bytes / 2**20:.1f} MiB after {done} calls")
    return found


async def _run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    bench = Bench(options, folder)
    async with bench.prepared():
        measured, eras = await _speeds(bench, options)
        memory = await _memory(bench, options)
    return {
        "about": about(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "upstream": {"calls_a_second": bench.upstream_rate, "latency": options.latency},
        "columns": [{"name": one.name, "what": one.what, "protocol": eras[one.name]} for one in bench.columns],
        "measured": measured,
        "summaries": summarised(measured),
        "memory": memory,
    }


def _markdown(found: dict[str, Any]) -> str:
    upstream = found["upstream"]
    alone = f"{upstream['calls_a_second']:.0f} calls a second, latency {upstream['latency']:g} s"
    how = f"Medians of {found['rounds']} rounds of {found['seconds']:g} s, in turns; each answer was checked."
    parts = [
        described(found["about"]),
        f"{how} Upstream and callers alone: {alone}.",
        "\n".join(f"- {one['name']}: {one['what']}; MCP {one['protocol']}" for one in found["columns"]),
        speed_table(found["summaries"]),
    ]
    if found["memory"]:
        parts.append(f"Resident memory, {MEMORY_CALLERS} callers of {GENERATE.tool}:")
        parts.append(memory_table(found["memory"]))
    return "\n\n".join(parts)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.load", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s, memory over 10000 calls")
    parser.add_argument("--rounds", type=int, help="default: 5")
    parser.add_argument("--seconds", type=float, help="of each measurement; default: 3")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 16, 128], help="at once (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=300, metavar="CALLS", help="of each tool (default: %(default)s)")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds, of the upstream (default: %(default)s)")
    parser.add_argument("--memory-calls", type=int, help="0: none; default: 50000")
    parser.add_argument("--memory-of", nargs="+", default=["ours"], metavar="COLUMN", help="default: %(default)s")
    parser.add_argument("--only", nargs="+", metavar="COLUMN", help="default: all that can be started")
    parser.add_argument("--ours", default=OURS, metavar="COMMAND", help="a port is added; to compare two versions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything, each round included")
    options = parser.parse_args(arguments)
    usual = (2, 1.0, 10_000) if options.quick else (5, 3.0, 50_000)
    for name, value in zip(("rounds", "seconds", "memory_calls"), usual, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - how far it is


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_run(options, Path(folder)))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2, default=asdict) + "\n")
    print(_markdown(found))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
