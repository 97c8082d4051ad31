"""Serve MCP over the process's stdin and stdout, and lose no request to Octave when the connection ends.

The SDK's own transport ends the process when nobody reads stdout, and with it the requests to Octave that are in
progress; and it drops what it cannot read. Here the connection ends normally when the client is gone, and each message
with an id is answered. Reading and writing have daemon threads of their own, so that neither a client that writes
nothing nor one that reads nothing keeps the process from ending.
"""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any, Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.mcpserver import MCPServer
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCError, JSONRPCMessage, JSONRPCRequest, JSONRPCResponse

from octave_mcp.server.jsonrpc import Malformed, read_message, repair, too_long
from octave_mcp.streams import RETRY_SECONDS, BackgroundWriter

MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""Longest message that is read, so that a line without an end does not fill the memory."""

LAST_WRITE_SECONDS: Final = 1.0
"""How long the end waits for a slow client to read its last answers."""

LAST_ANSWER_SECONDS: Final = 1.0
"""How long the end of stdin waits for answers. A script closes stdin right after its last request. A host closes it
when it quits: it should not wait long, and nothing more should be sent for it."""

READ_BYTES: Final = 1 << 16

logger = logging.getLogger(__name__)


class StdioTransport:
    """One connection over two descriptors. Serves once."""

    def __init__(self, stdin: int, stdout: int, on_close: Callable[[], None] = lambda: None) -> None:
        """Take the descriptors, which stay open. `on_close` is called as soon as the connection ends."""
        self._stdin = stdin
        self._on_close = on_close
        self._writer = BackgroundWriter(stdout)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._to_server: MemoryObjectSendStream[SessionMessage | Exception] | None = None
        self._unanswered = 0
        self._answered = anyio.Event()
        self._is_closed = False
        self.has_received = False
        """Whether a client has sent anything."""

    def close(self) -> None:
        """End the connection as if stdin had ended. May be called by a signal handler and by any thread."""
        self._is_closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._close)

    async def serve(self, server: MCPServer[Any]) -> None:
        """Serve until stdin ends, nobody reads stdout, or `close` is called; then end with the server's lifespan."""
        self._loop = asyncio.get_running_loop()
        self._to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception]()
        outgoing, from_server = anyio.create_memory_object_stream[SessionMessage]()
        if self._is_closed:
            self._close()
        threading.Thread(target=self._read, args=(self._loop,), name="reader of stdin", daemon=True).start()
        lowlevel = server._lowlevel_server  # noqa: SLF001 - the SDK has no other way to serve over streams yet
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write_all, from_server)
            # Not cancelled, whatever becomes of the client: its lifespan finishes what was sent to Octave.
            await lowlevel.run(incoming, outgoing, lowlevel.create_initialization_options())
            tasks.cancel_scope.deadline = anyio.current_time() + LAST_WRITE_SECONDS

    def _close(self) -> None:
        if self._to_server is not None:
            self._to_server.close()
        self._on_close()

    # --- Reading ------------------------------------------------------------------------------------------------------

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand each line to the loop, in a thread; the next is read when that one was taken."""
        with suppress(RuntimeError, CancelledError):  # the loop has ended
            for line in _lines(self._stdin):
                receiving = self._receive(line)
                try:
                    asyncio.run_coroutine_threadsafe(receiving, loop).result()
                finally:
                    receiving.close()
            last = self._last_answers()
            try:
                asyncio.run_coroutine_threadsafe(last, loop).result()
            finally:
                last.close()
            self.close()

    async def _last_answers(self) -> None:
        """Wait until every request is answered, at most for `LAST_ANSWER_SECONDS`."""
        with anyio.move_on_after(LAST_ANSWER_SECONDS):
            while self._unanswered:
                self._answered = anyio.Event()
                await self._answered.wait()

    async def _receive(self, line: bytes) -> None:
        """Have the server handle one message, or answer it here if it is none."""
        self.has_received = True
        message = too_long(line) if len(line) > MAX_LINE_BYTES else read_message(repair(line))
        if isinstance(message, Malformed):
            logger.warning("Dropped %d bytes that are no message; answered %d ids in them", len(line), len(message.ids))
            for answer in message.answers():  # not waited for: a client that reads nothing may hang up yet
                self._writer.write(answer + b"\n", self._check_written)
            return
        assert self._to_server is not None  # noqa: S101 - reading begins after it is made
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the connection has ended meanwhile
            self._unanswered += isinstance(message, JSONRPCRequest)
            await self._to_server.send(SessionMessage(message))

    # --- Writing ------------------------------------------------------------------------------------------------------

    async def _write_all(self, messages: MemoryObjectReceiveStream[SessionMessage]) -> None:
        async with messages:
            async for one in messages:
                await self._write(_as_json(one.message))
                self._unanswered -= isinstance(one.message, JSONRPCResponse | JSONRPCError)
                self._answered.set()

    async def _write(self, line: bytes) -> None:
        """Write a line, and wait until a client has taken it, or nobody reads any more."""
        loop = asyncio.get_running_loop()
        written = asyncio.Event()

        def done(is_written: bool) -> None:  # noqa: FBT001 - the only argument of a callback
            self._check_written(is_written)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(written.set)

        self._writer.write(line + b"\n", done)
        await written.wait()

    def _check_written(self, is_written: bool) -> None:  # noqa: FBT001 - as above
        if not is_written:
            self.close()


def _lines(descriptor: int) -> Iterator[bytes]:
    """Yield each line that is not blank, without its end; of one that is too long, only its beginning."""
    line = bytearray()
    while True:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:  # another process that shares the descriptor made it so
            time.sleep(RETRY_SECONDS)
            continue
        except OSError:  # such as a terminal that was closed
            data = b""
        *ends, rest = data.split(b"\n")
        for end in ends:
            line += end
            if line.strip():
                yield bytes(line[: MAX_LINE_BYTES + 1])
            line.clear()
        line += rest[: MAX_LINE_BYTES + 1 - len(line)]
        if not data:
            if line.strip():
                yield bytes(line)
            return


def _as_json(message: JSONRPCMessage) -> bytes:
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode()
    except ValueError:  # half of a surrogate pair, which only an escape can write
        return json.dumps(message.model_dump(by_alias=True, exclude_unset=True)).encode()


@contextmanager
def standard_descriptors() -> Iterator[tuple[int, int]]:
    """Yield descriptors of the process's stdin and stdout that nothing else uses.

    Meanwhile what a library or a child process reads from stdin is empty, and what it prints goes to stderr: it cannot
    come between messages.
    """
    stdin, stdout, nothing = os.dup(0), os.dup(1), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    if os.name == "posix":  # a launcher may share a pipe that does not block
        os.set_blocking(stdin, True)
        os.set_blocking(stdout, True)
    try:
        yield stdin, stdout
    finally:
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
