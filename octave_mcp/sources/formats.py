"""The formats of files that can be sources, by suffix. A file with any other suffix is never opened."""

from enum import StrEnum
from pathlib import PurePath


class Format(StrEnum):
    """How a file becomes text. The values are words for people."""

    PLAIN = "text"
    SUBTITLES = "subtitles"
    HTML = "HTML"
    EMAIL = "e-mail"
    PDF = "PDF"
    WORD = "Word"
    POWERPOINT = "PowerPoint"
    EXCEL = "Excel"
    OUTLOOK = "Outlook"


FORMATS = {
    **dict.fromkeys((".md", ".markdown", ".txt", ".text", ".rst", ".csv", ".tsv", ".json", ".jsonl"), Format.PLAIN),
    **dict.fromkeys((".vtt", ".srt"), Format.SUBTITLES),
    **dict.fromkeys((".html", ".htm", ".xhtml"), Format.HTML),
    ".eml": Format.EMAIL,
    ".pdf": Format.PDF,
    ".docx": Format.WORD,
    ".pptx": Format.POWERPOINT,
    ".xlsx": Format.EXCEL,
    ".msg": Format.OUTLOOK,
}
"""The format of each suffix. A new one is a line here, and a branch in `worker` unless it is plain text."""

DOCUMENTS = frozenset({Format.PDF, Format.WORD, Format.POWERPOINT, Format.EXCEL, Format.OUTLOOK})
"""Formats that the extra `documents` reads."""

MODERN = {".doc": ".docx", ".ppt": ".pptx", ".xls": ".xlsx"}
"""Old formats that cannot be read, and what to save them as."""


def format_of(name: str) -> Format | None:
    """Return the format of a file by its name, or None if it cannot be a source."""
    return FORMATS.get(PurePath(name).suffix.lower())
