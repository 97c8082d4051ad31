"""Files as sources: where a `file:` address leads, and the text of the file."""
