"""The text of a source: what it says itself, the words of its address, or a resource's content."""

import re
from urllib.parse import unquote, urlsplit

from octave_mcp.octave.models import Source
from octave_mcp.sandbox.library import Library

__all__ = ["UnknownResource", "text_of"]

_NO_WORDS = frozenset(
    [
        *("blog", "com", "customer", "customers", "en", "example", "htm", "html", "index", "page", "pages", "persona"),
        *("personas", "php", "products", "solution", "solutions", "www"),
    ]
)
"""Parts of an address that say nothing about a buyer."""


class UnknownResource(LookupError):
    """A RESOURCE source names nothing in the library."""


def text_of(source: Source, library: Library) -> str:
    """The text to read in place of `source`. Raises `UnknownResource`."""
    if source.type == "URL":
        return _words_of(source.value)
    if source.type == "TEXT":
        return source.value
    if resource := library.resource(source.value):
        return resource.content
    raise UnknownResource


def _words_of(url: str) -> str:
    """The words of an address, a line for each part of its path, and one for its host without the last label."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rpartition(".")[0]
    lines = (re.findall(r"[^\W_]+", part) for part in [*unquote(parts.path).split("/"), host])
    kept = (" ".join(word for word in line if word.lower() not in _NO_WORDS) for line in lines)
    return "\n".join(line for line in kept if line)
