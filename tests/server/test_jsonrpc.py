"""Messages from clients are read leniently, and those that are no messages are answered by the ids in them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.types import INVALID_REQUEST, PARSE_ERROR, JSONRPCMessage

from octave_mcp.server.jsonrpc import Malformed, read_message, repair, too_long


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (rb'"a\ud800b"', "a\ufffdb"),
        (rb'"a\uDC00b\uD83D"', "a\ufffdb\ufffd"),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\ude00\ud83d"', "\ufffd\ufffd"),
        (rb'"\\ud800"', r"\ud800"),
        (rb'"\\\ud800"', "\\\ufffd"),
        (b'\xef\xbb\xbf"a"', "a"),
        (b'"a\xff\xc3b"', "a\ufffd\ufffdb"),
    ],
)
def test_half_a_pair_is_replaced_and_nothing_else(line: bytes, text: str) -> None:
    """An escaped backslash before the same letters is text."""
    assert json.loads(repair(line)) == text


@given(st.text(st.characters(codec=None, categories=None)))
def test_whatever_json_says_is_the_same_but_for_halves(text: str) -> None:
    """And can be encoded afterwards."""
    read = json.loads(repair(json.dumps(text).encode()))
    assert read.encode().decode() == read
    assert read == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def malformed(data: str | bytes) -> Malformed:
    """Return what is wrong with data that is no message."""
    read = read_message(repair(data if isinstance(data, bytes) else data.encode()))
    assert isinstance(read, Malformed)
    return read


NESTED = '{"jsonrpc":"2.0","id":9,"method":"ping","params":' + '{"a":' * 5000 + "1" + "}" * 5001


@pytest.mark.parametrize(
    ("data", "code", "ids"),
    [
        ('{"jsonrpc":"2.0","id":7,"method":"ping"', PARSE_ERROR, ["7"]),
        ('{"jsonrpc":"2.0","id":7,"method":"ping",}', PARSE_ERROR, ["7"]),
        ('{"jsonrpc":"2.0","id":7}{"jsonrpc":"2.0","id":8}', PARSE_ERROR, ["7", "8"]),
        ('{"jsonrpc":"2.0","params":{"x":"\\"id\\":1}"}, "id" : "a\\u0062","method":"ping"', PARSE_ERROR, ['"ab"']),
        (NESTED, PARSE_ERROR, ["9"]),
        ('{"jsonrpc":"2.0","id":' + "9" * 5000 + ',"method":"ping"}', PARSE_ERROR, ["9" * 5000]),
        ('{"jsonrpc":"2.0","id":7,"method":"ping"}'.encode("utf-16-le"), PARSE_ERROR, ["7"]),
        ('\ufeff{"jsonrpc":"2.0","id":7,"method":"ping"'.encode("utf-16-be"), PARSE_ERROR, ["7"]),
        ('{"jsonrpc":"2.0","id":"\n","method":"ping"}', PARSE_ERROR, ["null"]),
        ('[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2}]', INVALID_REQUEST, ["1", "2"]),
        ('{"jsonrpc":"2.0","id":1.5,"method":"ping"}', INVALID_REQUEST, ["1.5"]),
        ('{"jsonrpc":"2.0","id":null,"method":"ping"}', INVALID_REQUEST, ["null"]),
        ('{"jsonrpc":"2.0","id":true,"method":"ping"}', INVALID_REQUEST, ["null"]),
        ('{"jsonrpc":"2.0","id":{"id":1},"method":"ping"}', INVALID_REQUEST, ["null"]),
        ('{"jsonrpc":"2.0","id":[1],"method":"ping"}', INVALID_REQUEST, ["null"]),
        ('{"jsonrpc":"1.0","id":7,"method":"ping"}', INVALID_REQUEST, ["7"]),
        ('{"id":7,"method":"ping"}', INVALID_REQUEST, ["7"]),
        ('{"jsonrpc":"2.0","id":7}', INVALID_REQUEST, ["7"]),
        ('{"jsonrpc":"2.0","id":7,"method":7}', INVALID_REQUEST, ["7"]),
        ('{"jsonrpc":"2.0","id":7,"method":"ping","params":[1]}', INVALID_REQUEST, ["7"]),
        ('{"jsonrpc":"2.0","id":7,"method":"ping","params":"x"}', INVALID_REQUEST, ["7"]),
        ('{"jsonrpc":"2.0","id":7,"result":3}', INVALID_REQUEST, []),
        ('{"jsonrpc":"2.0","id":7,"error":"x"}', INVALID_REQUEST, []),
        ('{"jsonrpc":"1.0","method":"notifications/initialized"}', INVALID_REQUEST, []),
        ("{}", INVALID_REQUEST, []),
        ("[]", INVALID_REQUEST, []),
        ("7", INVALID_REQUEST, []),
        ("not JSON", PARSE_ERROR, []),
        (b"\xff\xfe\x00", PARSE_ERROR, []),
        ("[" * 100_000, PARSE_ERROR, []),
    ],
    ids=lambda value: str(value)[:60],
)
def test_each_request_that_cannot_be_read_is_answered_by_its_id(data: str | bytes, code: int, ids: list[str]) -> None:
    """Whatever is wrong with it; a response and a notification are never answered."""
    found = malformed(data)
    assert (found.code, list(found.ids)) == (code, ids)
    answers: list[Any] = [json.loads(answer, parse_int=str) for answer in found.answers()]
    assert [json.dumps(answer["id"]).strip('"') for answer in answers] == [number.strip('"') for number in ids]


@pytest.mark.parametrize(
    "line",
    [
        '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"id":2}}',
        '{"jsonrpc":"2.0","id":"\\ud800","method":"ping","params":{"x":"\\u0000"}}',
        '{"jsonrpc":"2.0","id":-7,"method":"ping","params":null,"more":{"id":1}}\r',
        '{"jsonrpc":"2.0","id":1,"result":{}}',
    ],
)
def test_what_is_a_message_is_read_as_one(line: str) -> None:
    """Whatever else it holds."""
    assert isinstance(read_message(repair(line.encode())), JSONRPCMessage)


def test_a_message_of_which_only_the_beginning_was_read_is_answered_by_its_id() -> None:
    """The id comes first in what clients write."""
    assert too_long(b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"a":"aaaa').ids == ("7",)


@given(st.text(alphabet='{}[]",:\\ id0a\n', max_size=200))
def test_whatever_comes_is_read_or_answered(text: str) -> None:
    """Looking for ids in what is no JSON never fails, and each answer is JSON."""
    read = read_message(repair(text.encode()))
    if isinstance(read, Malformed):
        assert all(json.loads(answer)["error"]["code"] == read.code for answer in read.answers())
