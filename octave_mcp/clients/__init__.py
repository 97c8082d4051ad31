"""The MCP clients that this server is configured for: what their files say about it, and where these are."""
