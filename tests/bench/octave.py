"""An upstream that costs next to nothing: Octave's two endpoints that the benchmark uses, on raw asyncio, kept alive.

The sandbox will not do here: it has a workspace's credits, and lists that grow. Its records are those of
support/records.py, under the name that was asked for. It also tells, at /posted, how many personas it was asked for.
"""

import argparse
import asyncio
import itertools
import json
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

from support.records import record

LISTED: Final = "Head of Procurement"
"""A name that each list has."""

POSTED: Final = "/posted"
"""Answers with a number."""

RECORDS: Final = [json.dumps(record(number) | {"oId": "@oid@", "name": "@name@"}) for number in range(30)]
"""As many as there are without one being alike another."""

ROWS: Final = [record(n) | {"oId": f"pe_listed{n}", "name": f"{LISTED} {n}"} for n in range(10)]
ALL_ROWS: Final = json.dumps(ROWS)


class Octave:
    """What all connections share: how long an answer takes, and what was asked for."""

    def __init__(self, latency: float = 0.0, seconds_a_persona: float = 0.0) -> None:
        """`latency` is for each answer; the personas of a body are written one after the other."""
        self._latency, self._seconds_a_persona = latency, seconds_a_persona
        self._numbers = itertools.count(1)
        self._posted = 0

    def answer(self, method: str, target: str, body: bytes) -> tuple[float, bytes]:
        """After how many seconds, and what."""
        seconds = self._latency
        url = urlsplit(target)
        match method, url.path:
            case "POST", "/api/v2/persona/generate":
                asked = json.loads(body)["personas"]
                self._posted += len(asked)
                made = [self._made(one.get("name", "Nobody")) for one in asked]
                seconds += self._seconds_a_persona * len(made)
                content = f'{{{_metadata(len(made))},"data":[{",".join(made)}]}}'
            case "GET", "/api/v2/persona/list":
                rows = ALL_ROWS
                if text := parse_qs(url.query).get("text"):
                    rows = json.dumps([row for row in ROWS if text[0].lower() in str(row["name"]).lower()])
                content = f'{{{_metadata(0)},"hasNext":false,"total":{len(ROWS)},"data":{rows}}}'
            case "GET", path if path == POSTED:
                seconds, content = 0.0, f"{self._posted}"
            case _:
                return 0.0, _response("404 Not Found", "{}")
        return seconds, _response("200 OK", content)

    def _made(self, name: str) -> str:
        number = next(self._numbers)
        quoted = json.dumps(name)[1:-1]
        return RECORDS[number % len(RECORDS)].replace("@oid@", f"pe_{number:010d}").replace("@name@", quoted)


def _metadata(usage: int) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f'"_metadata":{{"usage":{usage},"requestId":"req_1","message":"ok","timestamp":"{now}"}}'


def _response(status: str, content: str) -> bytes:
    encoded = content.encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(encoded)}\r\n\r\n"
    return head.encode() + encoded


class Connection(asyncio.Protocol):
    """One client's connection: a request, its answer, the next request."""

    def __init__(self, octave: Octave) -> None:
        """Nothing has come yet."""
        self._octave = octave
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer what is all there."""
        self._received += data
        while (at := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:at].decode("latin-1")
            first, *fields = head.split("\r\n")
            length = next((int(line[15:]) for line in fields if line.lower().startswith("content-length:")), 0)
            if len(self._received) < at + 4 + length:
                return
            body, self._received = self._received[at + 4 : at + 4 + length], self._received[at + 4 + length :]
            method, target, _ = first.split(" ", 2)
            seconds, answer = self._octave.answer(method, target, body)
            if seconds:
                asyncio.get_running_loop().call_later(seconds, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(port: int, octave: Octave) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(octave), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--seconds-a-persona", type=float, default=0.0, help="for each persona of a body")
    options = parser.parse_args()
    asyncio.run(_serve(options.port, Octave(options.latency, options.seconds_a_persona)))


if __name__ == "__main__":
    main()
