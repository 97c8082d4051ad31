"""The files that can be sources, for people who do not know their names."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from octave_mcp.sources.folders import FileRefused, is_private, resolve
from octave_mcp.sources.formats import format_of

MAX_ENTRIES = 20_000
"""Most files and folders that one listing looks at: a folder of projects may hold millions."""

MAX_DEPTH = 12
"""Most folders within folders; links to folders are not followed, so there is no circle."""


@dataclass(frozen=True)
class ListedFile:
    """A file that can be a source: its name in its folder, its address, its size in bytes, the day it was changed."""

    name: str
    address: str
    size: int
    changed: str


def list_files(folders: Sequence[Path]) -> tuple[list[ListedFile], bool]:
    """Return the files of all folders by name, and whether that is all of them. Blocks: call it in a thread."""
    found: list[tuple[Path, str, os.stat_result]] = []
    seen = 0
    for folder in folders:
        for name, entry in _walk(Path(os.path.realpath(folder)), ""):
            seen += 1
            if seen > MAX_ENTRIES:
                break
            if status := _status(folder, name, entry):
                found.append((folder, name, status))
    counts = Counter(name for _, name, _ in found)
    rows = [
        ListedFile(
            name,
            f"file:{_escaped(str(folder.joinpath(name)) if counts[name] > 1 else name)}",
            status.st_size,
            datetime.fromtimestamp(status.st_mtime, UTC).date().isoformat(),
        )
        for folder, name, status in found
    ]
    return sorted(rows, key=lambda row: (row.name.casefold(), row.address)), seen <= MAX_ENTRIES


def _walk(folder: Path, below: str, depth: int = 0) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the files below a folder with their names from it on, in order, nothing private."""
    try:
        with os.scandir(folder) as entries:
            every = sorted(entries, key=lambda entry: entry.name)
    except OSError:  # such as a folder that another user's files are in
        return
    for entry in every:
        if is_private(entry.name) or not entry.name.isprintable():
            continue
        name = f"{below}{entry.name}"
        if not entry.is_dir(follow_symlinks=False):
            yield name, entry
        elif depth < MAX_DEPTH:
            yield from _walk(folder / entry.name, f"{name}/", depth + 1)


def _status(folder: Path, name: str, entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return what is known of a file that can be a source; None if it cannot be one."""
    if not format_of(name):
        return None
    try:
        root, names = resolve(folder, name.split("/"))
        return root.joinpath(*names).stat() if entry.is_file() and format_of(names[-1]) else None
    except (OSError, FileRefused):  # gone, or a link to what is not read
        return None


def _escaped(name: str) -> str:
    """Return a name as an address has it: only the percent sign needs it."""
    return name.replace("%", "%25")
