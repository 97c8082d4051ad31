"""An upstream that costs next to nothing: Octave's two endpoints that the benchmark uses, on raw asyncio, kept alive.

The sandbox will not do here: it has a workspace's credits, and lists that grow.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["LISTED", "main"]

LISTED: Final = "Head of Procurement"
"""A name that each list has."""

SENTENCE = "They answer for audits, budgets and the people who prepare both of them every quarter"


def record(oid: str, name: str) -> dict[str, Any]:
    """A persona as the API's page has it, of the size that is usual."""

    def lines(count: int) -> list[str]:
        return [f"{SENTENCE}, number {number}" for number in range(count)]

    lists = ("primaryResponsibilities", "painPoints", "keyConcerns", "keyObjectives", "commonJobTitles")
    question = {"rationale": SENTENCE, "fitType": "GOOD", "weight": "MEDIUM", "archivedAt": None}
    return {
        "oId": oid,
        "name": name,
        "internalName": name,
        "description": f"{SENTENCE}. Buys rarely, carefully, and with four other people.",
        **dict.fromkeys(("createdAt", "updatedAt"), "2026-02-03T10:11:12.000Z"),
        **dict.fromkeys(("deletedAt", "archivedAt")),
        "unrecognized": False,
        "rejected": False,
        "active": True,
        "data": {
            "internalName": name,
            **{field: lines(5) for field in lists},
            "whyTheyMatterToUs": lines(3),
            "whyWeMatterToThem": lines(4),
            "customFields": [{"title": "Buying committee", "value": ["Finance partner", "Security architect"]}],
        },
        "qualifyingQuestions": [{"question": f"What stops purchase {number}?", **question} for number in range(5)],
        "user": {"oId": "u_1", "firstName": "Sam", "lastName": "Example"},
        "workspace": {"oId": "wa_1"},
    }


PERSONA = json.dumps(record("@oid@", "@name@"))
ROWS = json.dumps([record(f"pe_listed{number}", f"{LISTED} {number}") for number in range(10)])


class Connection(asyncio.Protocol):
    """One client's connection: a request, its answer, the next request."""

    def __init__(self, numbers: Iterator[int], latency: float) -> None:
        """Answer after `latency` seconds; `numbers` are those of all connections."""
        self._numbers, self._latency = numbers, latency
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
            answer = self._answer(first, body)
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._write, answer)
            else:
                self._write(answer)

    def _answer(self, first: str, body: bytes) -> bytes:
        method, target, _ = first.split(" ", 2)
        match method, urlsplit(target).path:
            case "POST", "/api/v2/persona/generate":
                made = [self._made(one.get("name", "Nobody")) for one in json.loads(body)["personas"]]
                rest, usage = f'"data":[{",".join(made)}]', len(made)
            case "GET", "/api/v2/persona/list":
                rest, usage = f'"hasNext":false,"total":10,"data":{ROWS}', 0
            case _:
                return b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        metadata = f'"usage":{usage},"requestId":"req_1","message":"ok","timestamp":"{now}"'
        content = f'{{"_metadata":{{{metadata}}},{rest}}}'.encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        return head.encode() + content

    def _made(self, name: str) -> str:
        quoted = json.dumps(name)[1:-1]
        return PERSONA.replace("@oid@", f"pe_{next(self._numbers):010d}").replace("@name@", quoted)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(port: int, latency: float) -> None:
    numbers = iter(range(10**10))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(numbers, latency), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.latency))


if __name__ == "__main__":
    main()
