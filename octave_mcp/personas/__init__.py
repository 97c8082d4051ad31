"""A persona shown within a token budget: a summary, or the full record. Knows nothing of MCP."""
