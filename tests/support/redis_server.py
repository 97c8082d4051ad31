"""A real redis-server on loopback that a test starts, kills, pauses and starts again."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
import trustme
from redis import Redis, exceptions

BOUND_SECONDS = 10.0
"""How long a Redis may take to start, or to end."""

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server on the PATH")


@dataclass
class RedisServer:
    """A Redis, and how to get at it. `config` is what its command line has besides."""

    folder: Path
    config: tuple[str, ...] = ()
    password: str | None = None
    authority: trustme.CA | None = None
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where it is, as a setting would say."""
        who = f":{self.password}@" if self.password else ""
        if self.authority:
            return f"rediss://{who}localhost:{self.port}?ssl_ca_certs={self.folder / 'ca.pem'}"
        return f"redis://{who}localhost:{self.port}"

    def client(self) -> Redis:
        """A connection of the test's own."""
        return Redis.from_url(self.url, socket_timeout=BOUND_SECONDS)

    def start(self) -> None:
        """Start it, on the port that it had before if any, and wait until it answers."""
        self.port = self.port or free_port()
        if self.authority:
            certificate = self.authority.issue_cert("localhost")
            self.authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
            certificate.private_key_and_cert_chain_pem.write_to_path(str(self.folder / "cert.pem"))
            files = {"ca-cert": "ca.pem", "cert": "cert.pem", "key": "cert.pem"}
            ports = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            for kind, name in files.items():
                ports += [f"--tls-{kind}-file", str(self.folder / name)]
        else:
            ports = ["--port", str(self.port)]
        secret = ["--requirepass", self.password] if self.password else []
        persistence = [] if "--appendonly" in self.config else ["--save", ""]
        command = ["redis-server", "--bind", "127.0.0.1", "::1", "--dir", str(self.folder), *ports, *secret]
        self.process = subprocess.Popen(
            [*command, *persistence, *self.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + BOUND_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except exceptions.RedisError:
                    assert time.monotonic() < until, "redis-server does not start"
                    assert self.process.poll() is None, "redis-server ended at once"
                    time.sleep(0.02)
                else:
                    return

    def pause(self) -> None:
        """Have it do nothing, with its connections open."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a word, if it runs."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait(BOUND_SECONDS)
            self.process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)


@contextmanager
def redis_server(
    *config: str, password: str | None = None, authority: trustme.CA | None = None, started: bool = True
) -> Iterator[RedisServer]:
    """Run one until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder), config, password, authority)
        try:
            if started:
                server.start()
            else:
                server.port = free_port()
            yield server
        finally:
            server.kill()


class Relay:
    """A port that leads to a Redis, and later to another: what a name in front of a failover is."""

    def __init__(self, to: int) -> None:
        """Lead there."""
        self.port = 0
        self._to = to
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.wait_for(asyncio.gather(*self._tasks, return_exceptions=True), BOUND_SECONDS)

    def lead(self, to: int) -> None:
        """Lead new connections there; the old ones stay where they are."""
        self._to = to

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except ConnectionError:
            writer.close()
            return
        self._writers.add(back)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
