"""Bytes of plain text as text, by their encoding; subtitles as what was said; and which text can be sent."""

import codecs
import html
import re

from octave_mcp.octave.text import is_blank

MAX_CHARACTERS = 500_000
"""Most characters of one file's text: some 125,000 tokens, and ten long interviews."""

MAX_PLAIN_BYTES = 8 * 2**20
"""Most bytes of a file that is text already: so many characters in UTF-32, and four times as many in most files."""

_MARKS = (  # the longer ones first, as one of UTF-16 begins one of UTF-32
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF8, "utf-8", ""),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
"""Byte order marks, the codec that each stands for, and the encoding's name for people."""

_SAMPLE_BYTES, _MIN_PAIRS = 4096, 8
_MIN_ZEROS = 0.4
"""Share of zero bytes at even, or at odd, places from which text is UTF-16 without a mark: most text has over 0.9."""

_MAX_BEYOND_ASCII = 0.25
"""Share of letters beyond ASCII up to which text is Latin-1. Languages written in it have 0.1 at most; what is in
another script and in an encoding of its own has 0.5 and more, and would be read as nonsense."""

_BINARY = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")


_PRIVATE_KEY = re.compile(r"-----BEGIN (\w+ )?PRIVATE KEY( BLOCK)?-----")


class NotText(Exception):
    """A file has no text that can be sent. The text of the error says why, and what to do."""


def check_sendable(text: str) -> None:
    """Raise NotText for a text that is blank, too long, or holds a private key."""
    if is_blank(text):
        raise NotText("has no text: of a scanned document, send the text that it shows")
    if len(text) > MAX_CHARACTERS:
        raise NotText(f"has {len(text):,} characters, and {MAX_CHARACTERS:,} is the most: send the part that matters")
    if _PRIVATE_KEY.search(text):
        raise NotText("holds a private key: such files are never sent")


def decode(content: bytes, declared: str | None = None) -> tuple[str, str]:
    """Return the text, and the name of its encoding unless that is UTF-8.

    `declared` is what comes with the content, as in HTML and e-mail. It counts where the content is not UTF-8, or has
    no byte beyond ASCII: so have texts in ISO-2022-JP and UTF-7, and some in UTF-16. Raises NotText.
    """
    for mark, marked, name in _MARKS:
        if content.startswith(mark):
            return _strictly(content[len(mark) :], marked), name
    if codec := _unmarked_utf16(content[:_SAMPLE_BYTES]):
        return _strictly(content, codec), "UTF-16"
    if content.isascii() and (read := _by_declaration(content, declared)) and read[0] != content.decode("ascii"):
        return read
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return _by_declaration(content, declared) or (_latin_1(content), "Latin-1")
    if "\0" in text:
        raise NotText("holds no text, whatever its name says")
    return text, ""


def _strictly(content: bytes, codec: str) -> str:
    try:
        text = content.decode(codec)
    except UnicodeDecodeError:
        raise NotText("begins as text and goes on as something else: save it as UTF-8") from None
    if "\0" in text:
        raise NotText("holds no text, whatever its name says")
    return text


def _unmarked_utf16(sample: bytes) -> str | None:
    pairs = len(sample) // 2
    for first, codec in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = sample[first::2].count(0), sample[1 - first :: 2].count(0)
        if pairs >= _MIN_PAIRS and zeros / pairs >= _MIN_ZEROS and others == 0:
            return codec
    return None


def _by_declaration(content: bytes, declared: str | None) -> tuple[str, str] | None:
    try:
        text, name = content.decode(declared or ""), codecs.lookup(declared or "").name.upper()
    except (LookupError, ValueError):
        return None
    return None if _BINARY.search(text) else (text, name)


def _latin_1(content: bytes) -> str:
    """Decode as Windows does, whose Latin-1 has quotes and dashes where the standard has control characters."""
    text = content.decode("cp1252", errors="replace")
    letters = [character for character in text if not character.isspace()]
    beyond = sum(not character.isascii() for character in letters)
    if "\ufffd" in text or _BINARY.search(text) or beyond > _MAX_BEYOND_ASCII * len(letters):
        raise NotText("is no text, or in an encoding that is not known: save it as UTF-8")
    return text


# --- Subtitles --------------------------------------------------------------------------------------------------------

_TIMES = re.compile(r"^\s*(\d+:)?\d+:\d+[.,]\d+\s*-->")
_SPEAKER = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]*)>")
_TAGS = re.compile(r"</?[a-zA-Z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}")
_NOT_SAID = re.compile(r"^\ufeff?(WEBVTT|NOTE|STYLE|REGION)(\s|$)")


def without_time_stamps(subtitles: str) -> str:
    """Return what is said in subtitles (VTT or SRT), each speaker's name before it; no numbers, times or styles.

    Whatever has no times around it, and is no comment or style, stays.
    """
    said: list[str] = []
    for block in re.split(r"\n[ \t]*\n", subtitles.replace("\r\n", "\n").replace("\r", "\n").strip()):
        lines = block.split("\n")
        at = next((place for place, line in enumerate(lines[:2]) if _TIMES.match(line)), None)
        if at is None and _NOT_SAID.match(block):
            continue
        spoken = lines if at is None else lines[at + 1 :]
        said += filter(None, (html.unescape(_TAGS.sub("", _SPEAKER.sub(r"\1: ", line))).strip() for line in spoken))
    return "\n".join(said)
