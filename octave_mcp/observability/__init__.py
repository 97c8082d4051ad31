"""Logs, traces and metrics: none of them holds a key, a name or a source."""
