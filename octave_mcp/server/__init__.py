"""What the assistant sees: tools, their schemas, their results. Knows nothing of HTTP to Octave."""
