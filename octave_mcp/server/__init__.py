"""The MCP server: tools, resources, prompts, completions and tasks put together, and the stdio transport."""
