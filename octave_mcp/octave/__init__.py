"""What Octave says: its requests, its answers, its errors, and the one client. Knows nothing of MCP."""
