"""A real nginx on loopback with the configuration that is shipped: only its addresses and folders are others."""

import asyncio
import json
import re
import shutil
import socket
import tempfile
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PACKAGING = Path(__file__).parents[2] / "deploy"

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
"""Debian keeps it where only root looks."""

SECONDS = 30.0
"""Nothing that it does takes a tenth of it."""

needs_nginx = pytest.mark.skipif(NGINX is None, reason="there is no nginx, neither on the PATH nor in /usr/sbin")


@dataclass
class Proxy:
    """An nginx: where it is, what it said of requests that ended, and what else it said."""

    process: Process
    port: int
    requests: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where MCP is spoken."""
        return f"{self.origin}/mcp"

    def answered(self, path: str = "/mcp") -> Counter[int]:
        """How many requests the replica at each port answered. One that ended may be counted a moment later."""
        last = [one["replicas"].split(", ")[-1] for one in self.requests if one["path"] == path and one["replicas"]]
        return Counter(int(address.rpartition(":")[2]) for address in last if ":" in address)


def configuration(port: int, replicas: Sequence[int], folder: Path) -> str:
    """`deploy/nginx.conf`, for a port of this machine, replicas at these ports, and its files in a folder."""
    text = (PACKAGING / "nginx.conf").read_text(encoding="utf-8")
    (first, *_) = servers = re.findall(r"^ *server app\d:8000.*\n", text, re.MULTILINE)
    ours = "".join(re.sub(r"app\d:8000", f"127.0.0.1:{replica}", first) for replica in replicas)
    block = "".join(servers)
    listens = f"listen 127.0.0.1:{port};"
    for shipped, here in (
        (block, ours),
        ("listen 8080;", listens),
        (" /tmp/", f" {folder}/"),
        ("/etc/nginx/tls/", f"{folder}/tls/"),
    ):
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    return text


@asynccontextmanager
async def nginx(*replicas: int, tls: str | None = None) -> AsyncIterator[Proxy]:
    """Run one in front of those ports until the block ends. `tls` is what its folder for TLS has."""
    assert NGINX is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tls").mkdir()
        if tls is not None:
            (folder / "tls" / "tls.conf").write_text(tls, encoding="utf-8")
        port = _free_port()
        (folder / "nginx.conf").write_text(configuration(port, replicas, folder), encoding="utf-8")
        command = (NGINX, "-e", "stderr", "-p", name, "-c", str(folder / "nginx.conf"))
        proxy = Proxy(await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE), port)
        reading = [asyncio.create_task(_read_requests(proxy)), asyncio.create_task(_read_errors(proxy))]
        try:
            await _listens(proxy)
            yield proxy
        finally:
            with suppress(ProcessLookupError):
                proxy.process.terminate()
            try:
                await asyncio.wait_for(proxy.process.wait(), SECONDS)
                await asyncio.wait_for(asyncio.gather(*reading), SECONDS)
            finally:
                with suppress(ProcessLookupError):
                    proxy.process.kill()


async def _listens(proxy: Proxy) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            assert proxy.process.returncode is None, proxy.errors
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            except ConnectionError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def _read_requests(proxy: Proxy) -> None:
    assert proxy.process.stdout is not None
    async for line in proxy.process.stdout:
        proxy.requests.append(json.loads(line))


async def _read_errors(proxy: Proxy) -> None:
    assert proxy.process.stderr is not None
    async for line in proxy.process.stderr:
        proxy.errors.append(line.decode(errors="replace").rstrip())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
