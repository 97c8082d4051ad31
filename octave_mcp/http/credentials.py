"""Tokens and Octave keys in an operator's files, which may change while the server runs."""

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

logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""Seconds between two reads of a file. A token that was removed from it may still be accepted for so long."""

MIN_TOKEN_CHARACTERS = 16
"""Fewest characters of a token. A shorter one can be guessed by trying."""

_Content = TypeVar("_Content")


def read_tokens(text: str) -> frozenset[bytes]:
    """Return the hashes of tokens that are separated by commas or line breaks. A line that begins with `#` is a remark.

    Raises ValueError, whose text contains no token.
    """
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    found = [token for line in lines for part in line.split(",") if (token := part.strip())]
    if not found:
        raise ValueError("contains no token")
    if any(len(token) < MIN_TOKEN_CHARACTERS or not is_sendable(SecretStr(token)) for token in found):
        raise ValueError(
            f"contains a token that is shorter than {MIN_TOKEN_CHARACTERS} characters, or not printable ASCII"
        )
    return frozenset(map(_hash, found))


def is_among(token: str, hashes: Iterable[bytes]) -> bool:
    """Return whether a token has one of these hashes, in a time that reveals nothing about them."""
    given, found = _hash(token), False
    for one in hashes:
        found |= hmac.compare_digest(given, one)
    return found


def read_subject_keys(text: str) -> dict[str, SecretStr]:
    """Return the Octave key of each subject, from a JSON object. Raises ValueError, whose text contains no key."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("does not contain JSON") from None
    if not isinstance(found, dict) or not found or not all(isinstance(key, str) for key in found.values()):
        raise ValueError('must contain a JSON object such as {"subject": "its Octave key"}')
    keys = {subject: SecretStr(key.strip()) for subject, key in found.items()}
    if not all(key.get_secret_value() and is_sendable(key) for key in keys.values()):
        raise ValueError("contains a value that is not a valid API key: only printable ASCII, no spaces or quotes")
    return keys


def text_of(path: Path) -> str:
    """Return the text of a file. Raises ValueError, which does not show it."""
    try:
        return path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, RuntimeError, UnicodeDecodeError):  # RuntimeError: no such home folder
        raise ValueError("names a file that cannot be read") from None


class WatchedFile(Generic[_Content]):
    """The current content of a file. One that cannot be read counts as empty, so that no removed token stays valid."""

    def __init__(
        self,
        setting: str,
        path: Path,
        read: Callable[[str], _Content],
        nothing: _Content,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the path, and how to `read` the text. `setting` names the file in the log; `now` returns seconds."""
        self._setting = setting
        self._path = path
        self._read = read
        self._nothing = nothing
        self._now = now
        self._checked_at: float | None = None
        self._text: str | None = None
        self._content = nothing

    def content(self) -> _Content:
        """Return what the file contains, or contained `CHECK_SECONDS` ago."""
        if self._checked_at is None or self._now() - self._checked_at >= CHECK_SECONDS:
            self._checked_at = self._now()
            self._check()
        return self._content

    def _check(self) -> None:
        try:
            text = text_of(self._path)
            if text != self._text:
                self._content = self._read(text)
                logger.info("%s was read", self._setting)
            self._text = text
        except ValueError as error:
            if self._text is not None or self._content is not self._nothing:
                logger.error("%s %s, so nobody is authenticated by it", self._setting, error)  # noqa: TRY400
            self._text, self._content = None, self._nothing


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
