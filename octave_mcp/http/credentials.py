"""Tokens and keys that an operator keeps in files, which may change while the server runs."""

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import SecretStr

from octave_mcp.values import is_sendable

__all__ = ["Watched", "is_among", "read_subject_keys", "read_tokens", "text_of"]

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""A file is looked at no more often; so long a token that was taken out may still be taken."""

MIN_TOKEN_CHARACTERS = 16
"""Shorter ones can be guessed by trying."""

_Content = TypeVar("_Content")


def read_tokens(text: str) -> frozenset[bytes]:
    """The hashes of tokens that are separated by commas or line breaks; `#` begins a remark, on a line of its own.

    Raises ValueError, whose text has none of them.
    """
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    found = [token for line in lines for part in line.split(",") if (token := part.strip())]
    if not found:
        raise ValueError("holds no token")
    if any(len(token) < MIN_TOKEN_CHARACTERS or not is_sendable(SecretStr(token)) for token in found):
        raise ValueError(f"holds a token that is not {MIN_TOKEN_CHARACTERS} or more printable characters, no spaces")
    return frozenset(map(_hash, found))


def is_among(token: str, hashes: Iterable[bytes]) -> bool:
    """Whether it is one of them, in a time that tells nothing of them."""
    given, found = _hash(token), False
    for one in hashes:
        found |= hmac.compare_digest(given, one)
    return found


def read_subject_keys(text: str) -> dict[str, SecretStr]:
    """The key of each subject, from a JSON object. Raises ValueError, whose text has none of them."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("holds no JSON") from None
    if not isinstance(found, dict) or not found or not all(isinstance(key, str) for key in found.values()):
        raise ValueError('must hold a JSON object such as {"subject": "its Octave key"}')
    keys = {subject: SecretStr(key.strip()) for subject, key in found.items()}
    if not all(key.get_secret_value() and is_sendable(key) for key in keys.values()):
        raise ValueError("holds what is no API key: keys are printable characters without spaces or quotes")
    return keys


def text_of(path: Path) -> str:
    """A file's text. Raises ValueError, which does not show it."""
    try:
        return path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise ValueError("names a file that cannot be read") from None


class Watched(Generic[_Content]):
    """What a file holds now. One that cannot be read holds nothing: what was taken out must not stay by accident."""

    def __init__(
        self,
        setting: str,
        path: Path,
        read: Callable[[str], _Content],
        nothing: _Content,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember. `setting` names the file in the log; `now` counts seconds."""
        self._setting = setting
        self._path = path
        self._read = read
        self._nothing = nothing
        self._now = now
        self._looked_at: float | None = None
        self._text: str | None = None
        self._content = nothing

    def content(self) -> _Content:
        """What the file holds, or held `LOOK_SECONDS` ago."""
        if self._looked_at is None or self._now() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = self._now()
            self._look()
        return self._content

    def _look(self) -> None:
        try:
            text = text_of(self._path)
            if text != self._text:
                self._content = self._read(text)
                logger.info("%s was read", self._setting)
            self._text = text
        except ValueError as error:
            if self._text is not None or self._content is not self._nothing:
                logger.error("%s %s, so nobody is let in by it", self._setting, error)  # noqa: TRY400
            self._text, self._content = None, self._nothing


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
