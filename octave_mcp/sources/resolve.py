"""A request whose sources may be files, and the same request with the files' text in their place."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from octave_mcp.octave.models import GenerateRequest, PersonaRequest, Source
from octave_mcp.sources.folders import FileContent, FileRefused, is_file_address, is_file_name, read_file
from octave_mcp.sources.formats import DOCUMENTS, Format
from octave_mcp.sources.plain_text import MAX_PLAIN_BYTES, NotText, check_sendable, decode, without_time_stamps
from octave_mcp.sources.worker_process import NO_EXTRA, can_convert, convert_files

MAX_CALL_CHARACTERS = 2_000_000
"""Most characters of all file sources of a call together, each as often as it is used."""

MAX_CALL_BYTES = 50 * 2**20
"""Most bytes of all files of a call together."""

MAX_PROBLEMS = 8
"""Files whose problem is named; more are counted."""

Place = tuple[int, int]
"""A source of a request: the place of its persona, and its place among that persona's sources."""


class _SourceOrFile(Source):
    """A source that may be a `file:` address."""

    takes_files = True

    @model_validator(mode="after")
    def _address_is_no_text(self) -> Self:
        """Refuse an address as TEXT: it would be paid for, and say nothing."""
        if self.type == "TEXT" and is_file_address(self.value) and len(self.value.split("\n")) == 1:
            raise ValueError("type: must be URL when value is a file: address")
        return self


class _PersonaWithFiles(PersonaRequest):
    # A list of a narrower kind than the base has is safe here, as nothing changes it.
    sources: list[_SourceOrFile] = Field(min_length=1)  # type: ignore[assignment]


class RequestWithFiles(GenerateRequest):
    """The API's body, in which a source of type URL may be a `file:` address. It is never sent: see `read_files`."""

    personas: list[_PersonaWithFiles] = Field(min_length=1)  # type: ignore[assignment]


@dataclass(frozen=True)
class ReadFile:
    """What was sent of a file: its name in its folder, the characters, and what else to know of it, or ""."""

    name: str
    characters: int
    note: str = ""


class FilesRefused(Exception):
    """Files cannot be read, so nothing is sent. `problems` has a line for each file, with its place in the request."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Take the problems; those beyond `MAX_PROBLEMS` are counted."""
        left = len(problems) - MAX_PROBLEMS
        self.problems = [*problems[:MAX_PROBLEMS], *([f"and {left} more"] if left > 0 else [])]
        super().__init__("; ".join(self.problems))


def read_files(
    request: GenerateRequest, folders: Sequence[Path], *, seconds: float
) -> tuple[GenerateRequest, dict[Place, ReadFile]]:
    """Return the request with the text of each file as a TEXT source, and what was read at which place.

    Blocks for `seconds` at most, the slowness of a disk aside: call it in a thread. Raises FilesRefused.
    """
    deadline = time.monotonic() + seconds
    places = {place: value for place, value in _values(request, "URL") if is_file_address(value)}
    _refuse_bare_names(request, folders)
    if not places:
        return GenerateRequest.model_validate(request.body()), {}
    texts = _texts(_contents(places, folders), places, deadline)
    if sum(len(texts[address][0]) for address in places.values()) > MAX_CALL_CHARACTERS:
        raise FilesRefused(
            [f"the files have more than {MAX_CALL_CHARACTERS:,} characters together: use fewer in a call"]
        )
    body = request.body()
    for (number, place), address in places.items():
        body["personas"][number]["sources"][place] = {"type": "TEXT", "value": texts[address][0]}
    return GenerateRequest.model_validate(body), {place: texts[address][1] for place, address in places.items()}


def _values(request: GenerateRequest, kind: Literal["TEXT", "URL"]) -> Iterator[tuple[Place, str]]:
    """Yield the place and the value of each source of a type."""
    for number, persona in enumerate(request.personas):
        for place, source in enumerate(persona.sources):
            if source.type == kind:
                yield (number, place), source.value


def _refuse_bare_names(request: GenerateRequest, folders: Sequence[Path]) -> None:
    """Raise FilesRefused for a text that is only a file's name: it would be paid for, and say nothing."""
    names = {place: value for place, value in _values(request, "TEXT") if is_file_name(value, folders)}
    _raise(
        dict.fromkeys(names.values(), "is a file's name and not its text: write it after file: with type URL"), names
    )


def _contents(places: Mapping[Place, str], folders: Sequence[Path]) -> dict[str, FileContent]:
    """Return the content of the file at each address. Raises FilesRefused."""
    contents: dict[str, FileContent] = {}
    problems: dict[str, str] = {}
    for address in dict.fromkeys(places.values()):
        try:
            contents[address] = read_file(address, folders)
        except FileRefused as problem:
            problems[address] = str(problem)
        if sum(len(one.content) for one in contents.values()) > MAX_CALL_BYTES:
            raise FilesRefused([f"the files have more than {MAX_CALL_BYTES // 2**20} MB together: use fewer in a call"])
    _raise(problems, places)
    return contents


def _texts(
    contents: Mapping[str, FileContent], places: Mapping[Place, str], deadline: float
) -> dict[str, tuple[str, ReadFile]]:
    """Return the text of each file, and what to report of it. Raises FilesRefused."""
    found: dict[str, tuple[str, str]] = {}
    problems: dict[str, str] = {}
    plain = {Format.PLAIN, Format.SUBTITLES}
    for address, file in contents.items():
        if file.format in plain:
            try:
                found[address] = _plain_text(file)
            except NotText as problem:
                problems[address] = str(problem)
        elif file.format in DOCUMENTS and not can_convert():
            problems[address] = NO_EXTRA
    _raise(problems, places)
    converted = {address: file for address, file in contents.items() if file.format not in plain}
    answers = convert_files(list(converted.values()), deadline=deadline) if converted else []
    for address, answer in zip(converted, answers, strict=False):
        if "problem" in answer:
            problems[address] = answer["problem"]
        else:
            found[address] = (answer["text"], answer["note"])
    _raise(problems, places)
    return {
        address: (text, ReadFile(contents[address].name, len(text), note)) for address, (text, note) in found.items()
    }


def _plain_text(file: FileContent) -> tuple[str, str]:
    """Return the text of a file that is text already, and what to report of it. Raises NotText."""
    if len(file.content) > MAX_PLAIN_BYTES:
        raise NotText(f"has more than {MAX_PLAIN_BYTES // 2**20} MB of text: send the part that matters")
    text, note = decode(file.content)
    if file.format is Format.SUBTITLES:
        text, note = without_time_stamps(text), ", ".join(filter(None, (note, "without time stamps")))
    check_sendable(text)
    return text, note


def _raise(problems: Mapping[str, str], places: Mapping[Place, str]) -> None:
    """Raise FilesRefused if there are problems, each with the first place of its file."""
    first = {address: place for place, address in reversed(list(places.items()))}
    lines = [
        "personas[{}].sources[{}]: ".format(*first[address]) + f"{address[:200]} {problem}"
        for address, problem in problems.items()
    ]
    if lines:
        raise FilesRefused(lines)
