"""Where an address leads: into the folders, and nowhere else, also while somebody changes them."""

import os
import sys
import threading
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from octave_mcp.sources import folders as under_test
from octave_mcp.sources.folders import FileRefused, read_file
from octave_mcp.sources.listing import list_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with notes, beside one that is not to be read."""
    for name, content in {
        "material/notes.md": "inside",
        "material/calls/ada 50%.md": "inside",
        "material/calls/deep/more.md": "inside",
        "outside/notes.md": "CANARY",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path / "material"


@pytest.mark.parametrize(
    "address",
    [
        "file:notes.md",
        "FILE:notes.md",
        "file:./notes.md",
        "file:calls/ada 50%.md",
        "file:calls/ada%2050%25.md",
        "file:calls//deep/./more.md",
        "file:{folder}/notes.md",
        "file://{folder}/notes.md",
        "file://localhost{folder}/calls/deep/more.md",
        "file:link.md",
        "file:same/more.md",
        "file:{link}/notes.md",
    ],
)
def test_addresses_of_files_inside_are_read(folder: Path, tmp_path: Path, address: str) -> None:
    """Relative or absolute, encoded or not, and through links that stay inside."""
    (folder / "link.md").symlink_to("calls/deep/more.md")
    (folder / "same").symlink_to(folder / "calls" / "deep")
    (tmp_path / "link").symlink_to(folder)
    found = read_file(address.format(folder=folder, link=tmp_path / "link"), [tmp_path / "link"])
    assert found.content == b"inside"


@pytest.mark.parametrize(
    "address", ["file:calls", "file:calls/deep/", "file:{folder}", "file:{folder}/calls", "file:."]
)
def test_a_folder_is_called_a_folder(folder: Path, address: str) -> None:
    """People say "from this folder"; the message says to name its files."""
    with pytest.raises(FileRefused, match="is a folder: name each of its files"):
        read_file(address.format(folder=folder), [folder])


def test_the_first_folder_that_has_a_file_is_used_and_two_are_an_error(folder: Path, tmp_path: Path) -> None:
    """Which of two was meant cannot be known; the whole path says it."""
    assert read_file("file:calls/deep/more.md", [tmp_path / "outside", folder]).name == "calls/deep/more.md"
    with pytest.raises(FileRefused, match="more than one"):
        read_file("file:notes.md", [folder, tmp_path / "outside"])
    assert read_file(f"file:{tmp_path}/outside/notes.md", [folder, tmp_path / "outside"]).content == b"CANARY"
    listed, _ = list_files([folder, tmp_path / "outside"])
    assert [read_file(row.address, [folder, tmp_path / "outside"]).name for row in listed] == [
        row.name for row in listed
    ]
    assert read_file("file:notes.md", [folder, folder]).content == b"inside"


@pytest.mark.parametrize(("on_disk", "asked"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_may_be_written_either_way(folder: Path, on_disk: str, asked: str) -> None:
    """A Mac writes a name in another form than a model does."""
    (folder / f"{unicodedata.normalize(on_disk, 'José')}.md").write_text("inside")  # type: ignore[arg-type]
    address = f"file:{unicodedata.normalize(asked, 'José')}.md"  # type: ignore[arg-type]
    assert read_file(address, [folder]).content == b"inside"


@pytest.mark.parametrize("swapped", ["notes.md", "calls", "deep"])
def test_a_link_that_is_put_in_place_just_before_the_opening_opens_nothing(
    folder: Path, tmp_path: Path, swapped: str
) -> None:
    """At the very moment at which the file, or a folder on the way, is opened, it has become a link to outside."""
    address = "file:notes.md" if swapped == "notes.md" else "file:calls/deep/more.md"
    outside = tmp_path / "outside"
    (outside / "more.md").write_text("CANARY")
    (outside / "deep").symlink_to(outside)
    victim = next(folder.rglob(swapped))
    swaps: list[str] = []

    def swap(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments[0] == swapped and not swaps:
            swaps.append(event)
            victim.rename(tmp_path / "aside")
            victim.symlink_to(outside / "notes.md" if swapped == "notes.md" else outside)

    sys.addaudithook(swap)  # stays for good, and does nothing more after the first time
    with pytest.raises(FileRefused, match="changed just now"):
        read_file(address, [folder])
    assert swaps


def test_a_folder_that_changes_all_the_time_never_leads_outside(folder: Path, tmp_path: Path) -> None:
    """Whatever moment a reader meets: what it gets is from inside, or a refusal."""
    (tmp_path / "outside" / "more.md").write_text("CANARY")
    real, link, place = tmp_path / "real", tmp_path / "link", folder / "calls" / "deep"
    link.symlink_to(tmp_path / "outside")
    ends = time.monotonic() + 0.5
    seen: set[bytes] = set()

    def exchange() -> None:
        while time.monotonic() < ends:
            place.rename(real)
            link.rename(place)
            place.rename(link)
            real.rename(place)

    changing = threading.Thread(target=exchange)
    changing.start()
    while time.monotonic() < ends:
        try:
            seen.add(read_file("file:calls/deep/more.md", [folder]).content)
        except FileRefused:
            seen.add(b"refused")
    changing.join()
    assert b"inside" in seen
    assert b"CANARY" not in seen


def test_a_system_that_cannot_open_from_a_folder_looks_again_after_opening(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows cannot; there a link that is swapped in is found afterwards."""
    monkeypatch.setattr(os, "supports_dir_fd", set())
    assert read_file("file:notes.md", [folder]).content == b"inside"
    (folder / "calls" / "ada 50%.md").unlink()
    (folder / "calls" / "ada 50%.md").symlink_to(tmp_path / "outside" / "notes.md")
    monkeypatch.setattr(under_test, "resolve", lambda root, names: (Path(root), tuple(names)))
    with pytest.raises(FileRefused):
        read_file("file:calls/ada 50%.md", [folder])


def test_a_file_that_this_user_may_not_read_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person can change permissions; root, as which tests may run, reads everything."""

    def denied(*_: object, **__: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(FileRefused, match="permissions"):
        read_file("file:notes.md", [folder])


def test_the_listing_has_what_can_be_a_source_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    """Nothing hidden, private, of another kind, or outside; and each address that it has can be read."""
    for name in (".env", ".git/notes.md", "id_rsa.txt", "photo.png", "credentials.json", "calls/~$draft.docx"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("CANARY")
    (folder / "out.md").symlink_to(tmp_path / "outside" / "notes.md")
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "gone.md").symlink_to("nowhere.md")
    (folder / "in.md").symlink_to("notes.md")
    os.mkfifo(folder / "pipe.md")
    listed, complete = list_files([folder, tmp_path / "not there"])
    assert complete
    assert [row.name for row in listed] == ["calls/ada 50%.md", "calls/deep/more.md", "in.md", "notes.md"]
    assert {read_file(row.address, [folder]).content for row in listed} == {b"inside"}
    assert all(row.size == len("inside") and len(row.changed) == len("2026-01-01") for row in listed)


def test_a_huge_folder_is_listed_in_part(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and takes no minutes."""
    monkeypatch.setattr("octave_mcp.sources.listing.MAX_ENTRIES", 2)
    listed, complete = list_files([folder])
    assert len(listed) == 2
    assert not complete
