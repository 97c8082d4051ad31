"""Build a persona from each file of notes, from your own program: `python build_personas.py notes/*.txt`.

Uses made-up data unless `OCTAVE_API_KEY` is set.
"""

import asyncio
import os
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters

KEY = "OCTAVE_API_KEY"


async def build(notes: list[Path]) -> None:
    """Ask for all personas in one call, and print what was made."""
    server = StdioServerParameters(
        command="octave-mcp",
        args=[] if KEY in os.environ else ["--sandbox"],
        env={KEY: os.environ[KEY]} if KEY in os.environ else None,
    )
    personas = [{"sources": [{"type": "TEXT", "value": path.read_text(encoding="utf-8")}]} for path in notes]
    async with Client(server) as client:
        result = await client.call_tool("generate_personas", {"personas": personas})
        made = result.structured_content or {}
        while made.get("status") == "pending":
            print("; ".join(made["pending"]), file=sys.stderr)
            result = await client.call_tool("get_generation", {"generationId": made["generationId"]})
            made = result.structured_content or {}
    for persona in made.get("personas", []):
        print(f"{persona['name']} ({persona['oId']})")
        for pain in persona.get("painPoints", []):
            print(f"  {pain}")
    for failed in made.get("failed", []):
        print(f"{failed['personas']}: {failed['problem']}", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(build([Path(name) for name in sys.argv[1:]]))
