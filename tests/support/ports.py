"""Ports of loopback for servers that tests start."""

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Return different ports on which nothing listened a moment ago."""
    with ExitStack() as stack:  # all held at once, so that no two are the same
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]
