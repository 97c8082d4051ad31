"""A server made from openapi.json alone, by fastmcp. It runs in tests/bench/.venv, the one place that has fastmcp.

With a port it serves over HTTP, without one over stdio.
"""

import json
import os
import sys
from pathlib import Path

import httpx2
from fastmcp import FastMCP

if __name__ == "__main__":
    document = json.loads(Path(__file__).with_name("openapi.json").read_text())
    octave = httpx2.AsyncClient(
        base_url=os.environ["OCTAVE_BASE_URL"], headers={"api_key": os.environ["OCTAVE_API_KEY"]}, timeout=120
    )
    server = FastMCP.from_openapi(document, client=octave, name="octave-converted")
    if len(sys.argv) == 1:
        server.run(show_banner=False)  # its banner looks for a newer version, over the network
    else:
        import uvicorn

        uvicorn.run(server.http_app(stateless_http=True), port=int(sys.argv[1]), log_level="warning")
