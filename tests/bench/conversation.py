"""One client of a server over stdio: JSON-RPC on bare pipes. A real client would mostly measure itself."""

import asyncio
import itertools
import json
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bench.caller import CALL_SECONDS, ERAS, Call, Era, Wrong
from bench.processes import Column, environment

MODERN_ERA, OLDEST_ERA = ERAS

LINE_BYTES: Final = 2**24
"""A hundred personas as they are, twice."""

END_SECONDS: Final = 5.0


class Conversation:
    """What a client says to one server, and hears. One request after the other, but for `call_many`."""

    def __init__(self, process: Process, era: Era) -> None:
        """Nothing has been said yet."""
        self._process, self._era = process, era
        self._ids = itertools.count(1)

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    async def open(self) -> list[dict[str, Any]]:
        """Begin as a client does, and return the tools."""
        if self._era.is_modern:
            await self.request("server/discover", {})
        else:
            client = {"name": "bench", "version": "1"}
            opening = {"protocolVersion": self._era.version, "capabilities": {}, "clientInfo": client}
            await self.request("initialize", opening)
            self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        tools: list[dict[str, Any]] = (await self.request("tools/list", {}))["tools"]
        return tools

    async def request(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Ask, and return the result. Raises Wrong."""
        number = self._ask(method, parameters)
        async with asyncio.timeout(CALL_SECONDS):
            while (answer := await self._read()).get("id") != number:
                pass
        return _result(answer)

    async def call(self, call: Call, name: str) -> dict[str, Any]:
        """Make one call, check its answer, return its result. Raises Wrong."""
        result = await self.request("tools/call", {"name": call.tool, "arguments": call.arguments(name)})
        return _checked(result, call.holds or name)

    async def given_up(self, call: Call, name: str, seconds: float) -> None:
        """Make one call, and cancel it as a client does that has waited long enough."""
        number = self._ask("tools/call", {"name": call.tool, "arguments": call.arguments(name)})
        await asyncio.sleep(seconds)
        said = {"requestId": number, "reason": "timed out"}
        self._write({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": self._era.parameters(said)})

    async def call_many(self, call: Call, names: list[str], at_once: int) -> float:
        """Make a call for each name, so many of them under way at any time. Returns the seconds that it took."""
        waiting, under_way = iter(names), dict[int, str]()
        began = time.perf_counter()

        def begin(count: int) -> None:
            for name in itertools.islice(waiting, count):
                under_way[self._ask("tools/call", {"name": call.tool, "arguments": call.arguments(name)})] = name

        begin(at_once)
        while under_way:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._read()
            if (number := answer.get("id")) in under_way:
                name = under_way.pop(number)
                _checked(_result(answer), call.holds or name)
                begin(1)
        return time.perf_counter() - began

    def _ask(self, method: str, parameters: dict[str, Any]) -> int:
        number = next(self._ids)
        self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": self._era.parameters(parameters)})
        return number

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise Wrong("the server ended")
        message: dict[str, Any] = json.loads(line)
        return message


@asynccontextmanager
async def conversation(
    column: Column, settings: Mapping[str, str], log: Path, era: Era = OLDEST_ERA
) -> AsyncIterator[Conversation]:
    """Start a server, for the length of the block; `log` gets what it says on stderr."""
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *column.command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=said,
            env=environment({**settings, **column.settings}),
            limit=LINE_BYTES,
        )
    try:
        yield Conversation(process, era)
    finally:
        await _ended(process)


async def _ended(process: Process) -> None:
    """Close its stdin, as a client does at its end; and see it end."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), END_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    if "result" not in answer:
        raise Wrong(f"{answer.get('error')}")
    result: dict[str, Any] = answer["result"]
    return result


def _checked(result: dict[str, Any], holds: str) -> dict[str, Any]:
    content = json.dumps(result)
    if result.get("isError") or holds not in content:
        raise Wrong(f"{holds} is not in {content[:500]}")
    return result
