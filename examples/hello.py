"""Build one persona with the Python SDK, and print it.

pip install "mcp>=2.3"
python hello.py
"""

import asyncio
import sys

try:
    from mcp import Client, StdioServerParameters
except ImportError as error:
    sys.exit(f"{error}. The first lines of this file say what to install.")

PERSONA = {"name": "CISO", "sources": [{"type": "TEXT", "value": "Her team spends three weeks on each audit."}]}


async def main() -> None:
    """Start the server on sample data, and call its tool."""
    async with Client(StdioServerParameters(command="octave-personas-mcp", args=["--sandbox"])) as client:
        result = await client.call_tool("generate_personas", {"personas": [PERSONA]})
        print(*(block.text for block in result.content if block.type == "text"))


try:
    asyncio.run(main())
except FileNotFoundError:
    sys.exit("The command octave-personas-mcp was not found: install it first.")
