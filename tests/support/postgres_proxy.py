"""A TCP proxy in front of PostgreSQL, with the faults of a network: cut, refused, silent, slow, led elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.postgres import ROLE, Database

CHUNK = 2**16


@dataclass
class PostgresProxy:
    """A running proxy. A test changes its fields to cause a fault, and changes them back to end it."""

    database: Database
    """Connections are led to its server. Another server's may take its place, as after a failover."""
    refuses: bool = False
    """Whether new connections are closed at once."""
    passes: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the start. While it is clear nothing is passed on, in either direction, and connections stay open."""
    delay: float = 0.0
    """Seconds before each piece is passed on to the server."""
    cut_before: bytes | None = None
    """Cut the connection on which a client sends this text, such as `COMMIT`, before the server has it. Once."""
    cut_after: bytes | None = None
    """Cut the connection on which a client sends this text when the server has answered it. Once."""
    cuts: int = 0
    """How often a connection was cut by one of these two."""
    port: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    """Both sides of each connection that is open."""

    @property
    def url(self) -> str:
        """Return the database's URL through the proxy."""
        return f"postgresql://{ROLE}@127.0.0.1:{self.port}/{self.database.name}"

    async def cut(self) -> None:
        """Cut each connection that is open."""
        for writer in self.writers:
            writer.transport.abort()
        while self.writers:  # noqa: ASYNC110 - until each connection's task has seen it
            await asyncio.sleep(0.001)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes on one connection, until one side ends it or a fault cuts it."""
        own = {writer}
        self.writers.add(writer)
        try:
            if not self.refuses:
                server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.database.server.port)
                own.add(server_writer)
                self.writers.add(server_writer)
                await self._pass_both_ways(reader, server_writer, server_reader, writer)
        except OSError:
            pass  # the server is down: the client's connection is closed, too
        finally:
            for one in own:
                one.transport.abort()
            self.writers -= own

    async def _pass_both_ways(
        self,
        reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Return when either way ends."""
        answer_is_cut = asyncio.Event()
        up = asyncio.create_task(self._pass_requests(reader, server_writer, answer_is_cut))
        down = asyncio.create_task(self._pass_answers(server_reader, writer, answer_is_cut))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _pass_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer_is_cut: asyncio.Event
    ) -> None:
        while piece := await reader.read(CHUNK):
            await self.passes.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            if self.cut_before is not None and self.cut_before in piece:
                self.cut_before = None
                self.cuts += 1
                return
            if self.cut_after is not None and self.cut_after in piece:
                self.cut_after = None
                answer_is_cut.set()
            writer.write(piece)
            await writer.drain()

    async def _pass_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer_is_cut: asyncio.Event
    ) -> None:
        while piece := await reader.read(CHUNK):
            await self.passes.wait()
            if answer_is_cut.is_set():
                self.cuts += 1
                return
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def postgres_proxy(database: Database) -> AsyncIterator[PostgresProxy]:
    """Run a proxy in front of a database's server until the block ends."""
    proxy = PostgresProxy(database)
    proxy.passes.set()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await asyncio.sleep(0.05)  # connections that were being accepted are served, and so are closed
        await proxy.cut()
        await asyncio.sleep(0)
