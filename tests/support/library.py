"""A workspace's look-ups, each in another of the shapes in which Octave's lists have been described."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from octave_mcp.octave.library_kinds import KINDS
from support.records import record
from support.upstream import Request, answer, error_envelope, metadata

Row = dict[str, Any]


def rows(prefix: str, *names: str) -> list[Row]:
    """Rows with these names, and oIds and descriptions of their own."""
    return [
        {"oId": f"{prefix}_{number}", "name": name, "description": f"About {name}. More of it."}
        for number, name in enumerate(names, 1)
    ]


@dataclass
class Library:
    """Answers a workspace's GETs; a test changes what is in it."""

    personas: list[Row] = field(default_factory=lambda: [record(number) for number in range(3)])
    offerings: list[Row] = field(default_factory=lambda: rows("o", "Vault Access", "Ledger Watch"))
    playbooks: list[Row] = field(default_factory=lambda: rows("pb", "Enterprise Land", "Mid-market Expand"))
    voices: list[Row] = field(default_factory=lambda: rows("bv", "The Founder", "Legal, formal", "Café voice"))
    resources: list[Row] = field(default_factory=lambda: rows("rs", "Call notes of May"))
    workspace: Row = field(default_factory=lambda: {"status": "ok", "valid": True, "workspaceName": "Acme GTM"})

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Answer one look-up."""
        query, meta = request.query, {"_metadata": metadata(usage=0)}
        match request.path.removeprefix("/api/v2/"):
            case "persona/get":
                found = next((one for one in self.personas if one["oId"] == query["oId"]), None)
                unknown = answer(error_envelope("No persona has this oId"), status=404)
                writer.write(unknown if found is None else answer({**meta, **found}))
            case "persona/list":
                writer.write(answer({**meta, **_page(self.personas, query)}))
            case "product/list":  # without hasNext
                page = _page(self.offerings, query)
                writer.write(answer({**meta, "total": page["total"], "data": page["data"]}))
            case "playbook/list":  # with data as an object
                page = _page(self.playbooks, query)
                by_oid = {row["oId"]: row for row in page["data"]}
                writer.write(answer({**meta, "total": page["total"], "hasNext": page["hasNext"], "data": by_oid}))
            case "brand-voice/list":  # nested, and knows no text
                writer.write(answer({**meta, "data": _page(self.voices, {**query, "text": ""})}))
            case "resource/list":  # with neither count
                writer.write(answer({**meta, "data": _page(self.resources, {**query, "text": ""})["data"]}))
            case "api-key/validate":
                writer.write(answer({**meta, **self.workspace}))
            case path if kind := next((kind for kind in KINDS.values() if kind.path.endswith(f"/{path}")), None):
                writer.write(answer({**meta, **_page(rows(kind.name, f"A {kind.words[0]}"), query)}))
            case other:
                writer.write(answer(error_envelope(f"No such path: {other}"), status=404))


def _page(found: list[Row], query: dict[str, str]) -> Row:
    """The rows with the text in their name, a page of them."""
    text = query.get("text", "").lower()
    found = [row for row in found if not text or text in str(row.get("name")).lower()]
    start, end = int(query["offset"]), int(query["offset"]) + int(query["limit"])
    return {"hasNext": end < len(found), "total": len(found), "data": found[start:end]}
