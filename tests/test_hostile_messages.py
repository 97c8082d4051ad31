"""Odd and hostile messages, over both transports and in both eras: each request is answered, and the server goes on."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from typing import Any

import httpx
import pytest
from support.command import environment
from support.http import HEADERS, serving

pytestmark = pytest.mark.anyio

SECONDS = 30.0
"""Within which all of them are answered, however busy the machine is."""

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
OPENING = (
    '{"jsonrpc":"2.0","id":"first","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
    '"clientInfo":{"name":"t","version":"1"}}}\n{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
)
DISCOVER = '{"jsonrpc":"2.0","id":"first","method":"server/discover","params":{"_meta":META}}\n'
ERAS = {"2025": OPENING, "2026": DISCOVER}

CALL = '{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":'

REQUESTS: dict[str, str | bytes] = {
    # What is no JSON, or no message
    "cut off": '{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{"_meta":META',
    "with a trailing comma": '{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{},}',
    "with single quotes": '{"jsonrpc":"2.0","id":ID,"method":\'tools/list\'}',
    "with a comment": '{"jsonrpc":"2.0","id":ID,"method":"tools/list" /* all */}',
    "with another after it": '{"jsonrpc":"2.0","id":ID,"method":"tools/list"}{"jsonrpc":"2.0","method":"x"}',
    "with text after it": '{"jsonrpc":"2.0","id":ID,"method":"tools/list"} and more',
    "with a raw control character": '{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{"x":"\t\x01"}}',
    "nested without end": '{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":' + '{"a":' * 20_000,
    "nested deeply": CALL + '{"name":"list_personas","arguments":{"text":' + "[" * 5000 + "]" * 5000 + "}}}",
    "with a number of 5,000 digits": CALL + '{"name":"list_personas","arguments":{"limit":' + "9" * 5000 + "}}}",
    "in UTF-16": '{"jsonrpc":"2.0","id":ID,"method":"tools/list"}'.encode("utf-16-le"),
    "in a batch": '[{"jsonrpc":"2.0","id":ID,"method":"tools/list"}]',
    "of version 1.0": '{"jsonrpc":"1.0","id":ID,"method":"tools/list"}',
    "of version 2": '{"jsonrpc":2,"id":ID,"method":"tools/list"}',
    "of no version": '{"id":ID,"method":"tools/list"}',
    "without a method": '{"jsonrpc":"2.0","id":ID}',
    "with a method that is null": '{"jsonrpc":"2.0","id":ID,"method":null}',
    "with a method that is a number": '{"jsonrpc":"2.0","id":ID,"method":7}',
    "with params that are an array": '{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":[1]}',
    "with params that are a string": '{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":"x"}',
    # Messages with odd content
    "with params that are null": '{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":null}',
    "with a byte order mark": '\ufeff{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{"_meta":META}}',
    "with CRLF": '{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{"_meta":META}}\r',
    "with more members": '{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{"_meta":META},"result":{},"x":1}',
    "with bytes that are no UTF-8": b'{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{"x":"\xff\xfe"}}',
    "with half a surrogate pair": CALL + '{"name":"list_personas","arguments":{"text":"\\ud800"},"_meta":META}}',
    "with NUL": CALL + '{"name":"list_personas","arguments":{"text":"\\u0000"},"_meta":META}}',
    "with NaN": CALL + '{"name":"list_personas","arguments":{"limit":NaN},"_meta":META}}',
    "with infinity": CALL + '{"name":"list_personas","arguments":{"limit":1e999},"_meta":META}}',
    "with a long text": CALL + '{"name":"list_personas","arguments":{"text":"' + "x" * 500_000 + '"},"_meta":META}}',
    "of an unknown method": '{"jsonrpc":"2.0","id":ID,"method":"no/such","params":{"_meta":META}}',
    "of an empty method": '{"jsonrpc":"2.0","id":ID,"method":"","params":{"_meta":META}}',
    "of a notification's method": '{"jsonrpc":"2.0","id":ID,"method":"notifications/progress","params":{"_meta":META}}',
    "of a server's method": '{"jsonrpc":"2.0","id":ID,"method":"sampling/createMessage","params":{"_meta":META}}',
    "of a tool that there is not": CALL + '{"name":"no_such","arguments":{},"_meta":META}}',
    "of a tool without its name": CALL + '{"arguments":{},"_meta":META}}',
    "with a name that is a number": CALL + '{"name":7,"arguments":{},"_meta":META}}',
    "with arguments that are a string": CALL + '{"name":"list_personas","arguments":"{}","_meta":META}}',
    "with arguments that are an array": CALL + '{"name":"list_personas","arguments":[],"_meta":META}}',
    "with _meta that is an array": CALL + '{"name":"list_personas","arguments":{},"_meta":[]}}',
    "with _meta that is null": CALL + '{"name":"list_personas","arguments":{},"_meta":null}}',
    "with a token that is a fraction": CALL + '{"name":"check_workspace","_meta":{"progressToken":1.5}}}',
    "with a token that is null": CALL + '{"name":"check_workspace","_meta":{"progressToken":null}}}',
    "with a token that is an object": CALL + '{"name":"check_workspace","_meta":{"progressToken":{}}}}',
    "with a token that is a boolean": CALL + '{"name":"check_workspace","_meta":{"progressToken":true}}}',
    "of an unknown protocol": CALL + '{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"1999-01-01"}}}',
    "of a protocol that is a number": CALL + '{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":7}}}',
    "with capabilities that are text": CALL
    + '{"name":"check_workspace","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    '"io.modelcontextprotocol/clientCapabilities":"x"}}}',
    "to start once more": '{"jsonrpc":"2.0","id":ID,"method":"initialize","params":{"protocolVersion":[]}}',
    "of a prompt with odd arguments": '{"jsonrpc":"2.0","id":ID,"method":"prompts/get","params":'
    '{"name":"build_personas","arguments":{"a":1},"_meta":META}}',
    "of a resource that is no address": '{"jsonrpc":"2.0","id":ID,"method":"resources/read","params":{"uri":"\\u0000",'
    '"_meta":META}}',
    "of a completion of nothing": '{"jsonrpc":"2.0","id":ID,"method":"completion/complete","params":{"_meta":META}}',
    "of an odd log level": '{"jsonrpc":"2.0","id":ID,"method":"logging/setLevel","params":{"level":7,"_meta":META}}',
    "with an odd cursor": '{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{"cursor":7,"_meta":META}}',
    "of tasks that there are not": '{"jsonrpc":"2.0","id":ID,"method":"tasks/get","params":{"taskId":7,"_meta":META}}',
}
"""Each has an id and is answered by it."""

ODD_IDS = ["1.5", "-7", "1e3", "9" * 400, '""', '"\\u0000"', '"' + "i" * 5000 + '"']
"""Ids that are numbers or strings, as JSON; each is answered by itself."""

NO_IDS = ["null", "true", "[1]", '{"id":1}']
"""What is neither; each is answered by null."""

UNANSWERED = [
    "",
    "\r",
    "not JSON",
    "{}",
    "[]",
    "7",
    '"id"',
    "null",
    "\x00",
    "[" * 50_000,
    '{"jsonrpc":"2.0"}',
    '{"jsonrpc":"1.0","method":"notifications/initialized"}',
    '{"jsonrpc":"2.0","method":"notifications/cancelled"}',
    '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"nobody\'s"}}',
    '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}',
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":[],"progress":"x"}}',
    '{"jsonrpc":"2.0","method":"notifications/no_such","params":{"x":1}}',
    '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"check_workspace"}}',
    '{"jsonrpc":"2.0","id":77,"result":{}}',
    '{"jsonrpc":"2.0","id":77,"result":7}',
    '{"jsonrpc":"2.0","id":77,"error":{"code":1,"message":"x"}}',
    '{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}',
]
"""Neither has a request's id, and nobody waits for them."""


def written(text: str | bytes, number: str) -> bytes:
    """Return a message with an id, as JSON, in the encoding that it came in."""
    data = text if isinstance(text, bytes) else text.encode()
    encoding = "utf-16-le" if b"\0" in data[:4] else "utf-8"
    for name, value in (("ID", number), ("META", json.dumps(META))):
        data = data.replace(name.encode(encoding), value.encode(encoding))
    return data


def requests() -> dict[str, bytes]:
    """Return each message that is answered, by the id that answers it, as JSON."""
    named = {json.dumps(name): written(text, json.dumps(name)) for name, text in REQUESTS.items()}
    listing = '{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{"_meta":META}}'
    return named | {number: written(listing, number) for number in ODD_IDS}


def the_same(number: Any) -> Any:
    """Return an id as it is compared: 1e3 and 1000.0 are one."""
    return number if isinstance(number, str | None) else float(number)


@pytest.mark.parametrize("era", ERAS)
async def test_over_stdio_each_request_is_answered_and_the_server_goes_on(era: str) -> None:
    """All of them in a row, in one process, whose log has a line for what was dropped."""
    nulls = [written('{"jsonrpc":"2.0","id":ID,"method":"tools/list"}', number) for number in NO_IDS]
    messages = [*requests().values(), *nulls, *(text.encode() for text in UNANSWERED)]
    twice = written(REQUESTS["with more members"], '"twice"')
    expected = [the_same(json.loads(number, parse_int=float)) for number in requests()] + [None] * len(NO_IDS)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "octave_mcp", "--sandbox"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=environment(),
        limit=2**22,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    log = asyncio.create_task(process.stderr.read())
    try:
        async with asyncio.timeout(SECONDS):
            process.stdin.write(written(ERAS[era], "0"))
            assert json.loads(await process.stdout.readline())["result"]
            process.stdin.write(b"\n".join([*messages, twice, twice, b""]))
            answered: list[Any] = []
            while len(answered) < len(expected) + 2:
                answer = json.loads(await process.stdout.readline(), parse_int=float)
                assert "result" in answer or answer["error"]["message"]
                answered.append(the_same(answer["id"]))
            process.stdin.write(written(REQUESTS["with CRLF"], '"last"') + b"\n")
            assert json.loads(await process.stdout.readline())["id"] == "last"
            process.stdin.close()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert sorted(map(str, answered)) == sorted(map(str, [*expected, "twice", "twice"]))
    lines = (await log).decode()
    assert lines.count("that are no message") >= 20
    assert "Traceback" not in lines


@pytest.mark.parametrize("era", ERAS)
async def test_over_http_each_request_is_answered_and_the_server_goes_on(era: str) -> None:
    """By its id where it has one; whatever else is posted is accepted or refused at once."""
    versions = {"2025": "2025-06-18", "2026": "2026-07-28"}
    headers = HEADERS | {"mcp-protocol-version": versions[era]}
    async with serving(sandbox=True) as url, httpx.AsyncClient(timeout=SECONDS) as client:

        async def posted(body: bytes) -> httpx.Response:
            return await client.post(url, content=body, headers=headers | (routing(body) if era == "2026" else {}))

        for number, body in requests().items():
            answer = answer_in(await posted(body))
            assert the_same(answer["id"]) == the_same(json.loads(number, parse_int=float)), (number, answer)
            assert "result" in answer or answer["error"]["message"], number
        for number in NO_IDS:
            refused = await posted(written('{"jsonrpc":"2.0","id":ID,"method":"tools/list"}', number))
            assert refused.status_code == 400
            assert refused.json()["id"] is None
        for text in UNANSWERED:
            assert (await posted(text.encode())).status_code in {202, 400}, text


def routing(body: bytes) -> dict[str, str]:
    """Return the headers that say again what a body says, as clients of 2026 send them."""
    method = re.search(rb'"method":"([a-z]+/[a-zA-Z]+)"', body)
    name = re.search(rb'"(?:name|uri)":"([a-z_]+)"', body)
    found = {"mcp-method": method, "mcp-name": name}
    return {header: value[1].decode() for header, value in found.items() if value}


def answer_in(response: httpx.Response) -> dict[str, Any]:
    """Return the answer in a response, be it one object or a stream of events."""
    text = response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        text = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")][-1]
    found: dict[str, Any] = json.loads(text, parse_int=float)
    return found
