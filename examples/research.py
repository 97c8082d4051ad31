"""Turn a list of segments into personas, and the personas into a report in Markdown.

    pip install "mcp>=2.3"
    python research.py segments.csv report.md

The table has the columns `name` and `source`, an address or a text; a name may have several rows. Uses sample data
unless `OCTAVE_API_KEY` or `OCTAVE_API_KEY_FILE` is set.

Run it again if it was interrupted, or if something failed: a name that has a persona in the workspace is read and not
created again, and what is still being written is waited for. If the report says that a persona may exist, look in
Octave first.
"""

import asyncio
import csv
import os
import re
import sys
from pathlib import Path
from typing import Any

try:
    from mcp import Client, StdioServerParameters
    from mcp.types import TextContent
except ImportError as error:
    sys.exit(f"{error}. The first lines of this file say what to install.")

AT_ONCE = 25  # personas in one call, as many as the server takes
SECTIONS = {
    "commonJobTitles": "Titles",
    "keyObjectives": "Objectives",
    "painPoints": "Pain points",
    "whyWeMatterToThem": "Why we matter to them",
    "qualifyingQuestions": "Questions",
}

Sources = list[dict[str, str]]
Record = dict[str, Any]


class Refused(Exception):
    """The server did not do what it was asked to; the text says why."""


class Unusable(Exception):
    """The table or the report cannot be used; nothing was created."""


def main(segments: Path, report: Path) -> int:
    """Write the report of as much as there is. Return 0 only if that is everything."""
    try:
        wanted = read_segments(segments)
        check_report(report)
    except (OSError, Unusable) as problem:
        sys.exit(f"{problem}")
    try:
        records, problems = asyncio.run(research(wanted))
    except KeyboardInterrupt:
        sys.exit(
            "Interrupted. What was asked for may still be created: run the same again in a minute, which looks first."
        )
    parts = ["# Personas", *map(chapter, records), *(["## Failed", bullets(problems)] if problems else [])]
    report.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print("\n".join([*problems, f"{len(records)} of {len(wanted)} are in {report}"]))
    return 0 if len(records) == len(wanted) else 1


def check_report(path: Path) -> None:
    """Find out before paying whether the report can be written. Raises OSError."""
    is_new = not path.exists()
    path.open("a", encoding="utf-8").close()
    if is_new:
        path.unlink()


def read_segments(path: Path) -> dict[str, Sources]:
    """Return the sources of each name. Raises Unusable."""
    found: dict[str, Sources] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError:
        raise Unusable(f"{path} is not UTF-8: save it as CSV UTF-8") from None
    head = lines[0] if lines else ""
    rows = csv.DictReader(lines, delimiter=max(",;\t", key=head.count))  # Excel writes ; in half of Europe
    if not {"name", "source"} <= set(rows.fieldnames or ()):
        raise Unusable(f"{path}: the first line has to name the columns name and source")
    for row in rows:
        name, source = (row["name"] or "").strip(), (row["source"] or "").strip()
        if not name or not source:
            raise Unusable(f"{path}, line {rows.line_num}: a name or a source is missing")
        kind = "URL" if source.startswith(("http://", "https://")) else "TEXT"
        found.setdefault(name, []).append({"type": kind, "value": source})
    if not found:
        raise Unusable(f"{path} has no rows")
    return found


async def research(wanted: dict[str, Sources]) -> tuple[list[Record], list[str]]:
    """Return the personas that exist and those that are created, in full; and why others are not."""
    records: list[Record] = []
    problems: list[str] = []
    server = StdioServerParameters(
        command="octave-personas-mcp",
        args=[] if {"OCTAVE_API_KEY", "OCTAVE_API_KEY_FILE"} & os.environ.keys() else ["--sandbox"],
        env=dict(os.environ),  # its settings, and the proxy's
    )
    async with Client(server) as client:
        try:
            there = {name: await find(client, name) for name in wanted}
            missing = [name for name, oid in there.items() if not oid]
            print(f"{len(wanted)} names, of which {len(missing)} have no persona yet", flush=True)
            records += [await call(client, "get_persona", oId=oid) for oid in there.values() if oid]
            for start in range(0, len(missing), AT_ONCE):
                made = await generate(client, {name: wanted[name] for name in missing[start : start + AT_ONCE]})
                problems += [f"{one['personas']}: {one['problem']}" for one in made.get("failed", [])]
                records += [await call(client, "get_persona", oId=one["oId"]) for one in made["personas"]]
        except Refused as refused:
            problems.append(f"{refused}")
    return records, problems


async def generate(client: Client, wanted: dict[str, Sources]) -> Record:
    """Ask once for all of them, and collect until none is being written."""
    personas = [{"name": name, "sources": sources} for name, sources in wanted.items()]
    made = await call(client, "generate_personas", personas=personas)
    while made["status"] == "pending":
        made = await call(client, "get_generation", generationId=made["generationId"])
    return made


async def find(client: Client, name: str) -> str | None:
    """Return the oId of the persona of that name, if the workspace has one."""
    page = await call(client, "list_personas", text=name)
    return next((one["oId"] for one in page["personas"] if one["name"].casefold() == name.casefold()), None)


async def call(client: Client, tool: str, **arguments: Any) -> Record:
    """Return what a tool answers. Raises Refused."""
    result = await client.call_tool(tool, arguments, progress_callback=show)
    if result.is_error and "generationId" not in (result.structured_content or {}):  # no generation that failed
        raise Refused(" ".join(block.text for block in result.content if isinstance(block, TextContent)))
    return result.structured_content or {}


async def show(progress: float, total: float | None, message: str | None) -> None:
    """Show how far a call is."""
    print(message or f"{progress} of {total}", flush=True)


def chapter(record: Record) -> str:
    """Return a persona as a chapter of the report."""
    parts = [f"## {plain(record['name'])}", f"oId: `{record['oId']}`", plain(record.get("description", ""))]
    for key, title in SECTIONS.items():
        if items := record.get(key):
            parts += [f"### {title}", bullets([one if isinstance(one, str) else question(one) for one in items])]
    if left := record.get("leftOut"):
        parts.append(f"Left out for room: {', '.join(f'{count} of {key}' for key, count in left.items())}.")
    return "\n\n".join(filter(None, parts))


def question(asked: dict[str, str]) -> str:
    """Return a question, marked if a yes disqualifies."""
    return asked["question"] + (" (disqualifies)" if asked.get("fitType") == "BAD" else "")


def bullets(items: list[str]) -> str:
    """Return a list in Markdown."""
    return "\n".join(f"- {plain(item)}" for item in items)


def plain(text: str) -> str:
    """Return a text in which nothing is markup: a model wrote it from pages that anyone may have written."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(text.split()))


if __name__ == "__main__":
    match sys.argv[1:]:
        case [segments, report]:
            sys.exit(main(Path(segments), Path(report)))
        case _:
            sys.exit("Usage: python research.py SEGMENTS.csv REPORT.md")
