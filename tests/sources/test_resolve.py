"""A request's files become text in their place: all of them, or none and the reason."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.material import INTERVIEW, docx, email, make_folder, outlook, pdf, presentation

from octave_mcp.octave.models import GenerateRequest
from octave_mcp.sources import resolve as under_test
from octave_mcp.sources import worker, worker_process
from octave_mcp.sources.documents import document_text
from octave_mcp.sources.formats import DOCUMENTS, Format, format_of
from octave_mcp.sources.resolve import FilesRefused, ReadFile, RequestWithFiles, read_files

PATIENCE_SECONDS = 120
"""Longer than any reading here takes on a busy machine."""


def request_for(*names: str) -> RequestWithFiles:
    """Return a request for one persona from these files, after a text of its own."""
    sources = [{"type": "TEXT", "value": "own words"}, *({"type": "URL", "value": f"file:{name}"} for name in names)]
    return RequestWithFiles.model_validate({"personas": [{"name": "Controller", "sources": sources}]})


def read(folder: Path, *names: str, seconds: float = PATIENCE_SECONDS) -> tuple[list[str], list[ReadFile]]:
    """Return the texts that are sent for files, and what is reported of them."""
    request, files = read_files(request_for(*names), [folder], seconds=seconds)
    assert type(request) is GenerateRequest
    first, *rest = request.personas[0].sources
    assert first.value == "own words"
    assert {source.type for source in rest} == {"TEXT"}
    assert list(files) == [(0, place) for place in range(1, 1 + len(names))]
    return [source.value for source in rest], list(files.values())


def refused(folder: Path, name: str, content: bytes, **limits: Any) -> str:
    """Return why a file is refused."""
    (folder / name).write_bytes(content)
    with pytest.raises(FilesRefused) as problem:
        read(folder, name, **limits)
    (text,) = problem.value.problems
    assert text.startswith(f"personas[0].sources[1]: file:{name} ")
    return text


def test_documents_of_every_format_are_sent_as_their_text(tmp_path: Path) -> None:
    """What is said in each arrives; what was done to it is reported."""
    names = list(make_folder(tmp_path))
    texts, files = read(tmp_path, *names)
    assert [name for name, text in zip(names, texts, strict=True) if INTERVIEW not in text] == []
    assert [(file.name, file.characters) for file in files] == [
        (name, len(text)) for name, text in zip(names, texts, strict=True)
    ]
    sent, notes = dict(zip(names, texts, strict=True)), {file.name: file.note for file in files}
    assert sent["calls/controller.md"] == f"# Call\n\n{INTERVIEW}\n"
    assert sent["calls/controller.vtt"] == f"Ada: {INTERVIEW}"
    assert sent["page.html"] == f"Notes\n\n{INTERVIEW}"
    assert sent["report.docx"] == sent["report.pdf"] == INTERVIEW
    assert "| controller |" in sent["report.xlsx"]
    assert "| 2024 |" in sent["report.xlsx"]
    assert "NaN" not in sent["report.xlsx"]
    assert sent["report.pptx"].splitlines() == [INTERVIEW, "# Findings"]
    assert notes["calls/controller.md"] == ""
    assert notes["calls/controller.txt"] == "UTF-16"
    assert notes["calls/controller.srt"] == "without time stamps"
    assert notes["report.pdf"] == "converted from PDF"


def test_documents_are_converted_alike_in_this_process(tmp_path: Path) -> None:
    """The worker adds limits and nothing else."""
    for name, content in make_folder(tmp_path).items():
        found = format_of(name)
        if found in DOCUMENTS:
            assert found is not None
            assert INTERVIEW in document_text(found, content)
            assert worker.convert(found, content)["note"] == f"converted from {found}"
    assert "damaged" in worker.convert(Format.PDF, b"no PDF")["problem"]


def test_a_file_that_is_named_twice_is_read_once_and_sent_twice(tmp_path: Path) -> None:
    """Several personas may be written from the same interview."""
    (tmp_path / "a.md").write_text("a")
    source = {"type": "URL", "value": "file:a.md"}
    asked = {"personas": [{"sources": [source]}, {"sources": [{"type": "TEXT", "value": "t"}, source]}]}
    request, files = read_files(RequestWithFiles.model_validate(asked), [tmp_path], seconds=PATIENCE_SECONDS)
    assert [[one.value for one in persona.sources] for persona in request.personas] == [["a"], ["t", "a"]]
    assert files == {(0, 0): ReadFile("a.md", 1), (1, 1): ReadFile("a.md", 1)}


def test_a_request_without_files_stays_as_it_is(tmp_path: Path) -> None:
    """And is the API's own again."""
    asked = {"personas": [{"sources": [{"type": "URL", "value": "https://example.com/file:notes.md"}]}]}
    request, files = read_files(RequestWithFiles.model_validate(asked), [tmp_path], seconds=PATIENCE_SECONDS)
    assert request == GenerateRequest.model_validate(asked)
    assert files == {}


def test_every_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """So that one more call is enough; many are counted."""
    with pytest.raises(FilesRefused) as problem:
        read(tmp_path, *(f"{number}.md" for number in range(10)))
    assert len(problem.value.problems) == 9
    assert problem.value.problems[-1] == "and 2 more"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.md", b" \n\t", "has no text"),
        ("picture.txt", b"\x89PNG\r\n\x1a\n\0\0", "no text"),
        ("page.html", b"<p>\0</p>", "no text"),
        ("key.md", b"-----BEGIN OPENSSH PRIVATE KEY-----\nxx", "private key"),
        ("long.md", b"word " * 100_001, "500,000 is the most"),
        ("old.doc", b"x", "save it as .docx"),
        ("photo.png", b"x", "not of a kind"),
        ("big.md", b"x" * (8 * 2**20 + 1), "more than 8 MB"),
        ("big.pdf", b"x" * (25 * 2**20 + 1), "more than 25 MB"),
    ],
)
def test_a_file_that_is_no_material_is_refused(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    """Each with what is wrong, and most with what to do."""
    assert why in refused(tmp_path, name, content)


def test_documents_that_cannot_be_read_are_refused_each_with_its_reason(tmp_path: Path) -> None:
    """One that is damaged does not hide what is wrong with the next."""
    files = {
        "broken.pdf": (b"%PDF-1.4 and nothing more", "damaged"),
        "broken.docx": (b"PK nothing", "damaged"),
        "broken.xlsx": (docx(), "damaged"),
        "broken.msg": (b"nothing", "damaged"),
        "bomb.docx": (docx(extra=2**28), "larger once it is unpacked"),
    }
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FilesRefused) as problem:
        read(tmp_path, *files)
    told = zip(problem.value.problems, files.items(), strict=True)
    assert [text for text, (name, (_, why)) in told if name not in text or why not in text] == []
    (tmp_path / "scan.pdf").write_bytes(pdf(""))
    (tmp_path / "pictures.pptx").write_bytes(presentation("", title=""))
    with pytest.raises(FilesRefused) as problem:
        read(tmp_path, "scan.pdf", "pictures.pptx")
    assert all("has no text" in text for text in problem.value.problems)
    assert "has no plain text" in refused(tmp_path, "html only.msg", outlook(""))


def test_files_that_are_too_much_together_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their bytes, and by the characters that would be sent."""
    (tmp_path / "a.md").write_text("a" * 600)
    (tmp_path / "b.md").write_text("b" * 600)
    monkeypatch.setattr(under_test, "MAX_CALL_CHARACTERS", 1000)
    with pytest.raises(FilesRefused, match="characters together"):
        read(tmp_path, "a.md", "b.md")
    monkeypatch.setattr(under_test, "MAX_CALL_BYTES", 1000)
    with pytest.raises(FilesRefused, match="MB together"):
        read(tmp_path, "a.md", "b.md")


def test_an_address_that_is_sent_as_text_is_refused() -> None:
    """It would be paid for, and say nothing."""
    with pytest.raises(ValueError, match="must be URL"):
        RequestWithFiles.model_validate({"personas": [{"sources": [{"type": "TEXT", "value": "file:notes.md"}]}]})


def test_without_the_extra_its_name_is_in_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Web pages and e-mail need nothing more."""
    monkeypatch.setitem(sys.modules, "markitdown", None)
    assert "octave-personas-mcp[documents]" in refused(tmp_path, "report.pdf", pdf())
    (tmp_path / "mail.eml").write_bytes(email(f"<p>{INTERVIEW}</p>", subtype="html", attachment="deck.pdf"))
    (text,), (file,) = read(tmp_path, "mail.eml")
    assert text == f"From: Ada <ada@example.com>\nTo: us@example.com\nSubject: After our call\n\n{INTERVIEW}"
    assert file.note == "without its attachments: deck.pdf"


def test_a_file_that_takes_too_long_is_refused_in_time(tmp_path: Path) -> None:
    """The worker is ended."""
    began = time.monotonic()
    assert "was not read within" in refused(tmp_path, "report.pdf", pdf(), seconds=0.2)
    assert time.monotonic() - began < 30


def test_too_many_conversions_at_once_wait_for_their_turn(tmp_path: Path) -> None:
    """As each may take much memory; waiting counts as time."""
    held = [worker_process._slots.acquire(timeout=0) for _ in range(worker_process.MAX_WORKERS)]
    assert all(held)
    try:
        assert "was not read within" in refused(tmp_path, "page.html", b"<p>words</p>", seconds=0.1)
    finally:
        worker_process._slots.release(len(held))


SECRET = "CANARY of another file"


@pytest.mark.parametrize("reach", ["picture", "entity"])
def test_a_document_never_has_another_file_read(tmp_path: Path, reach: str) -> None:
    """Neither a picture that is linked, nor an external entity."""
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    doctype = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
    bad = docx(picture=secret.as_uri()) if reach == "picture" else docx("&e;", doctype=doctype)
    (tmp_path / "bad.docx").write_bytes(bad)
    try:
        (text,), _ = read(tmp_path, "bad.docx")
    except FilesRefused as problem:
        text = str(problem)
    assert SECRET not in text


PROBE = """\
import json, os, sys
from octave_mcp.sources import worker
worker._limit()
sys.addaudithook(worker._refuse_access)
ended = []
for code in {attempts}:
    try:
        exec(code)
        ended.append("done")
    except (PermissionError, MemoryError) as error:
        ended.append(type(error).__name__)
print(json.dumps([ended, sorted(os.environ)]))
"""
ATTEMPTS = [
    "open('/etc/passwd')",
    "open(os.devnull, 'w')",
    "os.open('/etc/passwd', os.O_RDONLY)",
    "os.listdir('/')",
    "import socket; socket.create_connection(('127.0.0.1', 9))",
    "import subprocess; subprocess.run(['true'])",
    "os.system('true')",
]


def test_the_worker_has_no_way_out_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a document may get a library to do is refused: files, connections, programs; modules still load."""
    monkeypatch.setenv("OCTAVE_API_KEY", "sk-canary-0123456789")
    attempts = [*ATTEMPTS, "import colorsys"]
    ran = subprocess.run(
        [sys.executable, "-c", PROBE.format(attempts=attempts)],
        env=worker_process._environment(),
        capture_output=True,
        check=True,
    )
    ended, variables = json.loads(ran.stdout)
    assert ended == ["PermissionError"] * len(ATTEMPTS) + ["done"]
    assert not [name for name in variables if name.startswith("OCTAVE")]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux enforces a limit of memory")
def test_the_worker_has_a_limit_of_memory() -> None:
    """A file that unpacks without end ends its worker, and not the machine."""
    ran = subprocess.run(
        [sys.executable, "-c", PROBE.format(attempts=[f"bytearray({4 * worker.MAX_MEMORY_BYTES})"])],
        env=worker_process._environment(),
        capture_output=True,
        check=True,
    )
    assert json.loads(ran.stdout)[0] == ["MemoryError"]


def test_a_worker_that_dies_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the system ends it for its memory."""
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    assert "cannot be converted" in refused(tmp_path, "page.html", b"<p>words</p>")
