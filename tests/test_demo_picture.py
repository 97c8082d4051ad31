"""The picture of the demo says what the demo says, and brings nothing from elsewhere."""

import re
from html import unescape
from xml.etree import ElementTree as ET

from support.demo_picture import LEFT_OUT, PICTURE, PROMPT, draw, excerpt, told

MOST_BYTES = 60_000
"""A reader's browser loads it with the README."""

SVG = "{http://www.w3.org/2000/svg}"
IDS = r"\b(pe|gen)_[\w-]+"
NUMBERS = r"\d{2,}"
"""An id is a few tokens more or fewer, so that counts of tokens differ from one run to the next."""


def words(text: str) -> list[str]:
    """Return the words of a text, without what differs from one run of the demo to the next."""
    return re.sub(NUMBERS, "0", re.sub(IDS, "id", text.replace("\N{NO-BREAK SPACE}", " "))).split()


def drawn(svg: str) -> str:
    """Return what stands in an SVG, in the order in which it is read."""
    texts = ET.fromstring(svg).iter(f"{SVG}text")
    return "".join("".join(text.itertext()) for text in texts)


def test_the_picture_has_the_words_that_the_demo_prints() -> None:
    """A picture is believed, and nobody looks how old it is: `python -m support.demo_picture` draws it anew."""
    printed = told()
    shown = drawn(PICTURE.read_text(encoding="utf-8"))
    assert words(shown) == words(drawn(draw(excerpt(printed))))
    in_the_demo = " ".join(words(printed))
    first, *parts = excerpt(printed).split("\n\n")
    assert first == PROMPT
    assert all(" ".join(words(part)) in in_the_demo for part in parts if part != LEFT_OUT)


def test_every_word_that_is_to_be_drawn_is_drawn() -> None:
    """Some marks have a meaning in XML or in the drawing library's own language."""
    text = "Head\n----\n  wants: <b>[bold]x[/bold]</b> & \N{LEFT DOUBLE QUOTATION MARK}more\n- personas[0].name: gone"
    assert words(drawn(draw(text))) == [word for word in text.split() if word != "----"]


def test_the_picture_brings_nothing_from_elsewhere_and_runs_nothing() -> None:
    """It is shown on pages of others, and a font's address would tell who looks at it."""
    svg = PICTURE.read_text(encoding="utf-8")
    assert len(svg.encode()) < MOST_BYTES
    assert re.findall(r"https?://[^\"\s]+", unescape(svg)) == [SVG.strip("{}")]
    tags = {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter()}
    assert tags <= {"svg", "style", "defs", "clipPath", "rect", "g", "circle", "text"}
    assert not re.search(r"@import|@font-face|url\((?!#)|\bon\w+=|href=", svg)
