"""The record of what was asked for and what became of it, in SQL: SQLite or PostgreSQL. Knows nothing of Octave."""
