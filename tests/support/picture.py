"""The README's picture: a chat that gets personas, with the cards as a host shows them.

`python -m support.picture`, with `tests` on the path, draws it anew. The chat around the cards is made up. The cards
are the real page, with what the sandbox wrote from the notes in `examples/notes`.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from anyio.from_thread import start_blocking_portal
from mcp import Client

from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings
from support.browser import Browser, browser
from support.cards_host import Host, open_host

ROOT = Path(__file__).parent.parent.parent
PICTURE = ROOT / "docs" / "chat.png"
NOTES = ROOT / "examples" / "notes"

PERSONAS = {
    "Bank Security Lead": "bank-security.md",
    "Hospital IT Director": "hospital-it.md",
    "Plant Procurement Manager": "plant-procurement.md",
}
"""The personas that the person in the picture asks for, and the notes about each."""

WIDTH, HEIGHT = 1060, 790
"""Pixels of the picture."""

_KEYWORD = b"Description\0"

_CHAT = """<!doctype html><html lang="en"><head><title>A chat</title><style>
:root { color-scheme: light; font: 15px/1.5 system-ui, "Noto Sans", "DejaVu Sans", sans-serif; color: #1c2024; }
body { margin: 0; background: #eef0f3; padding: 18px; }
.chat { background: #fff; border: 1px solid #d5dae1; border-radius: 14px; padding: 22px 26px 20px; height: 712px;
  overflow: hidden; box-sizing: content-box; }
p { margin: 0 0 14px; }
.person { margin-inline-start: auto; width: fit-content; max-width: 76%; padding: 9px 16px; border-radius: 16px;
  background: #e6eefb; }
.person b { display: inline-block; margin: 5px 6px 0 0; padding: 0 9px; border-radius: 99px; background: #fff;
  border: 1px solid #c4d3ea; font-weight: 400; font-size: 13px; }
.tool { color: #555e69; font-size: 13.5px; margin-bottom: 8px; }
.tool::before { content: "✓ "; color: #1a7f37; }
#cards { position: relative; height: 540px; overflow: hidden; border: 1px solid #d5dae1; border-radius: 10px;
  margin-bottom: 16px; }
#cards::after { content: ""; position: absolute; inset: auto 0 0; height: 70px;
  background: linear-gradient(#fff0, #fff); }
iframe { border: 0; width: 100%; display: block; }
</style></head><body><div class="chat">
<p class="person">Build personas for our security buyers, one from each of these notes.<br>
<b>bank-security.md</b><b>hospital-it.md</b><b>plant-procurement.md</b></p>
<p class="tool">octave-personas: generate_personas, 3 personas</p>
<div id="cards"></div>
<p>The three personas are in your Octave workspace now. All three hold a budget; the hospital starts pilots in February
or not at all. Shall I compare them, or write a first e-mail to the Bank Security Lead?</p>
</div></body></html>"""


@contextmanager
def drawn_chat(browser: Browser) -> Iterator[Host]:
    """Show the chat with its cards."""
    wanted = [
        {"name": name, "sources": [{"type": "TEXT", "value": _notes(NOTES / file)}]} for name, file in PERSONAS.items()
    ]
    server = build_server(Settings(sandbox=True))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(server)) as client:
        result = portal.call(client.call_tool, "generate_personas", {"personas": wanted})
    made = cast("dict[str, Any]", result.model_dump(mode="json", by_alias=True, exclude_none=True))
    host = open_host(browser, context={"theme": "light"}, frame=_CHAT, width=WIDTH, height=HEIGHT)
    host.result(made["structuredContent"])
    host.sees(list(PERSONAS)[-1])
    yield host
    host.page.close()


def _notes(path: Path) -> str:
    """Return the lines of a file of notes without its heading and its marks of a list."""
    return "\n".join(line.lstrip("- ") for line in path.read_text(encoding="utf-8").splitlines()[1:] if line)


def text_in(picture: bytes) -> str:
    """Return the text of the cards that a picture was drawn with."""
    start = picture.index(_KEYWORD)
    (length,) = struct.unpack(">I", picture[start - 8 : start - 4])
    return picture[start + len(_KEYWORD) : start + length].decode("latin-1")


def _with_text(picture: bytes, text: str) -> bytes:
    """Return a PNG with a text beside its pixels, after its first chunk, which takes 33 bytes with the file's mark."""
    data = b"tEXt" + _KEYWORD + text.encode("latin-1", errors="replace")
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return picture[:33] + chunk + picture[33:]


def draw() -> None:
    """Draw the picture anew."""
    with browser() as started, drawn_chat(started) as host:
        host.page.run("new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 300)))")
        PICTURE.write_bytes(_with_text(host.page.picture(), host.text()))


if __name__ == "__main__":
    draw()
