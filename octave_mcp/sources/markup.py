"""HTML and e-mail as the text that a reader sees. Called in the worker's process only, as both may be hostile."""

import re
from collections.abc import Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Literal

from octave_mcp.octave.text import is_blank
from octave_mcp.sources.plain_text import NotText, decode

_UNSEEN = frozenset({"script", "style", "template", "noscript", "svg", "iframe"})
_SCRIPTS = ("script", "style")
"""Elements that have no others in them, and no text for a reader."""
_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "br", "caption", "dd", "div", "dl", "dt", "fieldset"}
    | {"figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main"}
    | {"nav", "ol", "option", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "title"}
    | {"tr", "ul"}
)
_CHARSET = re.compile(rb"""<meta[^<>]{0,200}charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_DECLARED_WITHIN_BYTES = 4096
"""Where HTML has to declare its encoding; the standard says 1024, and some pages are late."""

_DECLARATIONS = re.compile(r"<!doctype[^<>[]{0,500}\[", re.IGNORECASE)
_DECLARATIONS_END = re.compile(r"\]\s{0,100}>")
"""The declarations of an XHTML page, which the parser would take for text from their first `>` on."""

_HEADERS = ("From", "To", "Cc", "Date", "Subject")


def html_text(content: bytes, charset: str | None = None) -> tuple[str, str]:
    """Return what a page shows, its title first, and a note about its encoding. Raises NotText.

    `charset` is what an e-mail says of the page; without it the page's own declaration counts.
    """
    if charset is None and (found := _CHARSET.search(content[:_DECLARED_WITHIN_BYTES])):
        declared = found[1].decode("ascii")
        # A declaration that can be read byte by byte is not in UTF-16, whatever it says.
        charset = None if declared.lower().startswith("utf-16") else declared
    page, encoding = decode(content, charset)
    return _readable(page), encoding


def email_text(content: bytes) -> tuple[str, str]:
    """Return an e-mail's main headers and its text, and a note that names the attachments, which are left out.

    Its HTML counts where its plain text is blank. Raises NotText for an e-mail without any text.
    """
    message = message_from_bytes(content, EmailMessage, policy=policy.default)
    headers = [f"{name}: {message[name]}" for name in _HEADERS if message[name]]
    text = next((text for kind in ("plain", "html") if not is_blank(text := _body(message, kind))), "")
    if not text:
        raise NotText("is an e-mail without text: save its attachments as files of their own, and use those")
    return "\n".join([*headers, "", text]), _left_out([part.get_filename() for part in message.iter_attachments()])


def _body(message: EmailMessage, kind: Literal["plain", "html"]) -> str:
    """Return the text of an e-mail's body of one kind, or "" if it has none. Raises NotText."""
    body = message.get_body((kind,))
    content = body.get_payload(decode=True) if body is not None else None
    if body is None or not isinstance(content, bytes):
        return ""
    charset = body.get_content_charset()
    return (html_text(content, charset) if kind == "html" else decode(content, charset))[0]


def _left_out(names: Sequence[str | None]) -> str:
    return f"without its attachments: {', '.join(name or 'unnamed' for name in names)}" if names else ""


def _readable(page: str) -> str:
    if (found := _DECLARATIONS.search(page)) and (end := _DECLARATIONS_END.search(page, found.end())):
        page = page[: found.start()] + page[end.end() :]
    # What never ends would hide the rest of the page, and be searched for its end again and again.
    closed, mark, rest = page.rpartition("-->")
    closed, mark, rest = f"{closed}{mark}{rest.replace('<!--', '')}".rpartition(">")
    page = f"{closed}{mark}{rest.replace('<', '&lt;')}"
    parser = _parsed(page, _UNSEEN)
    if parser.ends_unseen:
        parser = _parsed(page, frozenset())
    lines = (" ".join(line.split()).strip("| ") for line in "".join(parser.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _parsed(page: str, unseen: frozenset[str]) -> "_Readable":
    parser = _Readable(unseen)
    parser.feed(page)
    parser.close()
    return parser


class _Readable(HTMLParser):
    """Collects the text of a page: a line for each block, nothing of what is not shown."""

    CDATA_CONTENT_ELEMENTS = _SCRIPTS  # type: ignore[misc] # newer Pythons have more of them

    def __init__(self, unseen: frozenset[str]) -> None:
        """Begin with an empty page. The text in `unseen` elements is left out."""
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen_tags = unseen.union(_SCRIPTS)
        self._unseen = 0

    @property
    def ends_unseen(self) -> bool:
        """Whether the page ended within an element that is not shown, a script or style aside."""
        return self._unseen > (self.cdata_elem is not None)

    def parse_marked_section(self, i: int, report: bool = True) -> int:  # noqa: ARG002, FBT001, FBT002 - as the base class
        """Pass over `<![…>`. The base class knows few such sections, and raises an error for the others."""
        end = self.rawdata.find("]]>" if self.rawdata.startswith("<![CDATA[", i) else ">", i)
        return end + 1 if end >= 0 else -1

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the base class says so
        """Begin a line for a block, and skip what is not shown."""
        if tag in self._unseen_tags:
            self._unseen += 1
        elif tag in _BLOCKS:
            self.parts.append("\n- " if tag == "li" else " | " if tag in {"td", "th"} else "\n")

    def handle_endtag(self, tag: str) -> None:
        """End a block, or what is not shown."""
        if tag in self._unseen_tags:
            self._unseen = max(0, self._unseen - 1)
        elif tag in _BLOCKS and tag not in {"td", "th", "li"}:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Keep text that is shown."""
        if not self._unseen:
            self.parts.append(re.sub(r"\s+", " ", data))
