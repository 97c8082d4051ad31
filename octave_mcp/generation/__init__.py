"""The job: personas asked for, split into POSTs, and what became of each. Knows nothing of MCP."""
