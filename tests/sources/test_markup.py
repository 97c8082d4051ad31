"""HTML and e-mail as the text that a reader sees."""

import base64
import time
from email.message import EmailMessage

import pytest

from octave_mcp.sources.formats import Format
from octave_mcp.sources.markup import email_text, html_text
from octave_mcp.sources.worker import convert

PAGE = """\
<!doctype html><html><head><meta charset="utf-8"><title>Customer&nbsp;voices</title><style>p { color: red }</style>
<script>var unseen = "<p>unseen</p>";</script></head><body><nav><a href="/">Home</a></nav>
<h1>Two   days
a month</h1><p>We lose <b>two</b> days&mdash;each month.<br>Really.</p><ul><li>audits<li>closing</ul>
<table><tr><th>role</th><td>controller</td></tr></table><noscript>unseen</noscript><svg><text>unseen</text></svg></body>
"""


def test_a_page_becomes_what_it_shows() -> None:
    """A line for each block; no scripts, no styles, no drawings."""
    text, encoding = html_text(PAGE.encode())
    assert text.split("\n") == [
        *("Customer voices", "", "Home", "", "Two days a month", "", "We lose two days—each month.", "Really."),
        *("", "- audits", "- closing", "", "role | controller"),
    ]
    assert encoding == ""


@pytest.mark.parametrize(
    ("page", "shown", "encoding"),
    [
        ("<meta charset='koi8-r'><p>Сверка".encode("koi8-r"), "Сверка", "KOI8-R"),
        (b"<meta http-equiv=x content='text/html; charset=iso-8859-2'>\xb1", "ą", "ISO8859-2"),
        (b"caf\xe9", "café", "Latin-1"),
        ("<meta charset='iso-2022-jp'><p>帳簿".encode("iso-2022-jp"), "帳簿", "ISO2022_JP"),
        (b"<meta charset='windows-1252'><p>plain", "plain", ""),
        (b"<meta charset='utf-16'><p>even", "even", ""),
        ("<p>\ufeff帳簿".encode("utf-16"), "\ufeff帳簿", "UTF-16"),
        (b"<p>&#xD800;&#0;&bogus;</p>", "\ufffd\ufffd&bogus;", ""),
        (b"<script>never closed", "", ""),
        (b"</noscript><p>words", "words", ""),
        (b"<p>one<svg><path d='M0'><p>two", "one\ntwo", ""),
        (b"<p>one<iframe src='x'><p>two", "one\ntwo", ""),
        (b"<svg><text>unseen</text></svg><p>one<template><p>two<script>unseen", "unseen\none\ntwo", ""),
        (b"<p>one<!-- unseen --><p>two<!-- three", "one\ntwo three", ""),
        (b"<p>one<![if !mso]>two<![endif]><![bogus [x]><p>three", "onetwo\nthree", ""),
        (b"<p>5 < 6 and <b", "5 < 6 and <b", ""),
        (b"<!DOCTYPE html SYSTEM 'x' [<!ENTITY a '&#160;'>\n<!ENTITY b 'c'>\n]><p>words [1] > 2", "words [1] > 2", ""),
        (b"<!DOCTYPE html [ never closed <p>words", "words", ""),
    ],
)
def test_pages_are_read_by_their_encoding(page: bytes, shown: str, encoding: str) -> None:
    """As they declare it, unless they are UTF-8; broken markup is read as far as it goes."""
    assert html_text(page) == (shown, encoding)


@pytest.mark.parametrize("end", ["", ">", "-->", "</p>words"])
@pytest.mark.parametrize("repeated", ["<!--", "<![", "<a ", '<a b="', "<?", "</", "<svg>", "<!doctype ", "<!doctype ["])
def test_markup_that_never_ends_is_read_in_no_time(repeated: str, end: str) -> None:
    """The base class looks for the end of each from its beginning: minutes for what is here."""
    began = time.process_time()
    html_text(f"{repeated * 40_000}{end}".encode())
    assert time.process_time() - began < 10


def test_an_email_is_its_headers_and_its_plain_text() -> None:
    """The plain part is preferred to the one in HTML; attachments are named and left out."""
    message = EmailMessage()
    message["From"], message["Subject"] = "Åsa <asa@example.com>", "Über uns"
    message.set_content("plain Größe", charset="iso-8859-1")
    message.add_alternative("<p>HTML</p>", subtype="html")
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="offer.pdf")
    message.add_attachment(b"x", maintype="application", subtype="pdf")
    text, note = email_text(message.as_bytes())
    assert text == "From: Åsa <asa@example.com>\nSubject: Über uns\n\nplain Größe\n"
    assert note == "without its attachments: offer.pdf, unnamed"


@pytest.mark.parametrize(
    ("kind", "charset", "words"),
    [
        ("plain", "iso-2022-jp", "価格が心配です。"),
        ("plain", "utf-7", "Größe"),
        ("plain", "utf-16-le", "Привет, мир, клиент"),
        ("plain", "koi8-r", "Сверка"),
        ("html", "iso-8859-2", "Zażółć gęślą jaźń w każdym miesiącu"),
        ("html", "iso-2022-jp", "価格が心配です。"),
    ],
)
def test_an_email_is_read_by_the_encoding_of_its_part(kind: str, charset: str, words: str) -> None:
    """Also if its bytes could be another text, as those of encodings without a byte beyond ASCII could."""
    head = f"Subject: talk\nContent-Type: text/{kind}; charset={charset}\nContent-Transfer-Encoding: base64\n\n"
    text, _ = email_text(head.encode() + base64.b64encode(words.encode(charset)))
    assert text == f"Subject: talk\n\n{words}"


def test_the_html_of_an_email_counts_where_its_plain_text_is_blank() -> None:
    """As newsletters have it."""
    message = EmailMessage()
    message.set_content(" \n")
    message.add_alternative("<p>what is said</p>", subtype="html")
    assert email_text(message.as_bytes())[0].strip() == "what is said"


def test_an_email_without_text_is_refused() -> None:
    """Its subject alone says nothing of a persona, and its attachments are not read."""
    message = EmailMessage()
    message["Subject"] = "the interview"
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="interview.pdf")
    for content in (message.as_bytes(), b"Subject: only this\n\n", b"Content-Type: multipart/mixed\n\nlost"):
        assert "without text" in convert(Format.EMAIL, content)["problem"]


def test_what_comes_on_the_wire_can_be_sent() -> None:
    """No character is one that cannot be sent."""
    assert convert(Format.EMAIL, b"Subject: a\x01\n\nb") == {"text": "Subject: a\n\nb", "note": ""}
    assert convert(Format.HTML, b"<p>\x01words</p>") == {"text": "words", "note": ""}
    assert "has no text" in convert(Format.HTML, b"<p></p>")["problem"]
    assert "is the most" in convert(Format.HTML, b"<p>" + b"words " * 100_000)["problem"]
