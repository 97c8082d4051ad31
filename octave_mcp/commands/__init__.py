"""The commands that a person runs: demo, doctor, generate, config, and what they print."""
