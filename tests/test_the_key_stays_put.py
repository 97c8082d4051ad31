"""A canary key goes through every failure there is, at every log level, and is found nowhere but in its one header."""

import asyncio
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from pydantic import SecretStr
from support.records import record
from support.upstream import Request, answer, by_the_page, error_envelope, metadata, upstream

from octave_mcp.observability.logs import Secrets, configure_logging
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.errors import OctaveError
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.settings import Settings, SettingsError, load_settings

pytestmark = pytest.mark.anyio

CANARY = "sk-canary-8f3a1c77e2"
FAILURES = 68
"""Requests after which each of the failures below was met."""


def asking(name: str) -> dict[str, object]:
    """Arguments that ask for one persona. Another name is another request, and is sent whatever became of this one."""
    return {"personas": [{"name": name, "sources": [{"type": "TEXT", "value": "notes"}]}]}


ARGUMENTS = asking("CFO")


async def echoes(request: Request, writer: asyncio.StreamWriter) -> None:
    """A different failure each time, with the key in it wherever an answer has room for one."""
    key = request.header("api_key") or ""
    echo = {
        "x-echo": key,
        "location": f"https://elsewhere.example/?k={key}",
        "retry-after": key,
        "set-cookie": f"k={key}",
    }
    bodies: list[object] = [
        error_envelope(f"The key {key} is not known", requestId=key),
        {"error": {"message": key}, key: key},
        f"<html>{key}</html>".encode(),
        f'{{"message": "{key}'.encode(),
    ]
    statuses = [400, 401, 402, 403, 404, 405, 408, 422, 425, 429, 500, 502, 503, 307, 302, 200]
    turn = request.number
    if turn < len(statuses) * len(bodies):
        writer.write(answer(bodies[turn % len(bodies)], status=statuses[turn // len(bodies)], headers=echo))
    elif turn % 4 == 0:
        writer.write(f"{key} is no HTTP\r\n\r\n".encode())
    elif turn % 4 == 1:
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: 999\r\nx-echo: {key}\r\n\r\n{key}".encode())
    elif turn % 4 == 2:
        writer.write(answer(key.encode(), headers={"content-encoding": key}))
    else:
        made = record(1) | {"name": key, "oId": key, "description": f"My key is {key}.", key: key}
        writer.write(answer({"_metadata": metadata(message=key), "data": [made]}, headers=echo))


async def echoes_in_a_look_up(request: Request, writer: asyncio.StreamWriter) -> None:
    """Another failure each time, when a lost persona is looked for."""
    key = request.header("api_key") or ""
    bodies: list[object] = [{"data": [{"name": "CFO 1", "oId": key, "createdAt": key}], "total": key}, f"<{key}", key]
    writer.write(answer(bodies[request.number % 3], status=(500, 200, 401)[request.number % 3], headers={"x": key}))


PROGRAM = """
import sys
from octave_mcp.generation import recovery
from octave_mcp.cli import main
recovery.FIRST_PAUSES, recovery.PAUSE_SECONDS = (0.0, 0.0), 0.01
sys.exit(main([]))
"""
"""The server, which does not pause between looks: it meets each failure of a look-up, many times."""


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
async def test_a_real_server_process_never_shows_the_key(level: str, tmp_path: Path) -> None:
    """Neither in results, nor on stderr."""
    log = tmp_path / "stderr"
    async with upstream(echoes) as octave:
        octave.look_up = echoes_in_a_look_up
        server = StdioServerParameters(
            command=sys.executable,
            args=["-c", PROGRAM],
            env={
                **os.environ,
                "OCTAVE_API_KEY": CANARY,
                "OCTAVE_BASE_URL": octave.url,
                "OCTAVE_MCP_LOG_LEVEL": level,
                "OCTAVE_MCP_WAIT_SECONDS": "3",
                "OCTAVE_MCP_CONCURRENCY": "16",
            },
        )
        with log.open("w", encoding="utf-8") as stderr:
            async with Client(stdio_client(server, errlog=stderr)) as client:
                results = [await client.call_tool("generate_personas", {"personas": CANARY})]
                calls = [client.call_tool("generate_personas", asking(f"CFO {number}")) for number in range(FAILURES)]
                results += await asyncio.gather(*calls)
        keys = {request.header("api_key") for request in octave.requests}
    assert keys == {CANARY}
    assert len(octave.requests) >= FAILURES
    assert CANARY not in json.dumps([result.model_dump(mode="json") for result in results])
    written = log.read_text(encoding="utf-8")
    assert CANARY not in written
    assert CANARY.encode() not in ledger_in(tmp_path)
    assert ("DEBUG" in written) == (level == "DEBUG")


def ledger_in(folder: Path) -> bytes:
    """All that is written of the ledger there, which is something."""
    written = b"".join(path.read_bytes() for path in folder.rglob("ledger*") if path.is_file())
    assert len(written) > 10_000
    return written


@contextmanager
def logs_at_debug(key: SecretStr) -> Iterator[None]:
    """Logging as the command line sets it up, at its most talkative; put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("DEBUG", Secrets(key))
    try:
        yield
    finally:
        root.handlers[0].flush()
        root.handlers, root.level = handlers, level


async def test_no_repr_traceback_or_kept_request_holds_the_key(capfd: pytest.CaptureFixture[str]) -> None:
    """Of anything that a debugger, an error reporter or a log could be given."""
    key = SecretStr(CANARY)
    seen: list[str] = [repr(Settings(api_key=key)), str(Settings(api_key=key)), Settings(api_key=key).model_dump_json()]
    request = GenerateRequest.model_validate(ARGUMENTS)
    with logs_at_debug(key):
        async with upstream(echoes) as octave, OctaveClient(octave.url, key) as client:
            for _ in range(FAILURES):
                try:
                    made = await client.generate(request, idempotency_key="item")
                    seen.append(made.model_dump_json())
                except OctaveError as error:
                    logging.getLogger("test").exception("failed")
                    seen += ["".join(traceback.format_exception(error)), repr(error), repr(vars(error))]
                    cause = error.__cause__
                    sent = getattr(cause, "_request", None)
                    seen += [repr(cause), repr(vars(cause)) if cause else "", repr(getattr(sent, "headers", ""))]
            seen += [repr(client), repr(vars(client))]
    out, err = capfd.readouterr()
    assert CANARY not in out + err
    assert "failed" in err
    assert CANARY not in "\n".join(seen)


@pytest.mark.parametrize("bad", [f"{CANARY} {CANARY}", f"{CANARY}\n{CANARY}", f"{CANARY}ü", f"{CANARY}\x00"])
def test_a_key_that_is_refused_is_not_shown(bad: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the environment or from a file."""
    (tmp_path / "key").write_text(bad, encoding="utf-8")
    for name, value in (("OCTAVE_API_KEY", bad), ("OCTAVE_API_KEY_FILE", str(tmp_path / "key"))):
        with monkeypatch.context() as context:
            if "\x00" in value:
                continue  # no environment can hold it
            context.setenv(name, value)
            with pytest.raises(SettingsError) as caught:
                load_settings()
        assert CANARY not in "".join(traceback.format_exception(caught.value))


async def test_the_key_is_sent_in_one_header_and_nowhere_else() -> None:
    """Neither in the address, nor in another header, nor in the body."""
    async with upstream(by_the_page) as octave, OctaveClient(octave.url, SecretStr(CANARY)) as client:
        await client.generate(GenerateRequest.model_validate(ARGUMENTS), idempotency_key="item")
        (request,) = octave.requests
    elsewhere = [request.target, request.body.decode(), *(f"{n}: {v}" for n, v in request.headers if n != "api_key")]
    assert CANARY not in "\n".join(elsewhere)
    assert request.header("api_key") == CANARY
