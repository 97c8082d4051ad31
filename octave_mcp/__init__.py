"""Build buyer personas in Octave from a chat: an MCP server over `POST /api/v2/persona/generate`.

This module stays light on purpose: importing it loads neither the MCP SDK nor an HTTP client.
"""

__version__ = "0.1.0"
__distribution__ = "octave-personas-mcp"
