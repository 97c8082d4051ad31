r"""Reads JSON-RPC messages from clients, and answers those that cannot be read, so that no client waits for nothing.

The SDK drops what it cannot read without a word, and takes a request whose id it cannot read for a notification. Here
each such request is answered with its own id, which is looked for in the bytes, as they may not be JSON at all.

JavaScript writes half of a surrogate pair as an escape, `\ud800`, which is legal JSON and no text. The SDK's parser
refuses it; here it becomes U+FFFD first.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from mcp.types import INVALID_REQUEST, PARSE_ERROR, JSONRPCMessage, JSONRPCNotification, jsonrpc_message_adapter
from pydantic import ValidationError

NOT_JSON: Final = "Parse error: this is not one JSON text in UTF-8."
NOT_A_MESSAGE: Final = (
    'Invalid request: a request is an object with "jsonrpc": "2.0", an "id" that is a string or an integer, a "method" '
    'that is a string and, if it has any, "params" that are an object.'
)
TOO_LONG: Final = "Invalid request: the message is too long."
BATCH: Final = "Invalid request: batches of messages are not supported. Send each message on its own."

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_ESCAPE = re.compile(
    rb"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|(?P<other>\\.)",
    re.DOTALL,
)

_STRING = r'"(?:[^"\\]|\\.)*"?'
_TOKEN = re.compile(
    rf"(?P<brace>[{{}}])|(?P<string>{_STRING})(?P<colon>\s*:\s*(?P<value>{_STRING}|[^\s,{{}}\[\]]*))?", re.DOTALL
)
"""A brace, or a string, which is a key if a colon follows it. Each alternative reads on without looking back."""

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Malformed:
    """What a client sent and cannot be read: what is wrong with it, and the ids of the requests in it, as JSON."""

    code: int
    message: str
    ids: tuple[str, ...]

    def answers(self) -> list[bytes]:
        """Return an error for each request, as JSON. An id that is neither a string nor a number is null in it."""
        return [self.answer(number) for number in self.ids]

    def answer(self, number: str) -> bytes:
        """Return the error for one id."""
        error = json.dumps({"code": self.code, "message": self.message})
        return f'{{"jsonrpc":"2.0","id":{number},"error":{error}}}'.encode()


def repair(data: bytes) -> bytes:
    """Return `data` without a byte order mark, and with U+FFFD for what is no UTF-8 and for half a surrogate pair."""
    data = data.removeprefix(_BYTE_ORDER_MARK).decode(errors="replace").encode()
    if b"\\ud" not in data and b"\\uD" not in data:
        return data
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], data)


def read_message(data: bytes) -> JSONRPCMessage | Malformed:
    """Return the one message in `data`, which was repaired, or what is wrong with it."""
    try:
        message = jsonrpc_message_adapter.validate_json(data, by_name=False)
    except ValidationError as error:
        return _malformed(data, is_json=all(detail["type"] != "json_invalid" for detail in error.errors()))
    if isinstance(message, JSONRPCNotification) and b'"id"' in data and (ids := _request_ids(data)):
        return Malformed(INVALID_REQUEST, NOT_A_MESSAGE, ids)
    return message


def too_long(beginning: bytes) -> Malformed:
    """Return what is wrong with a message of which only the beginning was read."""
    return Malformed(INVALID_REQUEST, TOO_LONG, _request_ids(beginning))


def _malformed(data: bytes, *, is_json: bool) -> Malformed:
    ids = _request_ids(data)
    if not is_json:
        return Malformed(PARSE_ERROR, NOT_JSON, ids)
    return Malformed(INVALID_REQUEST, BATCH if data.lstrip().startswith(b"[") else NOT_A_MESSAGE, ids)


def _request_ids(data: bytes) -> tuple[str, ...]:
    """Return the id of each request in what need not be JSON."""
    found = []
    text = data.decode(errors="replace").replace("\0", "")  # without NUL, UTF-16 reads like ASCII
    for members in _outer_objects(text):
        is_response = "method" not in members and ("result" in members or "error" in members)
        if "id" in members and not is_response:
            found.append(_readable_id(members["id"]))
    return tuple(found)


def _outer_objects(text: str) -> Iterator[dict[str, str]]:
    """Yield the members of each object that is in no other object, its values as far as they are written without {}."""
    depth = 0
    members: dict[str, str] = {}
    for token in _TOKEN.finditer(text):
        if token["brace"] == "{":
            depth += 1
        elif token["brace"] == "}":
            depth -= 1
            if depth == 0:
                yield members
                members = {}
        elif depth == 1 and token["colon"]:
            members[token["string"].strip('"')] = token["value"]
    if members:
        yield members


def _readable_id(value: str) -> str:
    """Return an id as JSON; null if it is neither a string nor a number."""
    if _NUMBER.fullmatch(value):
        return value
    try:
        read: Any = json.loads(value)
    except ValueError:
        return "null"
    return json.dumps(read) if isinstance(read, str) else "null"
