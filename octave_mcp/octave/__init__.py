"""Octave's API: its requests, answers and errors as models, and the client that calls it. Knows nothing of MCP."""
