"""What the assistant calls: the six tools, their schemas and arguments, and the services that a call works with."""
