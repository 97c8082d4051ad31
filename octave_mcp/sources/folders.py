"""Where a `file:` address leads: to a regular file inside one of the configured folders, or nowhere.

An address is checked as it is written, then resolved, then checked once more as resolved. The file is opened from the
folder downwards, one name after the other, and no link is followed on that way. So a link that somebody puts in place
of a file or a folder after the check opens nothing.
"""

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote

from octave_mcp.sources.formats import FORMATS, MODERN, Format, format_of

MAX_FILE_BYTES = 25 * 2**20
"""Most bytes of one file: documents with many pictures have some 20 MB, and text has far less."""

MAX_NAME_CHARACTERS = 1000
"""Characters up to which a text may be the name of a file, with the folders that it is in."""

PRIVATE_NAMES = (
    *(
        "id_rsa*",
        "id_dsa*",
        "id_ecdsa*",
        "id_ed25519*",
        "authorized_keys*",
        "known_hosts*",
        "*.pem",
        "*.pem.*",
        "*.key",
    ),
    *("*.env", "*.env.*", "*.p12", "*.pfx", "*.kdbx", "*.ppk", "*.jks", "*.keystore", "*.gpg", "*.ovpn"),
    *("passwd", "shadow"),
    *("*credentials", "*credentials.*", "*client_secret*.json", "*service*account*.json", "*private[_-]key.*"),
    *("*apikey.*", "*api[_-]key.*", "*apikeys.*", "*api[_-]keys.*", "secret.*", "secrets.*", "*[_-]secrets.*"),
    *("password.*", "passwords.*", "*[_-]passwords.*", "token.*", "*[_-]token.*", "tokens.*", "*[_-]tokens.*"),
)
"""Names of files with keys and passwords, in small letters. They are never read, whatever their suffix."""

_IS_WINDOWS = os.name == "nt"
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | _NO_LINK
"""A pipe without a writer would block, and a terminal would become this process's own."""

_HIDDEN_ATTRIBUTES = 0x2 | 0x4
"""Windows marks hidden files, and those of the system, by an attribute and not by name."""


class FileRefused(Exception):
    """A file cannot be a source. The text says why and what to do; it does not name the file."""


@dataclass(frozen=True)
class FileContent:
    """What was read: the name relative to its folder, its format, and its bytes."""

    name: str
    format: Format
    content: bytes


def is_file_address(value: str) -> bool:
    """Return whether a source's value is meant as the address of a file."""
    return value[:5].lower() == "file:"


def is_file_name(text: str, folders: Sequence[Path]) -> bool:
    """Return whether a text is nothing but the name of a file that exists in one of the folders."""
    if len(text) > MAX_NAME_CHARACTERS or not format_of(text):
        return False
    try:
        return any(_existing(folder, text) for folder in folders)
    except (FileRefused, OSError, ValueError):
        return False


def is_private(name: str) -> bool:
    """Return whether a file or folder of that name is never read: it is hidden, or named like a key or password."""
    name = unicodedata.normalize("NFKC", name).casefold()
    return name.startswith((".", "~$")) or any(fnmatchcase(name, pattern) for pattern in PRIVATE_NAMES)


def read_file(address: str, folders: Sequence[Path]) -> FileContent:
    """Return the file at an address such as `file:notes/interview.md`. Raises FileRefused."""
    path = _written_path(address)
    with _reported():
        return _read(path, folders)


def _read(path: str, folders: Sequence[Path]) -> FileContent:
    below = [names for folder in folders if (names := _below(folder, path)) is not None]
    if not below:
        raise FileRefused("is outside the folders that may be read")
    found = list(dict.fromkeys(place for folder in folders if (place := _existing(folder, path))))
    if () in below or any(root.joinpath(*names).is_dir() for root, names in found):
        raise FileRefused(_IS_FOLDER)
    if not found:
        raise FileRefused(_NOT_FOUND)
    if len({root.joinpath(*names) for root, names in found}) > 1:
        raise FileRefused("is in more than one of the folders: write the whole path, such as file:/folder/notes.md")
    root, names = found[0]
    found_format = _format(names[-1])
    with _opened(root, names) as file:
        return FileContent("/".join(names), found_format, _content(file))


_IS_FOLDER = "is a folder: name each of its files as a source"
_NOT_FOUND = "does not exist in the folders that may be read"


def _written_path(address: str) -> str:
    """Return the path that an address has, decoded once. Raises FileRefused."""
    path = address[5:]
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        if host.lower() not in {"", "localhost"}:
            raise FileRefused("names another computer: after file: write the path at once, such as file:notes/talk.md")
        path = slash + path
    try:
        path = unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise FileRefused("has a percent sign and digits that are no UTF-8: write the name as it is listed") from None
    if _IS_WINDOWS:
        path = re.sub(r"^/(?=[A-Za-z]:)", "", path)
    names = path.split("/")
    if ".." in names:
        raise FileRefused("has `..` in its path: write the path from the folder on")
    if "\\" in path or path.startswith("//") or (_IS_WINDOWS and any(":" in name for name in names[1:])):
        raise FileRefused("has a path that cannot be used: write it with `/`, from the folder on")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in path):
        raise FileRefused("has a control character in its path")
    return path


def _below(folder: Path, path: str) -> tuple[str, ...] | None:
    """Return the names from the folder down to a path; None if an absolute path is not in the folder."""
    if not Path(path).is_absolute():
        return tuple(name for name in path.split("/") if name not in {"", "."})
    for root in (folder, Path(os.path.realpath(folder))):
        if Path(path).is_relative_to(root):
            return Path(path).relative_to(root).parts
    return None


def _existing(folder: Path, path: str) -> tuple[Path, tuple[str, ...]] | None:
    """Return the folder and the names below it, links resolved, of something that exists; None if nothing does."""
    for spelling in _spellings(_below(folder, path) or ()):
        root, names = resolve(folder, spelling)
        if os.path.lexists(root.joinpath(*names)):
            return root, names
    return None


def _spellings(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the names as written, then with their accents composed and decomposed, as macOS writes them."""
    if names:
        forms = (names, *(tuple(unicodedata.normalize(form, name) for name in names) for form in ("NFC", "NFD")))
        yield from dict.fromkeys(forms)


def resolve(folder: Path, names: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """Return the folder and the names below it with all links resolved. Raises FileRefused for what is never read."""
    root = Path(os.path.realpath(folder))
    _check_names(names)
    target = Path(os.path.realpath(root.joinpath(*names)))
    if not target.is_relative_to(root) or target == root:
        raise FileRefused("leads outside the folders that may be read, through a link")
    resolved = target.relative_to(root).parts
    _check_names(resolved)
    return root, resolved


def _check_names(names: Sequence[str]) -> None:
    if any(map(is_private, names)):
        raise FileRefused("is hidden, or named like a key or password: such files are never read")


def _format(name: str) -> Format:
    if found := format_of(name):
        return found
    suffix = Path(name).suffix.lower()
    if suffix in MODERN:
        raise FileRefused(f"is in an old format: save it as {MODERN[suffix]}, or as PDF or text")
    raise FileRefused(f"is not of a kind that can be read: {', '.join(FORMATS)}")


@contextmanager
def _reported() -> Iterator[None]:
    """Raise FileRefused for what the operating system refuses."""
    try:
        yield
    except FileNotFoundError:
        raise FileRefused(_NOT_FOUND) from None
    except PermissionError:
        raise FileRefused("may not be read by the user that runs this server: change its permissions") from None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}:
            raise FileRefused("has a link in its path that leads nowhere, or that changed just now") from None
        raise FileRefused(f"cannot be read: {error.strerror}") from None


@contextmanager
def _opened(root: Path, names: Sequence[str]) -> Iterator[int]:
    """Open a regular file below `root` without following a link, and close it at the end. Raises OSError."""
    if os.open not in os.supports_dir_fd:
        with _opened_by_path(root.joinpath(*names)) as file:
            yield file
        return
    held = [os.open(root, _FOLDER)]
    try:
        for name in names[:-1]:
            held.append(os.open(name, _FOLDER, dir_fd=held[-1]))
        _check_regular(os.stat(names[-1], dir_fd=held[-1], follow_symlinks=False))  # opening a device may do something
        held.append(os.open(names[-1], _FILE, dir_fd=held[-1]))
        _check_regular(os.fstat(held[-1]))
        yield held[-1]
    finally:
        for one in held:
            os.close(one)


@contextmanager
def _opened_by_path(path: Path) -> Iterator[int]:
    """Open a regular file where a system cannot open relative to a folder, as Windows, and look again afterwards."""
    _check_regular(path.lstat())
    file = os.open(path, _FILE)
    try:
        if os.path.realpath(path) != str(path) or not os.path.samestat(os.fstat(file), path.lstat()):
            raise OSError(errno.ELOOP, "")
        yield file
    finally:
        os.close(file)


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise FileRefused(_IS_FOLDER)
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "")
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused("is a device, pipe or socket: only regular files can be read")
    if getattr(found, "st_file_attributes", 0) & _HIDDEN_ATTRIBUTES:
        raise FileRefused("is hidden: such files are never read")


def _content(file: int) -> bytes:
    """Return all bytes of an open file. Raises FileRefused if there are too many."""
    with open(file, "rb", closefd=False) as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise FileRefused(f"has more than {MAX_FILE_BYTES // 2**20} MB: use a smaller file, or a part of it as text")
    return content
