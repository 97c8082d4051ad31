"""Text by its encoding, and subtitles as what was said."""

import codecs

import pytest

from octave_mcp.sources.plain_text import NotText, decode, without_time_stamps

GERMAN = "Für Müller zählt die Größe – „sofort“, sagt sie.\n"  # noqa: RUF001 - the dash is what is read


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (GERMAN.encode(), ""),
        (codecs.BOM_UTF8 + GERMAN.encode(), ""),
        (codecs.BOM_UTF16_LE + GERMAN.encode("utf-16-le"), "UTF-16"),
        (codecs.BOM_UTF16_BE + GERMAN.encode("utf-16-be"), "UTF-16"),
        (codecs.BOM_UTF32_LE + GERMAN.encode("utf-32-le"), "UTF-32"),
        (codecs.BOM_UTF32_BE + GERMAN.encode("utf-32-be"), "UTF-32"),
        ((GERMAN * 9).encode("utf-16-le"), "UTF-16"),
        ((GERMAN * 9).encode("utf-16-be"), "UTF-16"),
        (GERMAN.encode("cp1252"), "Latin-1"),
        ("naïve café".encode("latin-1"), "Latin-1"),
        ("帳簿の突合に二日かかる".encode(), ""),
        (b"line\r\nline\r\n\ttab", ""),
        (b"", ""),
    ],
)
def test_text_is_read_word_for_word_whatever_its_encoding(content: bytes, encoding: str) -> None:
    """An encoding that is not UTF-8 is named, so that a person can see what was assumed."""
    text, named = decode(content)
    assert named == encoding
    assert text in {GERMAN, GERMAN * 9, "naïve café", "帳簿の突合に二日かかる", "line\r\nline\r\n\ttab", ""}


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"words\0more",
        "帳簿の突合に二日かかる".encode("shift-jis"),
        "Сверка занимает два дня".encode("koi8-r"),
        codecs.BOM_UTF16_LE + b"odd",
        codecs.BOM_UTF16_LE + "a\0b".encode("utf-16-le"),
        codecs.BOM_UTF8 + b"\xff\xfe\xfd",
        bytes(range(256)),
        b"caf\xe9\x01",
    ],
)
def test_what_is_no_text_or_in_an_unknown_encoding_is_refused(content: bytes) -> None:
    """Nonsense would be paid for like anything else."""
    with pytest.raises(NotText):
        decode(content)


def test_a_declared_encoding_counts_if_the_content_is_not_utf_8() -> None:
    """A page may say what it is; one that is UTF-8 and says otherwise is read as UTF-8."""
    russian = "Сверка занимает два дня"
    assert decode(russian.encode("koi8-r"), "koi8-r") == (russian, "KOI8-R")
    assert decode(russian.encode(), "koi8-r") == (russian, "")
    assert decode(b"caf\xe9", "no-such") == ("café", "Latin-1")
    assert decode(b"caf\xe9", "zlib") == ("café", "Latin-1")


VTT = """\
WEBVTT - our call
Kind: captions

STYLE
::cue { color: red }

NOTE
made by hand

intro
00:01.000 --> 00:04.000 align:start
<v.loud Ada>We lose <i>two days</i> a month.

00:00:04.500 --> 00:00:06.000
- To what?
- <00:00:05.000>Reconciliation &amp; audits.
"""
SRT = "1\n00:00:01,000 --> 00:00:04,000\n{\\an8}<b>Two days</b> a month.\n\n2\n0:00:05,1 --> 0:00:06,0\n2024\n"


def test_subtitles_become_what_is_said() -> None:
    """Numbers, times and styles say nothing about a buyer; speakers do."""
    assert without_time_stamps(VTT) == "Ada: We lose two days a month.\n- To what?\n- Reconciliation & audits."
    assert without_time_stamps(SRT) == without_time_stamps(SRT.replace("\n", "\r\n")) == "Two days a month.\n2024"
    assert without_time_stamps("no times\n\nat all") == "no times\nat all"
    assert without_time_stamps("") == ""
