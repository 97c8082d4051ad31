"""Turn a list of segments into personas, and the personas into a report in Markdown.

    pip install "mcp>=2.3"
    python research.py segments.csv report.md

The list has the columns `segment` and `source`, an address or a text; a segment may have several rows. Uses made-up
data unless `OCTAVE_API_KEY` or `OCTAVE_API_KEY_FILE` is set.

Run it again when it was interrupted, or something did not come back: a segment that has a persona of its name in the
workspace is read and not bought, and what is still being written is waited for. Where the report says that a persona
may have been made, look in Octave first.
"""

import asyncio
import csv
import os
import re
import sys
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.types import TextContent

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


def main(segments: Path, report: Path) -> int:
    """Write the report of as much as there is. 0 only if that is everything."""
    wanted = read_segments(segments)
    try:
        records, problems = asyncio.run(research(wanted))
    except KeyboardInterrupt:
        sys.exit(
            "Interrupted. What was asked for may still be made: run the same again in a minute, which looks first."
        )
    parts = ["# Personas", *map(chapter, records), *(["## Did not come back", bullets(problems)] if problems else [])]
    report.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print("\n".join([*problems, f"{len(records)} of {len(wanted)} are in {report}"]))
    return 0 if len(records) == len(wanted) else 1


def read_segments(path: Path) -> dict[str, Sources]:
    """Each segment's sources, by its name."""
    found: dict[str, Sources] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            kind = "URL" if row["source"].startswith(("http://", "https://")) else "TEXT"
            found.setdefault(row["segment"].strip(), []).append({"type": kind, "value": row["source"]})
    return found


async def research(wanted: dict[str, Sources]) -> tuple[list[Record], list[str]]:
    """The personas that there are and those that are made, in full; and why others are not."""
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
            print(f"{len(wanted)} segments, of which {len(missing)} have no persona yet", flush=True)
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
    """The oId of the persona of that name, if the workspace has one."""
    page = await call(client, "list_personas", text=name)
    return next((one["oId"] for one in page["personas"] if one["name"].casefold() == name.casefold()), None)


async def call(client: Client, tool: str, **arguments: Any) -> Record:
    """What a tool answers. Raises Refused."""
    result = await client.call_tool(tool, arguments, progress_callback=show)
    if result.structured_content is None:
        raise Refused(" ".join(block.text for block in result.content if isinstance(block, TextContent)))
    answer: Record = result.structured_content
    return answer


async def show(progress: float, total: float | None, message: str | None) -> None:
    """Show how far a call is."""
    print(message or f"{progress} of {total}", flush=True)


def chapter(record: Record) -> str:
    """A persona as the report has it."""
    parts = [f"## {plain(record['name'])}", f"oId: `{record['oId']}`", plain(record.get("description", ""))]
    for key, title in SECTIONS.items():
        if items := record.get(key):
            parts += [f"### {title}", bullets([one if isinstance(one, str) else question(one) for one in items])]
    if left := record.get("leftOut"):
        parts.append(f"Left out for room: {', '.join(f'{count} of {key}' for key, count in left.items())}.")
    return "\n\n".join(filter(None, parts))


def question(asked: dict[str, str]) -> str:
    """A question, and whether a yes speaks against a purchase."""
    return asked["question"] + (" (disqualifies)" if asked.get("fitType") == "BAD" else "")


def bullets(items: list[str]) -> str:
    """A list."""
    return "\n".join(f"- {plain(item)}" for item in items)


def plain(text: str) -> str:
    """A text in which nothing is markup: a model wrote it from pages that anyone may have written."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(text.split()))


if __name__ == "__main__":
    match sys.argv[1:]:
        case [segments, report]:
            sys.exit(main(Path(segments), Path(report)))
        case _:
            sys.exit("Usage: python research.py SEGMENTS.csv REPORT.md")
