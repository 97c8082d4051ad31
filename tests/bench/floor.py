"""The floor: a server on the same SDK, over stdio, whose one tool does nothing."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("floor", log_level="WARNING")


@server.tool()
async def nothing() -> str:
    """Do nothing."""
    return "done"


if __name__ == "__main__":
    server.run()
