"""PDF, Word, PowerPoint, Excel and Outlook files as text, through the converters of `markitdown`.

Called in the worker's process only. The converters are used one by one, so that nothing of the library guesses a type,
loads a plug-in or opens an address.
"""

import io
import re
import zipfile
from functools import cache
from typing import Any

from octave_mcp.sources.formats import Format
from octave_mcp.sources.plain_text import NotText

MAX_UNPACKED_BYTES = 200 * 2**20
"""Most bytes that the parts of a Word, PowerPoint or Excel file have once unpacked, pictures included."""

MAX_PARTS = 5000
"""Most parts of such a file: a presentation of 500 slides has some 3,000."""

_SUFFIX = {
    Format.PDF: ".pdf",
    Format.WORD: ".docx",
    Format.POWERPOINT: ".pptx",
    Format.EXCEL: ".xlsx",
    Format.OUTLOOK: ".msg",
}
_ZIPPED = frozenset({Format.WORD, Format.POWERPOINT, Format.EXCEL})

_PICTURE = re.compile(r"!\[([^\[\]]*)\]\([^()]*\)")
_SLIDE = re.compile(r"<!-- Slide number: \d+ -->\n?")
_NO_BODY = "## Content"
"""How the text of an e-mail without a plain body ends."""

_EMPTY_CELL = re.compile(r"(?<=\| )(NaN|Unnamed: \d+)(?= \|)")
_WHOLE_NUMBER = re.compile(r"(?<=\| )(-?\d+)\.0(?= \|)")
"""The library fills empty cells and headers with these words, and adds the zero where a column has an empty cell."""


@cache
def load_converters() -> dict[Format, Any]:
    """Return a converter for each format. Raises ImportError without the extra `documents`."""
    from markitdown import converters  # noqa: PLC0415 - it takes seconds, and few files need it

    kinds: dict[Format, Any] = {
        Format.PDF: converters.PdfConverter,
        Format.WORD: converters.DocxConverter,
        Format.POWERPOINT: converters.PptxConverter,
        Format.EXCEL: converters.XlsxConverter,
        Format.OUTLOOK: converters.OutlookMsgConverter,
    }
    return {found: kind() for found, kind in kinds.items()}


def document_text(found: Format, content: bytes) -> str:
    """Return a document's text as Markdown, without pictures. Raises NotText, and whatever a converter raises."""
    from markitdown import StreamInfo  # noqa: PLC0415 - as above

    if found in _ZIPPED:
        _check_size(content)
    converted = load_converters()[found].convert(io.BytesIO(content), StreamInfo(extension=_SUFFIX[found]))
    text = _SLIDE.sub("", _PICTURE.sub(r"\1", converted.markdown.replace("\f", "\n\n")))
    if found is Format.OUTLOOK and text.rstrip().endswith(_NO_BODY):
        raise NotText("has no plain text: save the e-mail as .eml, or its text alone")
    if found is Format.EXCEL:
        text = _WHOLE_NUMBER.sub(r"\1", _EMPTY_CELL.sub("", text))
    return text.strip()


def _check_size(content: bytes) -> None:
    """Raise NotText for a file that is small only until it is unpacked.

    The sizes are those that the file declares; whoever unpacks a part stops at its declared size.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        every = parts.infolist()
    if len(every) > MAX_PARTS or sum(part.file_size for part in every) > MAX_UNPACKED_BYTES:
        raise NotText("is far larger once it is unpacked than a document may be: save its text alone")
