"""Clients that are not written here, and an assistant played from a script for agent frameworks."""
