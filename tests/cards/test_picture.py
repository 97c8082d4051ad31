"""The README's picture shows the cards as they are now, and is small."""

from support.browser import Browser
from support.picture import PICTURE, drawn_chat, text_in

MAX_BYTES = 200_000
"""Bytes of the picture: a reader's browser loads it with the README."""


def test_the_picture_shows_the_cards_as_they_are(chromium: Browser) -> None:
    """A picture is believed, and nobody looks whether it is of an older version: `make picture` draws it anew."""
    with drawn_chat(chromium) as host:
        shown = host.text()
    assert text_in(PICTURE.read_bytes()) == shown.encode("latin-1", errors="replace").decode("latin-1")


def test_the_picture_is_small() -> None:
    """It is a PNG, which every page shows that has the README on it."""
    picture = PICTURE.read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) < MAX_BYTES
