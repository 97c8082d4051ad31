"""The persona cards, an MCP App: the page that hosts show beside results, and the extension that offers it."""
