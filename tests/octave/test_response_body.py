"""An answer that came compressed is read all the same, under the same cap; what cannot be read is kept and reported."""

import asyncio
import gzip
import json
import os
import zlib
from collections.abc import Callable

import pytest
from pydantic import SecretStr
from support.upstream import Request, Respond, always, answer, page_answer, upstream

from octave_mcp.octave import errors, response_body
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.models import GenerateAnswer, GenerateRequest

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"
REQUEST = GenerateRequest.model_validate({"personas": [{"name": "CFO", "sources": [{"type": "TEXT", "value": "x"}]}]})


def raw_deflate(content: bytes) -> bytes:
    """Deflate without zlib's header, as some servers send it."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()


def in_members(content: bytes) -> bytes:
    """Gzip in two members, one after the other."""
    return gzip.compress(content[:7]) + gzip.compress(content[7:])


def twice(content: bytes) -> bytes:
    """Gzip what is gzipped."""
    return gzip.compress(gzip.compress(content))


async def generate(respond: Respond) -> GenerateAnswer:
    """One call, answered so."""
    async with upstream(respond) as octave, OctaveClient(octave.url, SecretStr(KEY)) as client:
        return await client.generate(REQUEST, idempotency_key="item-1")


async def fails(respond: Respond) -> errors.OutcomeUnknown:
    """The error of a call that is answered so."""
    with pytest.raises(errors.OutcomeUnknown) as caught:
        await generate(respond)
    return caught.value


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP", gzip.compress),
        ("gzip", in_members),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
        ("", bytes),
        # The header and the body do not agree
        ("gzip, gzip", twice),
        ("gzip,gzip", twice),
        ("gzip", twice),
        ("deflate, gzip", lambda content: gzip.compress(zlib.compress(content))),
        ("gzip, gzip", gzip.compress),
        ("identity, gzip", gzip.compress),
        ("deflate", gzip.compress),
        ("", gzip.compress),
        ("gzip", bytes),
        ("deflate", bytes),
        *((name, bytes) for name in ("br", "none", "utf-8", "aws-chunked")),
        # More follows the end
        *(("gzip", lambda content, end=end: gzip.compress(content) + end) for end in (b"\0" * 50, b"junk", b"\x1f")),
    ],
)
async def test_a_compressed_answer_is_read(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    """Although none was asked for, and whatever its header says: a proxy may compress, and the persona is paid for."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        content = compress(json.dumps(page_answer(request)).encode())
        writer.write(answer(content, headers={"content-encoding": encoding}))

    assert [one.name for one in (await generate(respond)).data] == ["CFO"]


async def test_a_compressed_error_says_what_octave_said() -> None:
    """Its message is inside."""
    content = gzip.compress(json.dumps({"message": "Too short"}).encode())
    respond = always(content, status=422, headers={"content-encoding": "gzip"})
    with pytest.raises(errors.InputProblem) as caught:
        await generate(respond)
    assert caught.value.octave_message == "Too short"


async def test_a_compressed_look_up_is_read() -> None:
    """So that a lost answer can be searched for on the same way."""
    content = zlib.compress(json.dumps({"data": [{"oId": "pe_1"}]}).encode())
    async with upstream(always({})) as octave, OctaveClient(octave.url, SecretStr(KEY)) as client:
        octave.look_up = always(content, headers={"content-encoding": "deflate"})
        assert (await client.list_personas(limit=1, offset=0)).data[0].oId == "pe_1"


TEXT = b'{"data": [{"oId": "pe_1", "description": "' + os.urandom(3000).hex().encode() + b'"}]}'
DAMAGED = bytearray(gzip.compress(TEXT))
DAMAGED[-8] ^= 0xFF  # its checksum


@pytest.mark.parametrize(
    ("content", "encoding", "words", "kept"),
    [
        (b"\x1b" + TEXT, "br", "came compressed with br, which cannot be read", b"\x1b" + TEXT),
        (b"not gzip", "gzip", "came compressed with gzip, which cannot be read", b"not gzip"),
        (b"\xff not deflate", "deflate", "came compressed with deflate and is damaged", b"\xff not deflate"),
        (bytes(DAMAGED), "gzip", "came compressed with gzip and is damaged", TEXT[:1000]),
        (gzip.compress(TEXT)[:2000], "gzip", "cannot be read", TEXT[:1000]),
        (b"\x1b" + TEXT, KEY, "came compressed with an unknown encoding", b"\x1b" + TEXT),
        (b"\x1b" + TEXT, "b\u00fc\x7f", "came compressed with an unknown encoding", b"\x1b" + TEXT),
    ],
)
async def test_what_cannot_be_inflated_is_kept_and_named(
    content: bytes, encoding: str, words: str, kept: bytes
) -> None:
    """It may be a persona that was paid for: as much of it as can be read is kept."""

    async def respond(_: Request, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(content)}\r\ncontent-encoding: {encoding}\r\n\r\n"
        writer.write(head.encode("latin-1") + content)

    error = await fails(respond)
    assert words in str(error)
    assert KEY not in str(error)
    assert (error.unreadable or b"").startswith(kept)


async def test_a_compressed_answer_that_breaks_off_is_kept_inflated() -> None:
    """What had come by then can be read by a person."""

    async def respond(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\ncontent-encoding: gzip\r\n\r\n")
        writer.write(gzip.compress(TEXT))

    assert (await fails(respond)).unreadable == TEXT


async def test_the_key_is_taken_out_of_a_compressed_answer_that_is_kept() -> None:
    """A peer may echo it, also compressed."""
    content = gzip.compress(b'{"echo": "' + KEY.encode() + b'", ')
    error = await fails(always(content, headers={"content-encoding": "gzip"}))
    assert error.unreadable == b'{"echo": "[key removed]", '


async def test_a_bomb_is_inflated_no_further_than_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that it is too large, and takes little memory."""
    steps: list[int] = []
    inflating = response_body.inflate

    def counting(compressed: bytes, format_: int) -> object:
        for part in inflating(compressed, format_):
            steps.append(len(part))
            yield part

    monkeypatch.setattr(response_body, "inflate", counting)
    error = await fails(always(gzip.compress(b" " * 100_000_000), headers={"content-encoding": "gzip"}))
    assert "compressed with gzip and is too large" in str(error)
    assert max(steps) <= 65536
    assert sum(steps) <= response_body.MAX_ANSWER_BYTES + 65536
